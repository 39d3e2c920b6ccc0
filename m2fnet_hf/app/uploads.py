"""What visitors give: uploads and nothing else, of a stated size and length."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj_with_meta, traverse

from ..data.transcripts import open_transcript
from ..dialogue_m2fnet import Dialogue
from ..media.clip import Clip
from ..media.container import audio_tracks, open_container
from ..media.frame_rate import frame_rate
from .rows import MOST_UTTERANCES

LARGEST_RECORDING = 512  # MB
LARGEST_TRANSCRIPT = 5  # MB
LONGEST_RECORDING = 2  # hours
MOST_FILES = 50


class UploadsOnly(gr.Blocks):
    """A page whose handlers get files that were uploaded to it, and no other path or address."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> Any:
        """What the handler gets, of uploads alone.

        Raises:
            gr.Error: for another file, with one sentence.
        """
        traverse(inputs, _check_uploaded, is_file_obj_with_meta)
        return await super().preprocess_data(block_fn, inputs, *args, **kwargs)


Field = TypeVar("Field", gr.File, gr.UploadButton)


def as_paths(field: Field) -> Field:
    """The field, whose value is a path or a list of them. Gradio's way leaves an empty file behind at each reading."""

    def preprocess(payload: Any) -> Any:
        if payload is None or field.file_count == "single":
            return None if payload is None else payload.path
        return [file.path for file in payload]

    field.preprocess = preprocess  # type: ignore[method-assign]
    return field


def check_recording(path: str) -> Clip:
    """A recording with picture or sound, no longer than the page takes.

    Raises:
        ValueError: for anything else.
    """
    clip = Clip(path)
    name = clip.path.name
    if not clip.has_video and not clip.has_audio:
        raise ValueError(f"{name} must be a video or a sound recording, found neither in it; give another file.")
    if (clip.duration or 0.0) > LONGEST_RECORDING * 3600:
        raise ValueError(
            f"{name} must be no longer than {LONGEST_RECORDING} hours, found {clip.duration or 0.0:.0f} seconds; cut "
            "it into parts."
        )
    return clip


def sound_tracks(path: str) -> list[str]:
    """What a visitor can tell the sound tracks of a recording by."""
    with open_container(Path(path)) as container:
        return [
            ", ".join(filter(None, (f"Track {number}", *(track.metadata.get(key) for key in ("language", "title")))))
            for number, track in enumerate(audio_tracks(container), start=1)
        ]


def open_upload(path: str, recording: str | None = None) -> tuple[Dialogue, Sequence[str]]:
    """A transcript's dialogue and remarks.

    Args:
        recording: tells what its times count.

    Raises:
        ValueError: for one that is too large or long, or cannot be read.
    """
    size = os.path.getsize(path) / 2**20
    name = Path(path).name
    if size > LARGEST_TRANSCRIPT:
        raise ValueError(f"{name} must be no larger than {LARGEST_TRANSCRIPT} MB, found {size:.0f} MB; cut it.")
    duration = rate = None
    if recording is not None:
        duration, rate = Clip(recording).duration, frame_rate(Path(recording))
    transcript = open_transcript(path, duration, rate, trusted=False)
    if len(transcript.dialogue) > MOST_UTTERANCES:
        raise ValueError(
            f"{name} must have no more than {MOST_UTTERANCES} utterances, found {len(transcript.dialogue)}; cut it."
        )
    return transcript.dialogue, transcript.remarks


def _check_uploaded(file: dict[str, Any]) -> dict[str, Any]:
    path = str(file.get("path"))
    folder = Path(get_upload_folder()).resolve()
    try:
        is_uploaded = Path(path).resolve().is_relative_to(folder) and Path(path).is_file()
    except (OSError, ValueError):  # what no file can be called
        is_uploaded = False
    if not is_uploaded:
        raise gr.Error(
            f"A file must be uploaded to this page, found {escape(path[:80])!r}; choose the file itself.",
            duration=None,
            print_exception=False,
        )
    return file
