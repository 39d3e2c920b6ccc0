"""What `m2fnet predict` does with one conversation or with many: read it, predict it, write it."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..hub.load import model_license, model_name
from ..utils.console import progress, remarks, say, working
from ..utils.paths import short_stem
from ..utils.text import shown
from .outputs import check_outputs

if TYPE_CHECKING:
    from ..configuration_m2fnet import M2FNetConfig
    from ..dialogue_m2fnet import Dialogue
    from ..pipeline_m2fnet import MultimodalEmotionPipeline
    from ..saved_config import SavedConfig

ANNOTATED = "{}.annotated.mp4"


class Conversation(NamedTuple):
    """What is predicted.

    Args:
        dialogue: who says what.
        transcript, recording: its files; one of them may be `None`.
        remarks: what was not understood of the transcript.
    """

    dialogue: "Dialogue"
    transcript: Path | None
    recording: Path | None
    remarks: list[str]

    @property
    def source(self) -> Path:
        source = self.transcript or self.recording
        assert source is not None
        return source


def read_conversation(options: argparse.Namespace, transcript: Path | None, recording: Path | None) -> Conversation:
    """Read the transcript, or have what is said recognised, before the model is loaded."""
    from ..recordings.cache import open_cache
    from ..recordings.open import open_source

    source = transcript if recording is None else {"recording": recording, "transcript": transcript}
    cache = open_cache(options.cache)
    name_speakers = _speakers(options, recording)
    with remarks() as said:
        dialogue, recording = open_source(source, options.asr, cache, progress, options.audio_track)
        said += cache.take_problems()
    return Conversation(name_speakers(dialogue), transcript, recording, said)


def _speakers(options: argparse.Namespace, recording: Path | None) -> "Callable[[Dialogue], Dialogue]":
    """What names the speakers that are unknown, where that is asked for."""
    if options.speakers is None or recording is None:
        return lambda dialogue: dialogue
    from ..recordings.diarize import find_turns, name_speakers

    return partial(name_speakers, turns=find_turns(recording, options.speakers, options.audio_track))


def foreign_words(conversation: Conversation, config: "M2FNetConfig | SavedConfig") -> str | None:
    """What is to be said of its language, before the work."""
    from ..data.language import describe_foreign

    languages = config.languages if "text" in config.modalities else None
    return describe_foreign([utterance.text for utterance in conversation.dialogue], languages)


def predict_conversations(
    pipe: "MultimodalEmotionPipeline", conversations: Sequence[Conversation], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """The result of each, as every report takes it, in turn; what could not be read is said."""
    from ..reports.result import build_result

    found: list[str] = []
    answers: Any = pipe(
        (replace(one.dialogue, recording=one.recording) for one in conversations),
        faces=options.faces,
        frame_rate=options.frame_rate,
        audio_track=options.audio_track,
        cache=options.cache,
        progress=progress,
        on_problem=found.append,
        return_faces=any(one.recording is not None for one in conversations),
        return_modalities=len(pipe.model.config.modalities) > 1,
    )
    config, name, license = pipe.model.config, model_name(options.model), model_license(options.model)
    for conversation in conversations:
        known = {foreign_words(conversation, config), *conversation.remarks}
        with remarks() as said:
            predictions = next(answers)
            said += [sentence for sentence in found if sentence not in known]
            found.clear()
        if conversation.recording is None:
            for prediction in predictions:
                prediction.pop("faces", None)
        warnings = [*conversation.remarks, *said]
        yield build_result(predictions, config, name, shown(conversation.source.name), warnings, license)


def write_conversation(
    result: dict[str, Any],
    conversation: Conversation,
    options: argparse.Namespace,
    stem: str,
    kinds: list[str] | Literal["all"],
) -> list[Path]:
    """The reports, and the annotated video."""
    from ..reports.writers import write_reports

    recording = conversation.recording
    if recording is not None:
        result["recording"] = Path(os.path.relpath(recording, options.output)).as_posix()
    with remarks():
        with working("Writing the reports"):
            written = write_reports(result, options.output, stem, kinds, recording, conversation.transcript)
        if options.annotate and recording is not None:
            annotated = options.output / ANNOTATED.format(short_stem(stem))
            try:
                draw(recording, result, annotated)
                written.append(annotated)
            except ValueError as error:  # nothing to draw in, but the predictions were made
                say(str(error))
    return written


def check_results(
    options: argparse.Namespace, conversation: Conversation, stem: str, kinds: list[str] | Literal["all"]
) -> None:
    """Refuse to write over anything but results of the same conversation."""
    from ..reports.writers import KINDS, report_name

    named = {"source": conversation.source.name}
    outputs = {options.output / report_name(named, stem, kind): kind for kind in (KINDS if kinds == "all" else kinds)}
    if options.annotate:
        outputs[options.output / ANNOTATED.format(short_stem(stem))] = "mp4"
    check_outputs(options, outputs, [conversation.transcript, conversation.recording, options.faces])


def draw(recording: Path, result: dict[str, Any], output: Path) -> None:
    """The copy of a recording with the predictions drawn in."""
    from ..reports.annotate import annotate_recording

    annotate_recording(recording, result, output, progress=progress)


def report_kinds(options: argparse.Namespace) -> list[str] | Literal["all"]:
    """The kinds of reports that were asked for."""
    from ..reports.writers import KNOWN

    if options.output is None and (options.report or options.annotate):
        options.parser.error("--report and --annotate need --output FOLDER")
    kinds = (options.report or "json").split(",")
    unknown = [kind for kind in kinds if kind not in (*KNOWN, "all")]
    if unknown:
        options.parser.error(f"--report takes {', '.join(KNOWN)} or all, found {', '.join(unknown)}")
    return "all" if "all" in kinds else kinds


def check_reports(options: argparse.Namespace, kinds: list[str] | Literal["all"]) -> None:
    """Whether their folder can be one and all packages that they need are installed, before the work."""
    from ..reports.writers import check_packages

    if options.output.exists() and not options.output.is_dir():
        options.parser.error(f"--output must be a folder, found a file at {options.output}")
    check_packages(kinds)
    if options.annotate:
        from ..reports import annotate  # noqa: F401  it says what it lacks
