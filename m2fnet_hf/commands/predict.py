"""`m2fnet predict` and `m2fnet annotate`: from a recording to emotions and reports."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ..hub.load import add_model, load_config, load_pipeline
from ..media.frame_rate import check_frame_rate
from ..utils.console import remarks, say, show, tell
from ..utils.paths import check_file
from ..utils.text import shown
from .outputs import add_overwrite, check_outputs
from .predict_folder import predict_folder
from .prediction import (
    check_reports,
    check_results,
    draw,
    foreign_words,
    predict_conversations,
    read_conversation,
    report_kinds,
    write_conversation,
)

PREDICT = (
    "Label each utterance of a recording with its emotion. What is said comes from a transcript or from speech "
    "recognition; a transcript alone is enough. A folder is predicted file by file, each recording with the transcript "
    "of its name (talk.mp4 with talk.srt or talk.en.vtt): one that fails stops no other, what is there already is "
    "kept, and a table ends it. What cannot be read is left out, counted and named on standard error; the status is 1 "
    "where no prediction could be made, or not of every file of a folder."
)
ANNOTATE = "Draw the predictions of `m2fnet predict --output` into a copy of their recording: subtitles and face boxes."


def add(commands: Any) -> None:
    """Add the two commands."""
    predict = commands.add_parser("predict", help="label the utterances of a conversation", description=PREDICT)
    predict.add_argument("source", help="recording, or transcript without one: path or URL; or a folder of them")
    predict.add_argument(
        "--transcript", metavar="FILE", help="of the recording: subtitles, csv, text, JSON, ELAN, Praat"
    )
    predict.add_argument("--asr", metavar="NAME", help="speech recognition model, for a recording without transcript")
    predict.add_argument(
        "--speakers", metavar="NAME", help="pyannote model that names the speakers where the transcript does not"
    )
    add_model(predict)
    predict.add_argument("--output", type=Path, metavar="FOLDER", help="write the predictions there")
    predict.add_argument(
        "--report",
        metavar="KIND,...",
        help="json (default), csv, srt, vtt, eaf (ELAN), png (timeline), html, or all of these; parquet",
    )
    predict.add_argument("--annotate", action="store_true", help="also draw the predictions into a copy of it")
    predict.add_argument(
        "--audio-track", type=int, metavar="N", help="which sound track, from 1; default: the first that is not silent"
    )
    predict.add_argument(
        "--faces", metavar="NAME", help="pyfeat, pyfeat-v2, opencv, a csv or npz file, a folder of them, or none"
    )
    predict.add_argument("--frame-rate", type=float, default=2.0, metavar="N", help="frames looked at a second (2)")
    predict.add_argument("--cache", default=True, metavar="FOLDER", help="keep there what was measured of recordings")
    predict.add_argument("--no-cache", dest="cache", action="store_false", help="keep nothing")
    add_overwrite(predict, "of a folder, predict again what is there already; replace files of others, too")
    predict.set_defaults(command=_predict, parser=predict)

    annotate = commands.add_parser(
        "annotate", help="draw predictions into a copy of their recording", description=ANNOTATE
    )
    annotate.add_argument("result", type=Path, help="JSON file that `m2fnet predict` wrote")
    annotate.add_argument("--recording", type=Path, metavar="FILE", help="default: the one that the file names")
    annotate.add_argument("--video", type=Path, dest="recording", help=argparse.SUPPRESS)  # its former name
    annotate.add_argument("--output", type=Path, metavar="FILE", help="default: beside the JSON file")
    add_overwrite(annotate)
    annotate.set_defaults(command=_annotate)


def _predict(options: argparse.Namespace) -> None:
    check_frame_rate(options.frame_rate)
    if os.path.isdir(options.source):
        predict_folder(options)
        return
    from ..reports.console_tables import prediction_table, reads_only
    from ..reports.result import summary

    kinds = report_kinds(options)
    transcript, recording = _inputs(options)
    if options.output is not None:
        check_reports(options, kinds)
    conversation = read_conversation(options, transcript, recording)
    stem = (recording or conversation.source).stem
    if options.output is not None:
        check_results(options, conversation, stem, kinds)
    config = load_config(options.model)
    if note := reads_only(config.modalities):
        tell(f"{note}\n")
    if foreign := foreign_words(conversation, config):
        say(foreign)
    (result,) = predict_conversations(load_pipeline(options.model), [conversation], options)
    show(prediction_table(result["utterances"]))
    for sentence in summary(result):
        say(sentence)
    if options.output is not None:
        written = write_conversation(result, conversation, options, stem, kinds)
        tell(f"\nWritten to {options.output}: {', '.join(path.name for path in written)}")


def _inputs(options: argparse.Namespace) -> tuple[Any, Any]:
    """Paths of the transcript and of the recording; one of them may be `None`."""
    from ..data.transcripts import FORMATS
    from ..recordings.cache import open_cache
    from ..recordings.open import fetch

    cache = open_cache(options.cache)
    source = fetch(options.source, cache)
    if source.suffix.lower() not in FORMATS:
        return (None if options.transcript is None else fetch(options.transcript, cache)), source
    for option in ("transcript", "asr", "annotate"):
        if getattr(options, option):
            options.parser.error(f"--{option} needs a recording, found the transcript {shown(source.name)}")
    return source, None


def _annotate(options: argparse.Namespace) -> None:
    result = _read_result(options.result)
    if options.recording is None and result["recording"] is None:
        raise ValueError(f"{options.result} names no recording, expected one to draw in; name it with --recording.")
    recording = options.recording or options.result.parent / result["recording"]
    output = options.output or options.result.with_suffix(".annotated.mp4")
    check_outputs(options, {output: "mp4"}, [options.result, recording])
    with remarks():
        draw(recording, result, output)
    tell(f"Written to {output}")


def _read_result(path: Path) -> dict[str, Any]:
    from ..reports.result import is_whole, recording_of

    check_file(path, "A result")
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        result = None
    if not is_whole(result):
        raise ValueError(
            f"{shown(path)} must be the JSON file that `m2fnet predict --output` wrote, found another kind of file or "
            "one that lacks something; predict again."
        )
    return {**result, "recording": recording_of(result)}
