"""`m2fnet live`: a conversation is played, and its emotions appear as they are said."""

import argparse
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.load import add_model, load_config, load_pipeline, model_license, model_name
from ..utils.console import remarks, say, tell
from ..utils.text import shown
from .outputs import add_overwrite, check_outputs

if TYPE_CHECKING:
    from ..configuration_m2fnet import M2FNetConfig
    from ..dialogue_m2fnet import Dialogue, EmotionPrediction, Utterance
    from ..pipeline_m2fnet import MultimodalEmotionPipeline

DESCRIPTION = (
    "Play a conversation and label each utterance when it was said. A causal model's labels stay, those of others may "
    "change with what follows. Ctrl-C ends it and keeps what was labelled."
)


def add(commands: Any) -> None:
    """Add the command."""
    live = commands.add_parser(
        "live", help="label the utterances of a conversation as it is played", description=DESCRIPTION
    )
    live.add_argument("source", help="recording, or transcript without one: path or URL")
    live.add_argument("--transcript", metavar="FILE", help="of the recording: subtitles, csv, text, JSON, ELAN, Praat")
    add_model(live)
    live.add_argument("--speed", type=float, default=1.0, metavar="N", help="seconds of it that pass in a second (1)")
    live.add_argument("--output", type=Path, metavar="FOLDER", help="write the predictions there at the end, as JSON")
    live.add_argument(
        "--audio-track", type=int, metavar="N", help="which sound track, from 1; default: the first that is not silent"
    )
    live.add_argument("--faces", metavar="NAME", help="pyfeat, pyfeat-v2, opencv, a csv or npz file, or none")
    live.add_argument("--frame-rate", type=float, default=2.0, metavar="N", help="frames looked at a second (2)")
    add_overwrite(live)
    live.set_defaults(command=_live)


def _live(options: argparse.Namespace) -> None:
    from ..data.language import describe_foreign
    from ..recordings.open import open_source
    from ..reports.console_tables import reads_only
    from ..reports.writers import report_name

    source = {"recording": options.source, "transcript": options.transcript} if options.transcript else options.source
    if options.output is not None:
        named = {"source": _source(options).name}
        output = options.output / report_name(named, Path(options.source).stem, "json")
        check_outputs(options, {output: "json"}, [options.source, options.transcript, options.faces])
    predictions: list[EmotionPrediction] = []
    is_stopped = False
    with remarks() as said:
        dialogue, recording = open_source(source, audio_track=options.audio_track)
        config = load_config(options.model)
        texts = [utterance.text for utterance in dialogue]
        foreign = describe_foreign(texts, config.languages) if "text" in config.modalities else None
        notes = [note for note in (reads_only(config.modalities), foreign) if note is not None]
        warnings.filterwarnings("ignore", re.escape(foreign or "(nothing)"))  # what is said here needs no repetition
        if notes:
            tell("\n".join(notes) + "\n")
        from ..online.live import live  # it loads torch, which a refused transcript does without

        pipe = load_pipeline(options.model)
        with _growing() as show:
            try:
                for position, prediction in live(pipe, _arriving(options, pipe, dialogue, recording, said)):
                    predictions[position : position + 1] = [prediction]
                    show(predictions, position)
            except KeyboardInterrupt:
                is_stopped = True
    if is_stopped:
        say(f"stopped after {len(predictions)} of {len(dialogue)} utterances.")
    if options.output is not None and predictions:
        _write(options, pipe.model.config, predictions, recording, said)


def _arriving(
    options: argparse.Namespace,
    pipe: "MultimodalEmotionPipeline",
    dialogue: "Dialogue",
    recording: Path | None,
    problems: list[str],
) -> "Iterable[Utterance]":
    """The utterances as they are said, each with its sound and faces."""
    from ..online.live import in_real_time

    utterances = in_real_time(dialogue, options.speed)
    if recording is None:
        yield from utterances
        return
    from ..recordings.build_reader import build_reader
    from ..recordings.streaming_reader import StreamingReader

    settings = {"faces": options.faces, "frame_rate": options.frame_rate, "audio_track": options.audio_track}
    reader = build_reader(pipe.model, pipe.processor, **settings)
    streaming = StreamingReader(reader, dialogue, recording)
    for utterance in utterances:
        read, found = streaming(utterance)
        problems += found
        yield read


@contextmanager
def _growing() -> "Iterator[Callable[[Sequence[EmotionPrediction], int], None]]":
    """A table that grows, in a terminal as high as it is; elsewhere a line for each prediction."""
    from rich.console import Console
    from rich.live import Live

    from ..reports.console_tables import prediction_table
    from ..utils.console import show

    console = Console()
    if not console.is_terminal:
        yield lambda predictions, position: tell(_line(predictions[position]))
        return
    shown: Sequence[EmotionPrediction] = []
    with Live(console=console, transient=True) as screen:

        def update(predictions: "Sequence[EmotionPrediction]", _: int) -> None:
            nonlocal shown
            shown = predictions
            screen.update(prediction_table(predictions[-max(1, console.height - 3) :]), refresh=True)

        yield update
    show(prediction_table(shown))


def _line(prediction: "EmotionPrediction") -> str:
    from ..utils.times import span

    words = (
        span(prediction["start"], prediction["end"]),
        f"{prediction['speaker']}:" if prediction["speaker"] else "",
        prediction["text"] or "",
        f"[{prediction['label']} {prediction['score']:.0%}]",
    )
    return " ".join(filter(None, words))


def _source(options: argparse.Namespace) -> Path:
    return Path(options.transcript or options.source)


def _write(
    options: argparse.Namespace,
    config: "M2FNetConfig",
    predictions: "Sequence[EmotionPrediction]",
    recording: Path | None,
    said: Sequence[str],
) -> None:
    from ..reports.result import build_result
    from ..reports.writers import write_reports

    source = _source(options)
    license = model_license(options.model)
    result = build_result(predictions, config, model_name(options.model), shown(source.name), said, license)
    if recording is not None:
        result["recording"] = Path(os.path.relpath(recording, options.output)).as_posix()
    (written,) = write_reports(result, options.output, Path(options.source).stem, ["json"])
    tell(f"\nWritten to {written}")
