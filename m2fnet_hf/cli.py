"""The command line: `m2fnet predict | train | evaluate`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
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
    print(f"m2fnet: {message}", file=sys.stderr)
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

    predict = commands.add_parser("predict", help="label the utterances of a transcript")
    predict.add_argument("transcript", type=Path, help="SRT, VTT, csv or JSON")
    _add_model(predict)
    predict.add_argument("--output", type=Path, metavar="FOLDER", help="write the predictions to a JSON file there")
    predict.set_defaults(command=_predict)

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
    from .data.transcripts import read_transcript
    from .reports.table import prediction_table, reads_only, show

    dialogue = read_transcript(options.transcript)
    pipe = _load_pipeline(options.model)
    predictions = pipe(dialogue)
    show(prediction_table(predictions))
    note = reads_only(pipe.model.config.modalities)
    if note is not None:
        print(f"\n{note}")
    if options.output is not None:
        path = options.output / f"{options.transcript.stem}.json"
        _write_json({"source": options.transcript.name, "utterances": predictions}, path)


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
    from rich.console import Console
    from rich.progress import track

    from .data.meld import load_meld_split
    from .reports.table import figures_table, show

    try:
        from .evaluation.evaluate import evaluate
    except ImportError as error:
        raise ImportError(f"Evaluation needs {error.name}: {TRAIN_EXTRA}") from None
    dialogues = load_meld_split(options.meld, options.split)
    pipe = _load_pipeline(options.model, batch_size=8)
    console = Console(stderr=True)
    bar = partial(
        track, total=len(dialogues), description="Dialogues", console=console, disable=not console.is_terminal
    )
    figures = evaluate(pipe, dialogues, progress=bar)
    results = {"model": options.model or DEFAULT_CHECKPOINT.name, "dataset": "MELD", "split": options.split, **figures}
    show(figures_table(results))
    if options.output is not None:
        _write_json(results, options.output)


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
