"""What a user points at, to a dialogue and its recording."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..data.transcripts import FORMATS, read_transcript
from ..dialogue_m2fnet import Dialogue
from ..utils.hashes import hash_text
from ..utils.paths import check_file
from ..utils.text import shown
from .cache import Cache


def open_source(
    source: Any,
    asr: Any = None,
    cache: Cache | None = None,
    progress: Callable[..., Iterable[Any]] | None = None,
    audio_track: int | None = None,
) -> tuple[Dialogue, Path | None]:
    """A dialogue, and its recording where it has one.

    Args:
        source: path or URL of a transcript, or of a recording, or a dictionary of `recording` with `transcript` (path
            or URL) or `utterances`.
        asr: name of a speech recognition model, or the library's pipeline with one, for a recording without transcript.
        cache: keeps what it understood.
        progress: wraps the speech recognition, as `rich.progress.track` does.
        audio_track: which sound track it reads, from 1. Default: the first that is not silent.

    Raises:
        FileNotFoundError: without the file.
        ValueError: for a recording with neither transcript nor `asr`.
        OSError: where a URL cannot be fetched.
    """
    cache = cache or Cache(None)
    if not isinstance(source, Mapping):
        path = fetch(source, cache)
        if path.suffix.lower() in FORMATS:
            return read_transcript(path, trusted=not _is_fetched(path, cache)), None
        source = {"recording": path}
    recording = fetch(source["recording"], cache)
    if "utterances" in source:
        return Dialogue.from_any(source), recording
    if source.get("transcript") is not None:
        # PyAV, which a transcript alone does without.
        from ..media.clip import Clip
        from ..media.frame_rate import frame_rate

        # Times may count milliseconds or frames, which the recording tells.
        clip, transcript = Clip(recording, audio_track), fetch(source["transcript"], cache)
        trusted = not _is_fetched(transcript, cache)
        return read_transcript(transcript, clip.duration, frame_rate(recording), trusted), recording
    check_file(recording, "A recording")
    if asr is None:
        raise ValueError(
            f"{shown(recording.name)} needs the words that are said in it, found none; give `transcript` (a file that "
            f'ends in {", ".join(FORMATS)}) or `asr` (a speech recognition model such as "openai/whisper-small").'
        )
    from .transcribe import transcribe  # it loads the library's models

    return transcribe(recording, asr, cache, progress, audio_track), recording


def fetch(source: str | Path, cache: Cache) -> Path:
    """A path, or what lies at a URL, in a file that is named like it.

    Raises:
        OSError: where a URL cannot be fetched.
        TypeError: for what is neither.
        ValueError: for a URL without a host, or of another kind than http.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"A recording or transcript must be a path or an address, found {type(source).__name__}; give its name."
        )
    try:
        parts = urlsplit(str(source))
    except ValueError:  # a bracket that is not closed
        if str(source).startswith(("http://", "https://")):
            raise ValueError(
                "An address must look like https://host/file, found one without a host; check it."
            ) from None
        return Path(source)
    if parts.scheme not in ("http", "https") or not parts.netloc:  # a file may be called `http:a.mp4`
        if "://" in str(source) and not Path(source).exists():
            raise ValueError(
                f"An address must begin with http:// or https://, found {shown(source)}; fetch it yourself."
            )
        return Path(source)
    from .download import download

    path = cache.scratch / hash_text(str(source)) / (PurePosixPath(parts.path).name or "recording")
    download(str(source), path)
    return path


def _is_fetched(path: Path, cache: Cache) -> bool:
    return cache.scratch in path.parents
