"""What the page's buttons do with a conversation."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from transformers import Pipeline

from ..dialogue_m2fnet import Dialogue, Utterance
from ..media.clip import Clip
from ..online.live import LiveEmotions, in_real_time
from ..pipeline_m2fnet import MultimodalEmotionPipeline
from ..recordings.build_reader import build_reader
from ..recordings.transcribe import transcribe
from ..reports.console_tables import UNREAD
from ..reports.result import build_result
from ..reports.writers import write_reports
from ..utils.console import gathered
from .messages import remark
from .modality_table import modality_table
from .rows import from_rows, to_rows
from .turn import Turn
from .uploads import check_recording, open_upload

FITTED = (
    "const page = this.contentDocument.documentElement;"
    "new ResizeObserver(() => this.style.height = `${page.offsetHeight + 2}px`).observe(page);"
)
LATEST = "this.contentWindow.scrollTo(0, this.contentDocument.body.scrollHeight)"
KEPT = 3600  # seconds that results are kept of visitors who did not close the page


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
        self.folder = Path(folder)
        self.asr = asr
        self.faces = faces
        self.license = license
        self.reads = pipe.model.config.modalities
        # The tokenizer is for one thread at a time, and warnings are caught for the whole process.
        self.turn = Turn()

    def predict(
        self,
        recording: str | None,
        transcript: str | None,
        rows: list[list[Any]],
        track: int | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  so Gradio finds it
    ) -> tuple[Any, ...]:
        """Remarks, the timeline, the modalities, the reports and the table's rows."""
        source = Path(recording or transcript or "conversation")
        with self.turn:
            utterances = self.utterances(recording, transcript, rows, track, progress)
            answers, result = self.answer(utterances, recording, source.name, track, progress)
            reports, left_out = self.write(result, self.new_folder(request), source.stem, recording)
        files = gr.Files([str(report) for report in reports], visible=True)
        page = next(report for report in reports if report.suffix == ".html")
        if len(self.reads) > 1:
            modalities = modality_table(answers, self.reads, result["labels"])
        else:
            modalities = f"<p>This model reads {UNREAD[self.reads[0]]} only: there is nothing to withhold from it.</p>"
        return remark([*result["warnings"], *left_out]), frame(page), modalities, files, to_rows(utterances)

    def play(
        self,
        recording: str | None,
        transcript: str | None,
        rows: list[list[Any]],
        track: int | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        """Remarks, the player and the timeline, again with every utterance that was said."""
        with self.turn:
            utterances = self.utterances(recording, transcript, rows, track, progress)
            dialogue, problems = self.with_recording(utterances, recording, track, progress)
        yield remark(problems), player(recording), ""
        shown, emotions = LiveTimeline(self, request), LiveEmotions(self.pipe)
        answers: dict[int, Any] = {}
        for utterance in in_real_time(dialogue):
            with self.turn:
                answers.update(emotions.add(utterance))
                timeline = shown(answers, Path(recording or "conversation").name)
            yield gr.skip(), gr.skip(), timeline

    def utterances(
        self,
        recording: str | None,
        transcript: str | None,
        rows: list[list[Any]],
        track: int | None,
        progress: gr.Progress,
    ) -> list[Utterance]:
        """Who says what: the table's rows, or the transcript that was not read into it, or what is recognised.

        Raises:
            ValueError: where no words are given.
        """
        if recording is not None:
            check_recording(recording)
        utterances = from_rows(rows)
        if not utterances and transcript is not None:
            utterances = from_rows(to_rows(open_upload(transcript, recording)[0]))
        if not utterances and recording is not None and self.asr is not None:
            utterances = list(transcribe(Path(recording), self.asr, progress=_tracked(progress), audio_track=track))
        if not utterances:
            raise ValueError(
                "The words that are said are needed, found none; upload a transcript or write them into the table."
            )
        return utterances

    def with_recording(
        self, utterances: Sequence[Utterance], recording: str | None, track: int | None, progress: gr.Progress
    ) -> tuple[Dialogue, list[str]]:
        """The utterances with what the model reads of the recording, and what it could not read."""
        if recording is None:
            return Dialogue(utterances), []
        settings = {"faces": self.faces, "audio_track": track, "progress": _tracked(progress)}
        return build_reader(self.pipe.model, self.pipe.processor, **settings)(Dialogue(utterances), recording)

    def answer(
        self,
        utterances: Sequence[Utterance],
        recording: str | None,
        source: str,
        track: int | None,
        progress: gr.Progress,
    ) -> tuple[Any, dict[str, Any]]:
        """The predictions, and the result that all reports take."""
        dialogue, problems = self.with_recording(utterances, recording, track, progress)
        looks = isinstance(self.pipe, MultimodalEmotionPipeline)  # an exported model gives no attentions
        answers: Any = self.pipe(
            list(dialogue), return_attentions=looks, return_modalities=True, on_problem=problems.append
        )
        return answers, build_result(answers, self.pipe.model.config, self.model, source, problems, self.license)

    def write(
        self, result: dict[str, Any], folder: str | Path, stem: str, recording: str | None
    ) -> tuple[list[Path], list[str]]:
        """The reports, and what was left out of them."""
        with gathered() as left_out:
            reports = write_reports(result, folder, stem, recording=recording)
        return reports, left_out

    def new_folder(self, request: gr.Request) -> str:
        """An empty folder in the visitor's own; their names cannot be guessed."""
        for old in self.folder.iterdir():
            if time.time() - old.stat().st_mtime > KEPT:
                shutil.rmtree(old, ignore_errors=True)
        visitor = self._visitor(request)
        visitor.mkdir(exist_ok=True)
        return tempfile.mkdtemp(dir=visitor)

    def forget(self, request: gr.Request) -> None:
        """Delete what was made for a visitor."""
        shutil.rmtree(self._visitor(request), ignore_errors=True)

    def _visitor(self, request: gr.Request) -> Path:
        return self.folder / sha256(str(request.session_hash).encode()).hexdigest()


class LiveTimeline:
    """A timeline that grows, in one file."""

    def __init__(self, handlers: Handlers, request: gr.Request) -> None:
        self.handlers = handlers
        self._folder = handlers.new_folder(request)
        self._drawn = 0

    def __call__(self, answers: dict[int, Any], source: str) -> Any:
        """HTML with the timeline of the predictions by position; nothing new where nothing could be read."""
        heard = [answers[number] for number in sorted(answers)]
        if not any(one["modalities"] for one in heard):
            return gr.skip()
        config, model, license = self.handlers.pipe.model.config, self.handlers.model, self.handlers.license
        result = build_result(heard, config, model, source, model_license=license)
        (page,) = write_reports(result, self._folder, "live", ["html"])
        self._drawn += 1
        return frame(page, LATEST, f"?{self._drawn}")


def read_rows(transcript: str | None, recording: str | None) -> Any:
    """Remarks, and the rows of the table, which stays as it is where the transcript was taken away."""
    if transcript is None:
        return "", gr.skip()
    dialogue, said = open_upload(transcript, recording)
    return remark(said), to_rows(dialogue)


def frame(page: Path, loaded: str = "", version: str = "") -> str:
    """HTML that shows a page, as high as it is, and does what is to be done once it is loaded."""
    return f'<iframe title="Timeline" src="{_address(page)}{version}" onload="{FITTED}{loaded}"></iframe>'


def player(recording: str | None) -> str:
    """HTML that plays a recording."""
    if recording is None:
        return ""
    element = "video" if Clip(recording).has_video else "audio"
    return f'<{element} controls autoplay playsinline src="{_address(recording)}"></{element}>'


def _address(path: str | Path) -> str:
    return f"gradio_api/file={quote(str(path))}"


def _tracked(progress: gr.Progress) -> Any:
    def track(items: Iterable[Any], description: str = "", total: float | None = None) -> Iterable[Any]:
        return progress.tqdm(items, description, total)

    return track
