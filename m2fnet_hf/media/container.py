"""Files as FFmpeg opens them: their streams, where they begin and how long they last."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ..dialogue_m2fnet import SAMPLING_RATES

# Tags may be in any encoding; from PyAV 19 on none of them is refused.
_ANY_TAGS: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}
# What people record with and send. FFmpeg knows hundreds more, among them playlists, scripts and addresses that make it
# open further files, and games' formats that few have looked at.
FORMATS = (
    *("mov", "matroska", "avi", "mpeg", "mpegts", "flv", "asf", "mxf", "ogg", "rm", "dv", "wtv", "nut", "ivf"),
    *("wav", "w64", "mp3", "aac", "ac3", "eac3", "dts", "flac", "aiff", "au", "caf", "amr", "ape", "wv", "tta", "mpc"),
    *("h264", "hevc", "m4v", "mpegvideo", "mjpeg", "gif", "apng"),
)
# QuickTime's tracks may lie in other files (`drefs`).
_LIMITS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file", "enable_drefs": "0"}
# Pixels of a picture: four times those of 8K.
MOST_PIXELS = 1 << 27
# FFmpeg up to 8.0 counts what decoders drop from the front of Matroska's sound, up to this long before 0.
_PRIMING = 0.5
# What is piped to WAV cannot announce its length: programs write 0, or about as much as fits in 31 or 32 bits.
_LARGEST_WAV = 0x7FFF0000


def open_container(path: Path) -> InputContainer:
    """A file for reading, by any of the PyAV releases that the package allows; it opens no other file.

    Raises:
        av.FFmpegError: where FFmpeg finds no recording in it, of one of `FORMATS`.
    """
    # Absolute, since FFmpeg takes what comes before a colon for a protocol.
    return av.open(str(path.absolute()), container_options=_LIMITS, **_ANY_TAGS)


def why_not(error: av.FFmpegError) -> str:
    """Why a file cannot be opened."""
    if isinstance(error, av.ArgumentError):
        return "it is of no format that is read"
    return error.strerror or type(error).__name__


def video_stream(container: InputContainer) -> VideoStream | None:
    """The stream that FFmpeg would show, among those that can be decoded and are no cover picture."""
    playable = [stream for stream in container.streams.video if is_playable(stream)]
    best: Any = container.streams.best("video")
    stream = best if best in playable else next(iter(playable), None)
    if stream is not None:
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return stream


def audio_tracks(container: InputContainer) -> list[AudioStream]:
    """The sound tracks in the order of the file, also those that cannot be decoded."""
    return list(container.streams.audio)


def is_playable(stream: Any) -> bool:
    """Whether it can be decoded, is no cover picture, and is of a size that recordings have."""
    if not stream.codec_context or stream.disposition & Disposition.attached_pic:
        return False
    if stream.type == "audio":
        lowest, highest = SAMPLING_RATES
        return lowest <= stream.sample_rate <= highest
    return stream.width * stream.height <= MOST_PIXELS


def origin_of(container: InputContainer) -> Fraction:
    """The first time stamp of video and sound in seconds; exact, while the container's own is rounded."""
    streams = [video_stream(container), *filter(is_playable, audio_tracks(container))]
    stamps = [(one, one.start_time) for one in streams if one is not None and one.start_time is not None]
    first = min((seconds(stamp, stream) for stream, stamp in stamps), default=Fraction(0))
    return Fraction(0) if -_PRIMING < first < 0 else first


def duration_of(container: InputContainer) -> float | None:
    """In seconds, where the file tells."""
    if container.duration is None:
        return None
    # Where streams have no duration of their own, the container's counts from time stamp 0.
    is_measured = any(stream.duration is not None for stream in container.streams)
    return container.duration / av.time_base - (0.0 if is_measured else float(origin_of(container)))


def seconds(ticks: int, timed: Any) -> Fraction:
    """Exact seconds of ticks of the time base of a stream or packet."""
    return ticks * timed.time_base


def has_open_end(path: Path) -> bool:
    """Whether this is a WAV file that does not say how long it is, as pipes write it: it may end anywhere."""
    with path.open("rb") as file:
        if file.read(4) != b"RIFF" or file.read(8)[4:] != b"WAVE":
            return False
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"data":
                return size == 0 or size >= _LARGEST_WAV
            file.seek(size + size % 2, 1)
    return False
