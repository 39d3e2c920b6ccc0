"""The command line: `m2fnet predict | annotate | train | evaluate`."""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .registration import DEFAULT_CHECKPOINT, TASK

if TYPE_CHECKING:
    from .pipeline_m2fnet import MultimodalEmotionPipeline

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
TRAIN_EXTRA = "pip install 'm2fnet-hf[train]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors end in one sentence on standard error.

    Returns:
        0, or 1 where the work could not be done. Wrong usage exits with 2.
    """
    options = _parse(arguments)
    try:
        options.command(options)
    except KeyboardInterrupt:
        return _fail("interrupted.", EXIT_INTERRUPTED)
    except BrokenPipeError:  # `m2fnet predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        if options.debug:
            raise
        return _fail(" ".join(str(error).split()) or type(error).__name__, EXIT_FAILED)
    return 0


def _fail(message: str, status: int) -> int:
    _say(message)
    return status


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    # argparse gives up on `section.key=value` words behind an option.
    overrides = [word for word in rest if "overrides" in options and "=" in word and not word.startswith("-")]
    if len(overrides) < len(rest):
        parser.error(f"unrecognized arguments: {' '.join(word for word in rest if word not in overrides)}")
    if overrides:
        options.overrides += overrides
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="m2fnet", description="The emotion of every utterance of a conversation.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the stack trace of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="label the utterances of a conversation")
    predict.add_argument("source", help="recording, or transcript without one: path or URL")
    predict.add_argument("--transcript", metavar="FILE", help="of the recording: SRT, VTT, csv or JSON, path or URL")
    predict.add_argument("--asr", metavar="NAME", help="speech recognition model, for a recording without transcript")
    _add_model(predict)
    predict.add_argument("--output", type=Path, metavar="FOLDER", help="write the predictions there")
    predict.add_argument(
        "--report", metavar="KIND,...", help="json (default), csv, srt, vtt, eaf (ELAN), png (timeline), html, or all"
    )
    predict.add_argument("--annotate", action="store_true", help="also draw the predictions into a copy of the video")
    predict.add_argument("--faces", metavar="NAME", help="pyfeat, pyfeat-v2, opencv, a csv or npz file, or none")
    predict.add_argument("--frame-rate", type=float, default=2.0, metavar="N", help="frames looked at a second (2)")
    predict.add_argument("--cache", default=True, metavar="FOLDER", help="keep there what was measured of recordings")
    predict.add_argument("--no-cache", dest="cache", action="store_false", help="keep nothing")
    predict.set_defaults(command=_predict, parser=predict)

    annotate = commands.add_parser("annotate", help="draw predictions into a copy of their video")
    annotate.add_argument("result", type=Path, help="JSON file that `m2fnet predict` wrote")
    annotate.add_argument("--video", type=Path, metavar="FILE", help="default: the one that the file names")
    annotate.add_argument("--output", type=Path, metavar="FILE", help="default: beside the JSON file")
    annotate.set_defaults(command=_annotate)

    train = commands.add_parser("train", help="train a model on MELD")
    train.add_argument("config", type=Path, help="YAML file of the run, such as examples/configs/meld-mini.yaml")
    train.add_argument("overrides", nargs="*", metavar="section.key=value", help="change one setting of the file")
    train.add_argument("--meld", type=Path, required=True, metavar="FOLDER", help="holds train_sent_emo.csv, ...")
    train.add_argument("--output", type=Path, metavar="FOLDER", help="default: runs/ and the name of the file")
    train.set_defaults(command=_train)

    evaluate = commands.add_parser("evaluate", help="measure a model on MELD")
    evaluate.add_argument("--meld", type=Path, required=True, metavar="FOLDER", help="holds test_sent_emo.csv, ...")
    evaluate.add_argument("--split", choices=("train", "dev", "test"), default="test", help="default: test")
    evaluate.add_argument("--output", type=Path, metavar="FILE", help="write the figures to this JSON file")
    _add_model(evaluate)
    evaluate.set_defaults(command=_evaluate)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="folder or Hub name; default: the embedded meld-mini")


def _predict(options: argparse.Namespace) -> None:
    from .reports.result import build_result, summary
    from .reports.table import prediction_table, show

    transcript, recording = _inputs(options)
    with _remarks() as remarks:
        pipe = _load_pipeline(options.model)
        predictions = pipe(
            transcript if recording is None else {"video": recording, "transcript": transcript},
            asr=options.asr,
            faces=options.faces,
            frame_rate=options.frame_rate,
            cache=options.cache,
            progress=_progress,
            return_faces=recording is not None,
        )
    name = Path(options.model).name if options.model else DEFAULT_CHECKPOINT.name
    result = build_result(predictions, pipe.model.config, name, (transcript or recording).name, remarks)
    show(prediction_table(predictions))
    if result["note"] is not None:
        print(f"\n{result['note']}")
    for sentence in summary(result):
        _say(sentence)
    if options.output is not None:
        _write_result(options, result, recording, (recording or transcript).stem)


def _inputs(options: argparse.Namespace) -> tuple[Any, Any]:
    """Paths of the transcript and of the recording; one of them may be `None`."""
    from .data.cache import open_cache
    from .data.transcripts import FORMATS
    from .media.source import fetch

    _reports(options)
    cache = open_cache(options.cache)
    source = fetch(options.source, cache)
    if source.suffix.lower() not in FORMATS:
        return (None if options.transcript is None else fetch(options.transcript, cache)), source
    for option in ("transcript", "asr", "annotate"):
        if getattr(options, option):
            options.parser.error(f"--{option} needs a recording, found the transcript {source.name}")
    return source, None


def _reports(options: argparse.Namespace) -> Any:
    """The kinds of reports that were asked for."""
    from .reports.writers import KINDS

    if options.output is None and (options.report or options.annotate):
        options.parser.error("--report and --annotate need --output FOLDER")
    kinds = (options.report or "json").split(",")
    unknown = [kind for kind in kinds if kind not in (*KINDS, "all")]
    if unknown:
        options.parser.error(f"--report takes {', '.join(KINDS)} or all, found {', '.join(unknown)}")
    return "all" if "all" in kinds else kinds


def _write_result(options: argparse.Namespace, result: dict[str, Any], recording: Path | None, stem: str) -> None:
    from .reports.writers import write_reports

    if recording is not None:
        result["video"] = Path(os.path.relpath(recording, options.output)).as_posix()
    with _remarks():
        written = write_reports(result, options.output, stem, _reports(options), video=recording)
        if options.annotate:
            annotated = options.output / f"{stem}.annotated.mp4"
            try:
                _draw(recording, result, annotated)
                written.append(annotated)
            except ValueError as error:  # nothing to draw in, but the predictions were made
                _say(str(error))
    print(f"\nWritten to {options.output}: {', '.join(path.name for path in written)}")


def _annotate(options: argparse.Namespace) -> None:
    result = _read_result(options.result)
    if options.video is None and result.get("video") is None:
        raise ValueError(f"{options.result} names no video, expected one to draw in; name it with --video.")
    output = options.output or options.result.with_suffix(".annotated.mp4")
    with _remarks():
        _draw(options.video or options.result.parent / result["video"], result, output)
    print(f"Written to {output}")


def _read_result(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        needed = ("start", "end", "speaker", "text", "label", "score")
        if not result["labels"] or not all(name in one for one in result["utterances"] for name in needed):
            raise ValueError(f"an utterance without one of {', '.join(needed)}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{path} must be the JSON file that `m2fnet predict --output` wrote, found {error}; predict again."
        ) from None
    return result


def _draw(recording: Any, result: dict[str, Any], output: Path) -> None:
    from .reports.annotate import annotate_video

    annotate_video(recording, result, output, progress=_progress)


def _train(options: argparse.Namespace) -> None:
    from .data.meld import load_meld_split

    try:
        from .training.arguments import RunConfig
        from .training.trainer import train
    except ImportError as error:
        raise ImportError(f"Training needs {error.name}: {TRAIN_EXTRA}") from None
    run = RunConfig.load(options.config, options.overrides)
    output = options.output or Path("runs") / options.config.stem
    train(run, load_meld_split(options.meld, "train"), load_meld_split(options.meld, "dev"), output)
    print(f"The best epoch on dev is in {output}; `m2fnet evaluate --model {output} --meld ...` reads test.")


def _evaluate(options: argparse.Namespace) -> None:
    from .data.meld import load_meld_split
    from .reports.table import figures_table, show

    try:
        from .evaluation.evaluate import evaluate
    except ImportError as error:
        raise ImportError(f"Evaluation needs {error.name}: {TRAIN_EXTRA}") from None
    dialogues = load_meld_split(options.meld, options.split)
    pipe = _load_pipeline(options.model, batch_size=8)
    bar = partial(_progress, total=len(dialogues), description="Dialogues")
    figures = evaluate(pipe, dialogues, progress=bar)
    results = {"model": options.model or DEFAULT_CHECKPOINT.name, "dataset": "MELD", "split": options.split, **figures}
    show(figures_table(results))
    if options.output is not None:
        _write_json(results, options.output)


def _progress(items: Any, description: str = "", total: float | None = None) -> Any:
    """A bar on standard error, where somebody looks at it."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, description, total, console=console, disable=not console.is_terminal)


