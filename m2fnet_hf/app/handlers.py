"""What the page's buttons do."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from transformers import Pipeline

from ..data.transcripts import read_transcript
from ..dialogue_m2fnet import Dialogue, Utterance
from ..media.clip import Clip
from ..online.live import in_real_time, live
from ..pipeline_m2fnet import MultimodalEmotionPipeline
from ..recordings.build_reader import build_reader
from ..recordings.transcribe import transcribe
from ..reports.console_tables import UNREAD
from ..reports.formatting import one_line
from ..reports.result import build_result
from ..reports.writers import write_reports
from ..utils.console import remarks
from .modality_table import modality_table
from .rows import from_rows, to_rows

LATEST = 'onload="this.contentWindow.scrollTo(0, this.contentDocument.body.scrollHeight)"'


class Handlers:
    """Predictions for visitors, each of whom has files of their own.

    Args:
        pipe: the pipeline, one for all visitors.
        model: its name.
        folder: of results; each visitor has a folder in it.
        asr: speech recognition model, for recordings without transcript.
        faces: what finds the faces. Default: what the model was trained with.
        license: of the model's weights.
    """

    def __init__(
        self,
        pipe: MultimodalEmotionPipeline,
        model: str,
        folder: str,
        asr: Pipeline | None = None,
        faces: str | None = None,
        license: str | None = None,
    ) -> None:
        self.pipe = pipe
        self.model = model
        self.folder = folder
        self.asr = asr
        self.faces = faces
        self.license = license
        self.reads = pipe.model.config.modalities

    def predict(
        self,
        recording: str | None,
        transcript: str | None,
        rows: list[list[Any]],
        visitor: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  so Gradio finds it
    ) -> tuple[Any, ...]:
        """The timeline, the modalities, the reports, the table's rows and the visitor's folder.

        Raises:
            gr.Error: with one sentence, for what cannot be read.
        """
        with answered():
            with remarks() as said:
                utterances = self._read(recording, transcript, rows, progress, said)
                answers: Any = self.pipe(utterances, return_attentions=True, return_modalities=True)
            source = Path(recording or transcript or "conversation")
            result = build_result(answers, self.pipe.model.config, self.model, source.name, said, self.license)
            visitor, folder = self._new_folder(visitor)
            with remarks() as left_out:
                reports = write_reports(result, folder, source.stem, recording=recording)
            warn(left_out)
        files = gr.Files([str(report) for report in reports], visible=True)
        page = next(report for report in reports if report.suffix == ".html")
        if len(self.reads) > 1:
            modalities = modality_table(answers, self.reads, result["labels"])
        else:
            modalities = f"<p>This model reads {UNREAD[self.reads[0]]} only: there is nothing to withhold from it.</p>"
        return _frame(page), modalities, files, to_rows(utterances), visitor

    def read(
        self,
        recording: str | None,
        transcript: str | None,
        rows: list[list[Any]],
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Utterance]:
        """The utterances, with what the model reads of the recording.

        Raises:
            gr.Error: with one sentence, for what cannot be read.
        """
        with answered(), remarks() as said:
            utterances = self._read(recording, transcript, rows, progress, said)
        warn(said)
        return utterances

    def play(
        self, recording: str | None, utterances: list[Utterance], visitor: str | None
    ) -> Iterator[tuple[Any, ...]]:
        """The player, the timeline and the visitor's folder, again with every utterance that was said."""
        visitor, folder = self._new_folder(visitor)
        yield _player(recording), "", visitor
        source = Path(recording or "conversation").name
        answers: dict[int, Any] = {}
        with answered():
            for step, (position, answer) in enumerate(live(self.pipe, in_real_time(utterances))):
                answers[position] = answer
                heard = [answers[number] for number in sorted(answers)]
                if any(one["modalities"] for one in heard):
                    result = build_result(heard, self.pipe.model.config, self.model, source, model_license=self.license)
                    (page,) = write_reports(result, folder, f"live-{step}", ["html"])
                    yield gr.skip(), _frame(page, LATEST), visitor

    def _read(
        self,
        recording: str | None,
        transcript: str | None,
        rows: list[list[Any]],
        progress: gr.Progress,
        problems: list[str],
    ) -> list[Utterance]:
        def track(items: Iterable[Any], description: str = "", total: float | None = None) -> Iterable[Any]:
            return progress.tqdm(items, description, total)

        if recording is not None:
            check_recording(recording)
        utterances: Sequence[Any] = from_rows(rows)
        if not utterances and transcript is not None:  # it was not yet read into the table
            utterances = list(read_transcript(transcript))
        if not utterances and recording is not None and self.asr is not None:
            utterances = list(transcribe(Path(recording), self.asr, progress=track))
        if not utterances:
            raise ValueError(
                "The words that are said are needed, found none; upload a transcript or write them into the table."
            )
        dialogue = Dialogue(utterances)
        if recording is not None:
            reader = build_reader(self.pipe.model, self.pipe.processor, self.faces, progress=track)
            dialogue, found = reader(dialogue, recording)
            problems += found
        return list(dialogue)

    def _new_folder(self, visitor: str | None) -> tuple[str, str]:
        """The visitor's folder, and an empty one in it; their names cannot be guessed."""
        visitor = visitor or tempfile.mkdtemp(dir=self.folder)
        return visitor, tempfile.mkdtemp(dir=visitor)


@contextmanager
def answered() -> Iterator[None]:
    """What is wrong with what was given, as a sentence in the page.

    Raises:
        gr.Error: in place of an error of its body.
    """
    try:
        yield
    except (ImportError, OSError, TypeError, ValueError) as error:
        raise gr.Error(escape(one_line(str(error))), duration=None, print_exception=False) from error


def warn(sentences: Iterable[str]) -> None:
    """Sentences in the page, beside what goes on."""
    for sentence in sentences:
        gr.Warning(escape(sentence), duration=None)


def read_rows(transcript: str | None) -> Any:
    """The rows of the table, which stays as it is where the transcript was taken away."""
    if transcript is None:
        return gr.skip()
    with answered(), remarks() as said:
        rows = to_rows(read_transcript(transcript))
    warn(said)
    return rows


def check_recording(recording: str) -> None:
    """Refuse a file without picture and sound.

    Raises:
        ValueError: for such a file.
    """
    clip = Clip(recording)
    if not clip.has_video and not clip.has_audio:
        raise ValueError(
            f"{clip.path.name} must be a video or a sound recording, found neither in it; give another file."
        )


def _address(path: str | Path) -> str:
    return f"gradio_api/file={quote(str(path))}"


def _frame(page: Path, attributes: str = "") -> str:
    return f'<iframe title="Timeline" src="{_address(page)}" {attributes}></iframe>'


def _player(recording: str | None) -> str:
    if recording is None:
        return ""
    element = "video" if Clip(recording).has_video else "audio"
    return f'<{element} controls autoplay playsinline src="{_address(recording)}"></{element}>'
