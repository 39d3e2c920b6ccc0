"""What a user points at, to a dialogue and its recording."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..data.transcripts import FORMATS, read_transcript
from ..dialogue_m2fnet import Dialogue
from ..utils.files import write_whole
from ..utils.hashes import hash_text
from .cache import Cache

TIMEOUT = 60.0  # seconds without an answer


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
            return read_transcript(path), None
        source = {"recording": path}
    recording = fetch(source["recording"], cache)
    if "utterances" in source:
        return Dialogue.from_any(source), recording
    if source.get("transcript") is not None:
        # PyAV, which a transcript alone does without.
        from ..media.clip import Clip
        from ..media.frame_rate import frame_rate

        # Times may count milliseconds or frames, which the recording tells.
        clip = Clip(recording, audio_track)
        return read_transcript(fetch(source["transcript"], cache), clip.duration, frame_rate(recording)), recording
    if not recording.exists():
        raise FileNotFoundError(f"A recording must be a file, found none at {recording}; check the path.")
    if asr is None:
        raise ValueError(
            f"{recording.name} needs the words that are said in it, found none; give `transcript` (a file that ends in "
            f'{", ".join(FORMATS)}) or `asr` (a speech recognition model such as "openai/whisper-small").'
        )
    from .transcribe import transcribe  # it loads the library's models

    return transcribe(recording, asr, cache, progress, audio_track), recording


def fetch(source: str | Path, cache: Cache) -> Path:
    """A path, or what lies at a URL, in a file that is named like it.

    Raises:
        OSError: where a URL cannot be fetched.
    """
    parts = urlsplit(str(source))
    if parts.scheme not in ("http", "https"):
        return Path(source)
    import fsspec
    from aiohttp import ClientError, ClientTimeout

    path = cache.scratch / hash_text(str(source)) / (PurePosixPath(parts.path).name or "recording")
    # The proxies of the environment, and an error from a server that sends nothing more.
    settings = {"trust_env": True, "timeout": ClientTimeout(sock_connect=TIMEOUT, sock_read=TIMEOUT)}
    try:
        with write_whole(path, concurrent=True) as part:
            fsspec.filesystem(parts.scheme, client_kwargs=settings).get_file(str(source), str(part))
    except (ClientError, OSError, TimeoutError) as error:
        raise OSError(f"{source} must be a file that can be fetched, found: {error}; check the address.") from error
    return path
