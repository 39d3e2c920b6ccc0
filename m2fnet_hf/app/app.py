"""The emotions of a conversation in a browser: a Gradio app, and a Space as it is.

`python examples/app.py --model NAME` serves it here. In a Space the model is the one that the variable M2FNET_MODEL
names, likewise M2FNET_ASR and M2FNET_FACES; without them it is the embedded model, which reads text only.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import gradio as gr

from ..data.transcripts import read_transcript
from ..dialogue_m2fnet import Dialogue, Utterance
from ..hub.load import load_pipeline, model_name
from ..media.clip import Clip
from ..online.live import in_real_time, live
from ..pipeline_m2fnet import MultimodalEmotionPipeline
from ..recordings.build_reader import observer_for
from ..recordings.transcribe import transcribe
from ..reports.console_tables import UNREAD, reads_only
from ..reports.formatting import emotion, one_line, speaker_name
from ..reports.palette import palette
from ..reports.result import build_result
from ..reports.writers import write_reports
from ..utils.console import remarks

COLUMNS = ("start", "end", "speaker", "text")
SAMPLE = Path(__file__).parents[2] / "examples" / "sample_dialogue"
LARGEST_UPLOAD = "512mb"
HOUR = 3600  # seconds
MOST_DRAWN = 100  # utterances; the attention to more would be stripes too thin to see
ONE_AT_A_TIME = "model"  # also because warnings are caught for the whole process, and belong to one visitor
LIVE_AT_ONCE = 4
BESIDE = 360  # pixels of width that a part needs to stand beside another
LATEST = 'onload="this.contentWindow.scrollTo(0, this.contentDocument.body.scrollHeight)"'
PAUSE = "() => document.querySelector('.player video, .player audio')?.pause()"
# Gradio's own fonts come from elsewhere.
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
CSS = """
.note { padding: 0.5rem 0.75rem; border-left: 3px solid #CA7C00; background: var(--background-fill-secondary); }
iframe { width: 100%; height: 85vh; border: 1px solid var(--border-color-primary); border-radius: 8px; }
.player video, .player audio { width: 100%; max-height: 45vh; background: #000000; border-radius: 8px; }
.modalities { overflow-x: auto; }
.modalities table { width: 100%; border-collapse: collapse; }
.modalities table, .modalities thead, .modalities tr { border: 0; }
.modalities th, .modalities td {
  padding: 0.4rem 0.6rem; text-align: left; vertical-align: top;
  border: 0; border-bottom: 1px solid var(--border-color-primary);
}
.modalities td:first-child { min-width: 10rem; }
.modalities .emotion { white-space: nowrap; }
.modalities .strip { display: flex; min-width: 8rem; height: 1rem; border: 1px solid var(--border-color-primary); }
.modalities .strip i { flex: 1; background: var(--body-text-color); }
"""


class Inputs(NamedTuple):
    """What a visitor gives, and the folder with what was made for them."""

    recording: gr.File
    transcript: gr.File
    table: gr.Dataframe
    visitor: gr.State


class App:
    """The page, and what its buttons do.

    Args:
        pipe: the pipeline, one for all visitors.
        model: its name.
        folder: of results; each visitor has a folder in it.
        asr: speech recognition model, for recordings without transcript.
        faces: what finds the faces. Default: what the model was trained with.
    """

    def __init__(
        self, pipe: MultimodalEmotionPipeline, model: str, folder: str, asr: Any = None, faces: str | None = None
    ) -> None:
        self.pipe = pipe
        self.model = model
        self.folder = folder
        self.asr = asr
        self.faces = faces
        self.reads = pipe.model.config.modalities

    def page(self) -> gr.Blocks:
        """The page, ready to launch."""
        title = "The emotions of a conversation"
        with gr.Blocks(title=title, analytics_enabled=False, fill_width=True, delete_cache=(HOUR, 4 * HOUR)) as page:
            gr.Markdown(
                f"# {title}\nGive a recording and who says what in it, or the words alone. Model: {self.model}."
            )
            if note := reads_only(self.reads):
                gr.HTML(f'<p class="note">{note}</p>')
            with gr.Row():
                with gr.Column():
                    recording = _recording()
                with gr.Column(scale=2):
                    transcript, table = _transcript()
            if SAMPLE.exists():
                sample = [str(SAMPLE / "conversation.mp4"), str(SAMPLE / "conversation.srt")]
                gr.Button("Take the sample", size="sm").click(lambda: sample, None, [recording, transcript])
            inputs = Inputs(recording, transcript, table, gr.State(None, delete_callback=_forget))
            with gr.Tabs():
                with gr.Tab("Emotions"):
                    self._emotions(inputs)
                with gr.Tab("Live"):
                    self._live(inputs)
        return page

    def _emotions(self, inputs: Inputs) -> None:
        button = gr.Button("Predict", variant="primary")
        timeline = gr.HTML()
        with gr.Accordion("Which modality said what"):
            modalities = gr.HTML("Predict first.")
        reports = gr.Files(label="Reports", visible=False)
        outputs = [timeline, modalities, reports, inputs.table, inputs.visitor]
        button.click(self.predict, list(inputs), outputs, concurrency_id=ONE_AT_A_TIME, show_progress_on=timeline)

    def _live(self, inputs: Inputs) -> None:
        revises = "stays" if self.pipe.model.config.causal else "may change with what follows: the model is not causal"
        gr.Markdown(f"Each utterance is judged when it was said. What was judged {revises}.")
        with gr.Row():
            start, stop = gr.Button("Play live", variant="primary"), gr.Button("Stop")
        with gr.Row():
            with gr.Column(min_width=BESIDE):
                player = gr.HTML(elem_classes="player")
            with gr.Column(min_width=BESIDE, scale=3):  # room for the page's timeline beside its table
                timeline = gr.HTML()
        observed = gr.State(None)
        playing = start.click(
            self.observe,
            [inputs.recording, inputs.transcript, inputs.table],
            observed,
            concurrency_id=ONE_AT_A_TIME,
            show_progress_on=timeline,
        ).success(
            self.play,
            [inputs.recording, observed, inputs.visitor],
            [player, timeline, inputs.visitor],
            concurrency_limit=LIVE_AT_ONCE,
            show_progress="hidden",
        )
        stop.click(None, cancels=playing, js=PAUSE)

    def predict(
        self,
        recording: str | None,
        transcript: str | None,
        rows: list[list[Any]],
        visitor: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  so Gradio finds it
    ) -> tuple[Any, ...]:
        """The timeline, the modalities, the reports, the table's rows and the visitor's folder."""
        with answered():
            with remarks() as said:
                observed = self._observed(recording, transcript, rows, progress)
                answers: Any = self.pipe(observed, return_attentions=True)
                withheld = self._withheld(observed)
            source = Path(recording or transcript or "conversation")
            result = build_result(answers, self.pipe.model.config, self.model, source.name, said)
            visitor, folder = self._new_folder(visitor)
            with remarks() as left_out:
                reports = write_reports(result, folder, source.stem, video=recording)
            warn(left_out)
        files = gr.Files([str(report) for report in reports], visible=True)
        page = next(report for report in reports if report.suffix == ".html")
        if withheld:
            modalities = modality_table(answers, withheld, result["labels"])
        else:
            modalities = f"<p>This model reads {UNREAD[self.reads[0]]} only: there is nothing to withhold from it.</p>"
        return _frame(page), modalities, files, _rows(observed), visitor

    def observe(
        self,
        recording: str | None,
        transcript: str | None,
        rows: list[list[Any]],
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Utterance]:
        """The utterances, with what the model reads of the recording."""
        with answered(), remarks() as said:
            observed = self._observed(recording, transcript, rows, progress)
        warn(said)
        return observed

    def play(self, recording: str | None, observed: list[Utterance], visitor: str | None) -> Iterator[tuple[Any, ...]]:
        """The player, the timeline and the visitor's folder, again with every utterance that was said."""
        visitor, folder = self._new_folder(visitor)
        yield _player(recording), "", visitor
        source = Path(recording or "conversation").name
        answers: dict[int, Any] = {}
        with answered():
            for step, (position, answer) in enumerate(live(self.pipe, in_real_time(observed))):
                answers[position] = answer
                heard = [answers[number] for number in sorted(answers)]
                if any(one["modalities"] for one in heard):
                    result = build_result(heard, self.pipe.model.config, self.model, source)
                    (page,) = write_reports(result, folder, f"live-{step}", ["html"])
                    yield gr.skip(), _frame(page, LATEST), visitor

    def _observed(
        self, recording: str | None, transcript: str | None, rows: list[list[Any]], progress: gr.Progress
    ) -> list[Utterance]:
        def track(items: Iterable[Any], description: str = "", total: float | None = None) -> Iterable[Any]:
            return progress.tqdm(items, description, total)

        if recording is not None:
            check_recording(recording)
        utterances: Sequence[Any] = _utterances(rows)
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
            observe = observer_for(self.pipe.model, self.pipe.processor, self.faces, progress=track)
            dialogue = observe(dialogue, recording)
        return list(dialogue)

    def _withheld(self, observed: list[Utterance]) -> dict[str, Any]:
        """The answers without each modality that the model reads, where it reads several."""
        others = {one: [other for other in self.reads if other != one] for one in self.reads}
        return {one: self.pipe(observed, modalities=rest) for one, rest in others.items() if rest}

    def _new_folder(self, visitor: str | None) -> tuple[str, str]:
        """The visitor's folder, and an empty one in it; nobody can guess their names."""
        visitor = visitor or tempfile.mkdtemp(dir=self.folder)
        return visitor, tempfile.mkdtemp(dir=visitor)


@contextmanager
def answered() -> Iterator[None]:
    """What is wrong with what was given, as a sentence in the page."""
    try:
        yield
    except (ImportError, OSError, TypeError, ValueError) as error:
        raise gr.Error(escape(one_line(str(error))), duration=None, print_exception=False) from error


def warn(sentences: Iterable[str]) -> None:
    """Sentences in the page, beside what goes on."""
    for sentence in sentences:
        gr.Warning(escape(sentence), duration=None)


def read(transcript: str | None) -> Any:
    """The rows of the table, which stays as it is where the transcript was taken away."""
    if transcript is None:
        return gr.skip()
    with answered(), remarks() as said:
        rows = _rows(read_transcript(transcript))
    warn(said)
    return rows


def check_recording(recording: str) -> None:
    """Refuse a file without picture and sound."""
    clip = Clip(recording)
    if not clip.has_video and not clip.has_audio:
        raise ValueError(
            f"{clip.path.name} must be a video or a sound recording, found neither in it; give another file."
        )


def modality_table(answers: Sequence[Mapping[str, Any]], withheld: Mapping[str, Any], labels: Sequence[str]) -> str:
    """How each answer changes without a modality, and where the model looked for sound and faces.

    Args:
        answers: with all modalities, and with `attentions` or `weights`.
        withheld: by modality, the answers without it.
        labels: all emotions.
    """
    colors = palette(labels)
    looked = answers[0].get("attentions", {})
    names = ["Utterance", "With all", *(f"Without {UNREAD[name]}" for name in withheld)]
    names += [f"Where it looked for {UNREAD[name]}" for name in looked]
    names += ["Weights"] * ("weights" in answers[0])
    rows = []
    for number, answer in enumerate(answers):
        cells = [f"{number + 1}. <b>{escape(speaker_name(answer))}</b> {escape(one_line(answer['text']))}"]
        cells += [_emotion(answer, colors)]
        for name, others in withheld.items():
            cells.append(_change(answer, others[number], colors) if name in answer["modalities"] else "had none")
        cells += [_attention(answer["attentions"][name]) for name in looked]
        if "weights" in answer:
            cells.append(", ".join(f"{UNREAD[name]} {share:.0%}" for name, share in answer["weights"].items()))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<div class="modalities"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _change(answer: Mapping[str, Any], other: Mapping[str, Any], colors: Mapping[str, str]) -> str:
    """The answer without a modality, marked where it is another."""
    if not other["modalities"]:
        return "nothing is left"
    said = _emotion(other, colors)
    return said if other["label"] == answer["label"] else f"<strong>{said}</strong>"


def _emotion(answer: Mapping[str, Any], colors: Mapping[str, str]) -> str:
    dot = f'<span style="color:{colors[answer["label"]]}" aria-hidden="true">\u25cf</span>'
    return f'<span class="emotion">{dot} {escape(emotion(answer))}</span>'


def _attention(shares: Sequence[float]) -> str:
    """A stripe per utterance of the dialogue, darker for more, and the most in words."""
    most = max(range(len(shares)), key=shares.__getitem__)
    words = f"most at {most + 1} ({shares[most]:.0%})"
    if len(shares) > MOST_DRAWN:
        return words
    stripes = "".join(f'<i style="opacity:{share / shares[most]:.2f}"></i>' for share in shares)
    return f'<div class="strip" aria-hidden="true">{stripes}</div>{words}'


def _utterances(rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """The rows of the table that are not empty."""
    utterances = []
    for number, row in enumerate(rows, start=1):
        cells = [None if cell is None else str(cell).strip() or None for cell in row]
        if any(cells):
            start, end = (_seconds(cell, number) for cell in cells[:2])
            utterances.append({"start": start, "end": end, "speaker": cells[2], "text": cells[3]})
    return utterances


def _seconds(cell: str | None, row: int) -> float | None:
    try:
        return None if cell is None else float(cell)
    except ValueError:
        raise ValueError(f"Row {row} of the table must have times in seconds, found {cell!r}; correct it.") from None


def _rows(utterances: Iterable[Any]) -> list[list[Any]]:
    return [[getattr(utterance, column) for column in COLUMNS] for utterance in utterances]


def _recording() -> gr.File:
    recording = gr.File(label=f"Video or sound, up to {LARGEST_UPLOAD.upper()}", height=140, elem_id="recording")
    with gr.Accordion("Record it now", open=False):
        mirror = gr.WebcamOptions(mirror=False)
        camera = gr.Video(label="Camera", sources=["webcam"], include_audio=True, webcam_options=mirror)
        microphone = gr.Audio(label="Microphone", sources=["microphone"], type="filepath")
    for recorder in (camera, microphone):
        recorder.stop_recording(lambda recorded: recorded, recorder, recording)
    recording.upload(answered()(check_recording), recording)
    return recording


def _transcript() -> tuple[gr.File, gr.Dataframe]:
    transcript = gr.File(label="Transcript: SRT, VTT, csv or JSON", height=140, elem_id="transcript")
    table = gr.Dataframe(
        label="Who says what; times in seconds",
        headers=list(COLUMNS),
        column_count=(len(COLUMNS), "fixed"),  # type: ignore[arg-type]  # as its documentation says
        column_widths=["85px", "85px", "120px", "auto"],
        type="array",
        interactive=True,
        wrap=True,
        max_height=300,
    )
    transcript.change(read, transcript, table, concurrency_id=ONE_AT_A_TIME)
    return transcript, table


def _address(path: str | Path) -> str:
    return f"gradio_api/file={quote(str(path))}"


def _frame(page: Path, attributes: str = "") -> str:
    return f'<iframe title="Timeline" src="{_address(page)}" {attributes}></iframe>'


def _player(recording: str | None) -> str:
    if recording is None:
        return ""
    element = "video" if Clip(recording).has_video else "audio"
    return f'<{element} controls autoplay playsinline src="{_address(recording)}"></{element}>'


def _forget(folder: str | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; their defaults are the environment's, for a Space."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, help in (
        ("model", "folder or Hub name; default: the embedded meld-mini"),
        ("asr", "speech recognition model, for recordings without transcript"),
        ("faces", "pyfeat, pyfeat-v2, opencv or none; default: what the model was trained with"),
    ):
        parser.add_argument(f"--{name}", metavar="NAME", help=help, default=os.environ.get(f"M2FNET_{name.upper()}"))
    parser.add_argument("--port", type=int, help="default: the first that is free from 7860 on")
    return parser.parse_args(arguments)


def load(options: argparse.Namespace, folder: str) -> App:
    """The app with its models."""
    asr = None
    if options.asr is not None:
        from transformers import pipeline

        asr = pipeline("automatic-speech-recognition", model=options.asr)
    return App(load_pipeline(options.model), model_name(options.model), folder, asr, options.faces)


def serve(app: App, **options: Any) -> Any:
    """Launch the page; `options` are Gradio's."""
    return app.page().launch(
        allowed_paths=[app.folder, str(SAMPLE)],
        max_file_size=LARGEST_UPLOAD,
        theme=THEME,
        css=CSS,
        footer_links=["settings"],
        run_history=False,  # the next one at this browser need not know
        ssr_mode=False,
        **options,
    )


if __name__ == "__main__":
    options = parse()
    with tempfile.TemporaryDirectory(prefix="m2fnet-") as folder:
        serve(load(options, folder), server_port=options.port)
