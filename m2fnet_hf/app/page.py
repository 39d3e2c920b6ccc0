"""The page: what stands where, and which handler a button calls."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from ..data.transcripts import FORMATS
from ..recordings.pairs import RECORDINGS
from ..reports.console_tables import reads_only
from .examples import DIALOGUES
from .handlers import Handlers, read_rows
from .messages import beside, beside_each
from .microphone import LONGEST, Conversation
from .rows import COLUMNS, MOST_UTTERANCES
from .several import SeveralHandler
from .uploads import (
    LARGEST_RECORDING,
    LARGEST_TRANSCRIPT,
    LONGEST_RECORDING,
    MOST_FILES,
    UploadsOnly,
    as_paths,
    check_recording,
    sound_tracks,
)

SAMPLE = Path(__file__).with_name("sample")
RECORDING_TYPES, TRANSCRIPT_TYPES = ["video", "audio", *RECORDINGS], list(FORMATS)
HOUR = 3600  # seconds
WAITING = 100  # events; more are told that the page is busy
ONE_AT_A_TIME = "model"
LIVE_AT_ONCE = 4
CHUNK = 0.5  # seconds of sound, and between two pictures
BESIDE = 360  # pixels of width that a part needs to stand beside another
PAUSE = "() => document.querySelector('.player video, .player audio')?.pause()"
# Gradio's own fonts come from elsewhere, and white on its orange and its blue on dark are hard to read.
BUTTON = {f"button_primary_background_fill{state}": "*primary_700" for state in ("", "_dark")}
POINTED_AT = {f"button_primary_background_fill_hover{state}": "*primary_800" for state in ("", "_dark")}
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]).set(
    **BUTTON, **POINTED_AT, link_text_color_dark="*secondary_400"
)
CSS, SCRIPT = (Path(__file__).with_name(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))


class Inputs(NamedTuple):
    """What a visitor gives."""

    recording: gr.File
    transcript: gr.File
    table: gr.Dataframe
    track: gr.Dropdown


def build_page(handlers: Handlers) -> gr.Blocks:
    """The page, ready to launch."""
    title = "The emotions of a conversation"
    with UploadsOnly(title=title, analytics_enabled=False, fill_width=True, delete_cache=(HOUR // 6, HOUR)) as page:
        gr.Markdown(
            f"# {title}\nGive a recording and who says what in it (subtitles, csv, text, JSON, ELAN or Praat), or the "
            f"words alone. Model: {handlers.model}"
            f"{f' (licence: {handlers.license})' if handlers.license else ''}."
        )
        if note := reads_only(handlers.reads):
            gr.HTML(f'<p class="note">{note}</p>')
        with gr.Tabs():
            with gr.Tab("Conversation"):
                _one(handlers)
            with gr.Tab("Several"):
                _several(handlers)
            with gr.Tab("Live"):
                _microphone(handlers)
        page.unload(handlers.forget)
    return page.queue(max_size=WAITING)


def _one(handlers: Handlers) -> None:
    with gr.Row():
        with gr.Column():
            recording, track = _recording()
        with gr.Column(scale=2):
            transcript, table = _transcript(recording)
    inputs = Inputs(recording, transcript, table, track)
    _examples(inputs)
    with gr.Row():
        predict, play = gr.Button("Predict", variant="primary"), gr.Button("Play live")
        stop = gr.Button("Stop")
    problem = gr.HTML(elem_classes="said")
    with gr.Row():
        with gr.Column(min_width=BESIDE, elem_classes="beside"):
            player = gr.HTML(elem_classes="player")
        with gr.Column(min_width=BESIDE, scale=3):  # room for the page's timeline beside its table
            timeline = gr.HTML()
    with gr.Accordion("Which modality said what"):
        modalities = gr.HTML("Predict first.")
    reports = gr.Files(label="Reports", visible=False)
    predict.click(
        beside(4)(handlers.predict),
        list(inputs),
        [problem, timeline, modalities, reports, table],
        concurrency_id=ONE_AT_A_TIME,
        show_progress_on=timeline,
        api_name="predict",
    )
    playing = play.click(
        beside_each(2)(handlers.play),
        list(inputs),
        [problem, player, timeline],
        concurrency_limit=LIVE_AT_ONCE,
        show_progress_on=timeline,
        api_visibility="private",
    )
    stop.click(None, cancels=playing, js=PAUSE)


def _recording() -> tuple[gr.File, gr.Dropdown]:
    recording = gr.File(
        label=f"Video or sound, up to {LARGEST_RECORDING} MB and {LONGEST_RECORDING} hours",
        file_types=RECORDING_TYPES,
        height=140,
        elem_id="recording",
    )
    as_paths(recording)
    problem = gr.HTML(elem_id="recording-problem", elem_classes="said")
    track = gr.Dropdown(label="Sound track", visible=False, elem_id="track")
    with gr.Accordion("Record it now", open=False):
        mirror = gr.WebcamOptions(mirror=False)
        camera = gr.Video(label="Camera", sources=["webcam"], include_audio=True, webcam_options=mirror)
        microphone = gr.Audio(label="Microphone", sources=["microphone"], type="filepath")
    for recorder in (camera, microphone):
        recorder.stop_recording(lambda recorded: recorded, recorder, recording, api_visibility="private")
    recording.change(beside(1)(_tracks), recording, [problem, track], api_visibility="private")
    return recording, track


def _tracks(recording: str | None) -> tuple[str, gr.Dropdown]:
    """No remark, and the choice of a sound track, where there are several; a file that is no recording is refused."""
    if recording is None:
        return "", gr.Dropdown(visible=False, value=None, choices=[])
    chosen, names = check_recording(recording).audio_track, sound_tracks(recording)
    choices = [(name, number) for number, name in enumerate(names, start=1)]
    return "", gr.Dropdown(choices=choices, value=chosen, visible=len(choices) > 1)


def _transcript(recording: gr.File) -> tuple[gr.File, gr.Dataframe]:
    transcript = gr.File(
        label=f"Transcript, up to {LARGEST_TRANSCRIPT} MB",
        file_types=TRANSCRIPT_TYPES,
        height=140,
        elem_id="transcript",
    )
    as_paths(transcript)
    problem = gr.HTML(elem_id="transcript-problem", elem_classes="said")
    table = gr.Dataframe(
        label=f"Who says what; times in seconds; up to {MOST_UTTERANCES} rows. It can be corrected and predicted again",
        value=[[None] * len(COLUMNS)],  # a row to write into
        headers=list(COLUMNS),
        column_count=(len(COLUMNS), "fixed"),  # type: ignore[arg-type]  # as its documentation says
        column_widths=["85px", "85px", "120px", "auto"],
        type="array",
        interactive=True,
        wrap=True,
        max_height=300,
        elem_id="table",
    )
    transcript.change(beside(1)(read_rows), [transcript, recording], [problem, table], api_visibility="private")
    return transcript, table


def _examples(inputs: Inputs) -> None:
    """A button for the sample, and one for each dialogue; each empties the other fields."""
    sample = [str(SAMPLE / "conversation.mp4"), str(SAMPLE / "conversation.srt")]
    with gr.Row():
        _fill("Take the sample recording", sample, [inputs.recording, inputs.transcript])
        for name, rows in DIALOGUES.items():
            _fill(name, [None, None, rows], [inputs.recording, inputs.transcript, inputs.table])


def _fill(name: str, values: Sequence[Any], fields: list[Any]) -> None:
    gr.Button(name, size="sm").click(lambda: values, None, fields, api_visibility="private")


def _several(handlers: Handlers) -> None:
    gr.Markdown(
        f"Up to {MOST_FILES} recordings and transcripts, or a folder of them. A recording is read with the transcript "
        "of its name: talk.mp4 with talk.srt."
    )
    files = gr.File(
        label="Recordings and transcripts",
        file_count="multiple",
        file_types=[*RECORDING_TYPES, *TRANSCRIPT_TYPES],
        elem_id="several",
    )
    folder = gr.UploadButton("Choose a folder", file_count="directory", type="filepath")
    as_paths(files)
    as_paths(folder)
    folder.upload(lambda chosen: chosen, folder, files, api_visibility="private")
    button = gr.Button("Predict all", variant="primary")
    problem, table = gr.HTML(elem_classes="said"), gr.HTML()
    reports = gr.Files(label="Reports", visible=False)
    button.click(
        beside(2)(SeveralHandler(handlers).__call__),
        files,
        [problem, table, reports],
        concurrency_id=ONE_AT_A_TIME,
        show_progress_on=table,
        api_name="several",
    )


def _microphone(handlers: Handlers) -> None:
    revises = "stays" if handlers.pipe.model.config.causal else "may change with what follows: the model is not causal"
    gr.Markdown(
        f"Each utterance is judged when it was said, up to {LONGEST // HOUR} hour. What was judged {revises}. With the "
        "camera on, faces are looked for as well."
    )

    def add_sound(chunk: Any, conversation: Conversation | None, request: gr.Request) -> tuple[Any, ...]:
        if chunk is None:
            return gr.skip(), gr.skip(), conversation
        conversation = conversation or Conversation(handlers, request)
        return *conversation.add_sound(*chunk), conversation

    def finish(conversation: Conversation | None) -> tuple[Any, ...]:
        return *((gr.skip(), gr.skip()) if conversation is None else conversation.finish()), None

    def add_picture(image: Any, conversation: Conversation | None) -> None:
        if image is not None and conversation is not None:
            conversation.listener.add_picture(image)

    with gr.Row():
        with gr.Column(min_width=BESIDE):
            microphone = gr.Audio(
                label="Microphone", sources=["microphone"], streaming=True, type="numpy", elem_id="microphone"
            )
            camera = gr.Image(label="Camera", sources=["webcam"], streaming=True, type="numpy", elem_id="camera")
        with gr.Column(min_width=BESIDE, scale=3):
            problem, timeline = gr.HTML(elem_classes="said"), gr.HTML(elem_id="heard")
    conversation = gr.State(None)
    options: dict[str, Any] = {
        "concurrency_limit": LIVE_AT_ONCE,
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    outputs = [problem, timeline, conversation]
    microphone.stream(
        beside(2)(add_sound), [microphone, conversation], outputs, stream_every=CHUNK, time_limit=LONGEST, **options
    )
    microphone.stop_recording(beside(2)(finish), conversation, outputs, **options)
    camera.stream(add_picture, [camera, conversation], None, stream_every=CHUNK, time_limit=LONGEST, **options)
