"""The page: what stands where, and which handler a button calls."""

import shutil
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from ..reports.console_tables import reads_only
from .handlers import Handlers, answered, check_recording, read_rows
from .rows import COLUMNS

SAMPLE = Path(__file__).parents[2] / "examples" / "sample_dialogue"
LARGEST_UPLOAD = "512mb"
HOUR = 3600  # seconds
ONE_AT_A_TIME = "model"  # also because warnings are caught for the whole process, and belong to one visitor
LIVE_AT_ONCE = 4
BESIDE = 360  # pixels of width that a part needs to stand beside another
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


def build_page(handlers: Handlers) -> gr.Blocks:
    """The page, ready to launch."""
    title = "The emotions of a conversation"
    with gr.Blocks(title=title, analytics_enabled=False, fill_width=True, delete_cache=(HOUR, 4 * HOUR)) as page:
        gr.Markdown(
            f"# {title}\nGive a recording and who says what in it, or the words alone. Model: {handlers.model}"
            f"{f' (licence: {handlers.license})' if handlers.license else ''}."
        )
        if note := reads_only(handlers.reads):
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
                _emotions(handlers, inputs)
            with gr.Tab("Live"):
                _live(handlers, inputs)
    return page


def _emotions(handlers: Handlers, inputs: Inputs) -> None:
    button = gr.Button("Predict", variant="primary")
    timeline = gr.HTML()
    with gr.Accordion("Which modality said what"):
        modalities = gr.HTML("Predict first.")
    reports = gr.Files(label="Reports", visible=False)
    outputs = [timeline, modalities, reports, inputs.table, inputs.visitor]
    button.click(handlers.predict, list(inputs), outputs, concurrency_id=ONE_AT_A_TIME, show_progress_on=timeline)


def _live(handlers: Handlers, inputs: Inputs) -> None:
    revises = "stays" if handlers.pipe.model.config.causal else "may change with what follows: the model is not causal"
    gr.Markdown(f"Each utterance is judged when it was said. What was judged {revises}.")
    with gr.Row():
        start, stop = gr.Button("Play live", variant="primary"), gr.Button("Stop")
    with gr.Row():
        with gr.Column(min_width=BESIDE):
            player = gr.HTML(elem_classes="player")
        with gr.Column(min_width=BESIDE, scale=3):  # room for the page's timeline beside its table
            timeline = gr.HTML()
    utterances = gr.State(None)
    playing = start.click(
        handlers.read,
        [inputs.recording, inputs.transcript, inputs.table],
        utterances,
        concurrency_id=ONE_AT_A_TIME,
        show_progress_on=timeline,
    ).success(
        handlers.play,
        [inputs.recording, utterances, inputs.visitor],
        [player, timeline, inputs.visitor],
        concurrency_limit=LIVE_AT_ONCE,
        show_progress="hidden",
    )
    stop.click(None, cancels=playing, js=PAUSE)


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
    transcript = gr.File(label="Transcript: subtitles, csv, text, JSON, ELAN, Praat", height=140, elem_id="transcript")
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
    transcript.change(read_rows, transcript, table, concurrency_id=ONE_AT_A_TIME)
    return transcript, table


def _forget(folder: str | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
