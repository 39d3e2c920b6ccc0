"""`m2fnet predict` and `m2fnet annotate`: from a recording to emotions and reports."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ..hub.load import add_model, load_pipeline, model_license, model_name
from ..utils.console import progress, remarks, say, show

PREDICT = (
    "Label each utterance of a recording with its emotion. What is said comes from a transcript or from speech "
    "recognition; a transcript alone is enough. What cannot be read is left out, counted and named on standard error; "
    "the status is 1 where no prediction could be made."
)
ANNOTATE = "Draw the predictions of `m2fnet predict --output` into a copy of their video, as subtitles and face boxes."


def add(commands: Any) -> None:
    """Add the two commands."""
    predict = commands.add_parser("predict", help="label the utterances of a conversation", description=PREDICT)
    predict.add_argument("source", help="recording, or transcript without one: path or URL")
    predict.add_argument(
        "--transcript", metavar="FILE", help="of the recording: subtitles, csv, text, JSON, ELAN, Praat"
    )
    predict.add_argument("--asr", metavar="NAME", help="speech recognition model, for a recording without transcript")
    add_model(predict)
    predict.add_argument("--output", type=Path, metavar="FOLDER", help="write the predictions there")
    predict.add_argument(
        "--report", metavar="KIND,...", help="json (default), csv, srt, vtt, eaf (ELAN), png (timeline), html, or all"
    )
    predict.add_argument("--annotate", action="store_true", help="also draw the predictions into a copy of it")
    predict.add_argument(
        "--faces", metavar="NAME", help="pyfeat, pyfeat-v2, opencv, a csv or npz file, a folder of them, or none"
    )
    predict.add_argument("--frame-rate", type=float, default=2.0, metavar="N", help="frames looked at a second (2)")
    predict.add_argument("--cache", default=True, metavar="FOLDER", help="keep there what was measured of recordings")
    predict.add_argument("--no-cache", dest="cache", action="store_false", help="keep nothing")
    predict.set_defaults(command=_predict, parser=predict)

    annotate = commands.add_parser(
        "annotate", help="draw predictions into a copy of their recording", description=ANNOTATE
    )
    annotate.add_argument("result", type=Path, help="JSON file that `m2fnet predict` wrote")
    annotate.add_argument("--recording", type=Path, metavar="FILE", help="default: the one that the file names")
    annotate.add_argument("--video", type=Path, dest="recording", help=argparse.SUPPRESS)  # its former name
    annotate.add_argument("--output", type=Path, metavar="FILE", help="default: beside the JSON file")
    annotate.set_defaults(command=_annotate)


def _predict(options: argparse.Namespace) -> None:
    from ..reports.console_tables import prediction_table
    from ..reports.result import build_result, summary

    transcript, recording = _inputs(options)
    if options.output is not None:
        _check_packages(options)
    with remarks() as said:
        source = _opened(options, transcript, recording)  # what cannot be read is said before a model is loaded
        pipe = load_pipeline(options.model)
        predictions = pipe(
            source,
            asr=options.asr,
            faces=options.faces,
            frame_rate=options.frame_rate,
            cache=options.cache,
            progress=progress,
            on_problem=said.append,
            return_faces=recording is not None,
        )
    result = build_result(
        predictions,
        pipe.model.config,
        model_name(options.model),
        (transcript or recording).name,
        said,
        model_license(options.model),
    )
    show(prediction_table(predictions))
    if result["note"] is not None:
        print(f"\n{result['note']}")
    for sentence in summary(result):
        say(sentence)
    if options.output is not None:
        _write_result(options, result, recording, (recording or transcript).stem)


def _inputs(options: argparse.Namespace) -> tuple[Any, Any]:
    """Paths of the transcript and of the recording; one of them may be `None`."""
    from ..data.transcripts import FORMATS
    from ..recordings.cache import open_cache
    from ..recordings.open import fetch

    _reports(options)
    cache = open_cache(options.cache)
    source = fetch(options.source, cache)
    if source.suffix.lower() not in FORMATS:
        return (None if options.transcript is None else fetch(options.transcript, cache)), source
    for option in ("transcript", "asr", "annotate"):
        if getattr(options, option):
            options.parser.error(f"--{option} needs a recording, found the transcript {source.name}")
    return source, None


def _opened(options: argparse.Namespace, transcript: Any, recording: Any) -> Any:
    """The dialogue of the transcript, with its recording where there is one; the recording alone without transcript."""
    from ..recordings.cache import open_cache
    from ..recordings.open import open_source

    if transcript is None:
        return {"recording": recording}
    source = transcript if recording is None else {"recording": recording, "transcript": transcript}
    dialogue, _ = open_source(source, cache=open_cache(options.cache))
    return dialogue if recording is None else {"recording": recording, "utterances": list(dialogue), "id": dialogue.id}


def _reports(options: argparse.Namespace) -> Any:
    """The kinds of reports that were asked for."""
    from ..reports.writers import KINDS

    if options.output is None and (options.report or options.annotate):
        options.parser.error("--report and --annotate need --output FOLDER")
    kinds = (options.report or "json").split(",")
    unknown = [kind for kind in kinds if kind not in (*KINDS, "all")]
    if unknown:
        options.parser.error(f"--report takes {', '.join(KINDS)} or all, found {', '.join(unknown)}")
    return "all" if "all" in kinds else kinds


def _check_packages(options: argparse.Namespace) -> None:
    from ..reports.writers import check_packages

    check_packages(_reports(options))
    if options.annotate:
        from ..reports import annotate  # noqa: F401  it says what it lacks


def _write_result(options: argparse.Namespace, result: dict[str, Any], recording: Path | None, stem: str) -> None:
    from ..reports.writers import write_reports

    if recording is not None:
        result["recording"] = Path(os.path.relpath(recording, options.output)).as_posix()
    with remarks():
        written = write_reports(result, options.output, stem, _reports(options), video=recording)
        if options.annotate:
            annotated = options.output / f"{stem}.annotated.mp4"
            try:
                _draw(recording, result, annotated)
                written.append(annotated)
            except ValueError as error:  # nothing to draw in, but the predictions were made
                say(str(error))
    print(f"\nWritten to {options.output}: {', '.join(path.name for path in written)}")


def _annotate(options: argparse.Namespace) -> None:
    result = _read_result(options.result)
    if options.recording is None and result["recording"] is None:
        raise ValueError(f"{options.result} names no recording, expected one to draw in; name it with --recording.")
    output = options.output or options.result.with_suffix(".annotated.mp4")
    with remarks():
        _draw(options.recording or options.result.parent / result["recording"], result, output)
    print(f"Written to {output}")


def _read_result(path: Path) -> dict[str, Any]:
    from ..reports.result import recording_of

    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        result["recording"] = recording_of(result)
        needed = ("start", "end", "speaker", "text", "label", "score")
        if not result["labels"] or not all(name in one for one in result["utterances"] for name in needed):
            raise ValueError(f"an utterance without one of {', '.join(needed)}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{path} must be the JSON file that `m2fnet predict --output` wrote, found {error}; predict again."
        ) from None
    return result


def _draw(recording: Any, result: dict[str, Any], output: Path) -> None:
    from ..reports.annotate import annotate_video

    annotate_video(recording, result, output, progress=progress)