@contextmanager
def _remarks() -> Iterator[list[str]]:
    """What the package warns of, gathered and then said."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield said
        finally:
            ours = [one for one in caught if __package__ in Path(one.filename).parts]
            said += dict.fromkeys(str(one.message) for one in ours)
            for sentence in said:
                _say(sentence)


def _say(sentence: str) -> None:
    print(f"m2fnet: {sentence}", file=sys.stderr)


def _load_pipeline(model: str | None, **options: Any) -> "MultimodalEmotionPipeline":
    """The pipeline of a folder, a Hub name, or the embedded checkpoint, without the library's chatter."""
    from transformers import pipeline
    from transformers.utils import logging

    build: Any = pipeline  # its overloads know the library's own tasks only

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    name = str(DEFAULT_CHECKPOINT) if model is None else model
    if Path(name).is_dir():
        _check_checkpoint(Path(name))
    try:
        return build(TASK, model=name, **options)
    except Exception as error:
        raise OSError(f"No model could be loaded from {name} (a folder or a Hub name): {error}") from error


def _check_checkpoint(folder: Path) -> None:
    for part, pattern in (
        ("config.json", "config.json"),
        ("weights (*.safetensors)", "*.safetensors"),
        ("processor_config.json", "processor_config.json"),
        ("tokenizer_config.json", "tokenizer_config.json"),
    ):
        if not any(folder.glob(pattern)):
            raise FileNotFoundError(f"A checkpoint must hold its {part}, found none in {folder}; save it there again.")


def _write_json(content: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
