"""A copy of a recording with a prediction drawn into it, and its sound kept."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..media.container import open_container
from ..media.sound import is_known, mixable
from ..utils.files import write_whole
from ..utils.paths import check_file
from ..utils.times import clock
from .formatting import MARK
from .overlay import Painter, planes_of

_TICK = Fraction(1, 60_000)  # whole for the usual frame rates, and about the finest that MPEG-4 allows
_ENCODERS = {
    "libx264": {"crf": "20", "preset": "veryfast"},
    "mpeg4": {"flags": "+qscale", "global_quality": str(3 * 118)},
}
_COPIED_SOUND = frozenset({"aac", "ac3", "alac", "eac3", "mp3", "opus"})
_USUAL_RATE = Fraction(25)
_END_TOLERANCE = 1.0  # seconds that a whole recording may lack of what it announces


def annotate_recording(
    recording: Path,
    result: Mapping[str, Any],
    output: Path,
    progress: Callable[[Iterable[float]], Iterable[float]] = iter,
) -> None:
    """Writes a copy of a recording with the boxes of faces, and with the text and emotion of what is said.

    The copy is an mp4, upright, with the recording's sound and the times of its frames.

    Args:
        recording: a file with pictures.
        result: `labels`, and `utterances` with `start` and `end` in seconds (`None`: not shown), `speaker`, `text`,
            `label`, `score` and perhaps `faces`, each with `time`, `track` and `box`: left, top, right and bottom as
            shares of the upright picture. Between its samples a box moves evenly.
        output: the file to write; one that exists is replaced at the end.
        progress: wraps the iterable of the seconds that are done.

    Raises:
        FileNotFoundError: without the recording.
        ValueError: for a recording without pictures, or that is the output too.

    Warns:
        UserWarning: for a recording that is cut off or damaged.
    """
    check_file(recording, "A recording")
    first = _first_frame(recording)
    if output.exists() and output.samefile(recording):
        raise ValueError(f"The output must be another file than the recording, found {output} for both; rename it.")
    with (
        write_whole(output) as part,
        open_container(recording) as source,
        av.open(str(part.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as target,
    ):
        target.metadata["comment"] = MARK
        reader = _Reader(source)
        for _ in progress(_copy(reader, target, first, Painter(first, result))):
            pass
    if problem := reader.problem(recording.name):
        warnings.warn(problem, stacklevel=2)


def _first_frame(recording: Path) -> VideoFrame:
    try:
        with open_container(recording) as source:
            return next(source.decode(_picture_stream(source)))
    except (av.FFmpegError, StopIteration):
        raise ValueError(
            f"{recording.name} shows no picture to draw in; give a recording with video that can be decoded."
        ) from None


def _picture_stream(source: InputContainer) -> VideoStream:
    """The first video that is not a cover."""
    return next(stream for stream in source.streams.video if not stream.disposition & Disposition.attached_pic)


def _copy(reader: "_Reader", target: OutputContainer, first: VideoFrame, painter: Painter) -> Iterator[float]:
    """Writes the recording with what is drawn in, and yields the seconds that are done."""
    writers: dict[int, _Pictures | _CopiedSound | _EncodedSound] = {
        reader.picture.index: _Pictures(reader, target, first, painter)
    }
    for sound in reader.sounds:
        writer = _CopiedSound if sound.codec.canonical_name in _COPIED_SOUND else _EncodedSound
        writers[sound.index] = writer(reader, target, sound)
    for packet in reader.packets():
        for written in writers[packet.stream.index].write(packet):
            target.mux(written)
        yield reader.end


class _Reader:
    """What can be read of a recording, at times that begin with 0."""

    def __init__(self, source: InputContainer) -> None:
        self.source = source
        self.picture = _picture_stream(source)
        self.picture.thread_type = "AUTO"
        self.sounds = [stream for stream in source.streams.audio if stream.codec_context]  # else of an unknown codec
        self.streams = (self.picture, *self.sounds)
        starts = [_seconds(stream.start_time, stream) for stream in self.streams if stream.start_time is not None]
        self.origin = min(starts, default=Fraction(0))
        self.announced = self._announced()
        self.end = 0.0
        self.damaged = 0

    def packets(self) -> Iterator[Packet]:
        """Packets in the order of the file, then an empty one that ends each stream."""
        with suppress(av.FFmpegError):  # where a recording is cut off
            for packet in self.source.demux(self.streams):
                if packet.is_corrupt:
                    self.damaged += 1
                elif packet.size:
                    if packet.pts is not None:
                        self.end = max(self.end, self._time(packet.pts + (packet.duration or 0), packet))
                    yield packet
        for stream in self.streams:
            empty = Packet()
            empty.stream, empty.time_base = stream, cast(Fraction, stream.time_base)
            yield empty

    def decode(self, packet: Packet) -> list[Any]:
        try:
            return packet.decode()
        except av.FFmpegError:
            self.damaged += 1
            return []

    def problem(self, name: str) -> str | None:
        """What could not be read, in a sentence."""
        if self.end < self.announced - _END_TOLERANCE:
            return f"{name} could be read up to {clock(self.end)} of {clock(self.announced)} only; the copy ends there."
        if self.damaged:
            return f"{name} is damaged: {self.damaged} packets could not be decoded and are missing in the copy."
        return None

    def _announced(self) -> float:
        ends = [
            self._time((stream.start_time or 0) + stream.duration, stream)
            for stream in self.streams
            if stream.duration is not None
        ]
        return max(ends, default=(self.source.duration or 0) / av.time_base)

    def _time(self, ticks: int, timed: Any) -> float:
        return float(_seconds(ticks, timed) - self.origin)


class _Pictures:
    """Frames that are decoded, drawn on and encoded."""

    def __init__(self, reader: _Reader, target: OutputContainer, first: VideoFrame, painter: Painter) -> None:
        self.reader, self.first, self.painter = reader, first, painter
        name, options = next(item for item in _ENCODERS.items() if item[0] in av.codecs_available)
        rate = reader.picture.average_rate or _USUAL_RATE
        self.stream = cast(VideoStream, target.add_stream(name, rate=rate, options=options))
        self.stream.width, self.stream.height = painter.width, painter.height
        self.stream.pix_fmt = "yuv420p"
        context = self.stream.codec_context
        context.time_base = _TICK
        if ratio := reader.picture.sample_aspect_ratio:
            context.sample_aspect_ratio = 1 / ratio if painter.quarter_turns % 2 else ratio
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(first, name))
        self.step = round(1 / rate / _TICK)
        self.last = -self.step
        self.delay: int | None = None

    def write(self, packet: Packet) -> Iterator[Packet]:
        for frame in self.reader.decode(packet):
            self.last = max(self._ticks(frame), self.last + 1)  # a file may repeat a time, an encoder may not
            yield from self.stream.encode(self._drawn(frame))
        if not packet.size:
            yield from self.stream.encode(None)

    def _ticks(self, frame: VideoFrame) -> int:
        stamp = frame.pts
        # AVI has no times of presentation, only the order of decoding, in which the first frame comes late.
        if self.reader.source.format.name == "avi":
            self.delay = frame.dts if self.delay is None else self.delay
            stamp = None if frame.dts is None or self.delay is None else frame.dts - self.delay
        if stamp is None:
            return self.last + self.step
        return round((_seconds(stamp, frame) - self.reader.origin) / _TICK)

    def _drawn(self, frame: VideoFrame) -> VideoFrame:
        drawn = VideoFrame(self.painter.width, self.painter.height, "yuv420p")
        drawn.pts, drawn.time_base = self.last, _TICK
        planes = planes_of(drawn)
        # A frame may change its size in the middle of a recording.
        frame = frame.reformat(self.first.width, self.first.height, "yuv420p")
        for plane, given in zip(planes, planes_of(frame), strict=True):
            height, width = plane.shape
            plane[:] = np.rot90(given, self.painter.quarter_turns)[:height, :width]
        self.painter.draw(planes, float(self.last * _TICK))
        return drawn


class _CopiedSound:
    """Packets of sound as they are."""

    def __init__(self, reader: _Reader, target: OutputContainer, stream: AudioStream) -> None:
        self.reader = reader
        self.stream = target.add_stream_from_template(stream)

    def write(self, packet: Packet) -> Iterator[Packet]:
        if packet.pts is not None and packet.dts is not None:
            offset = round(self.reader.origin / packet.time_base)
            packet.pts -= offset
            packet.dts -= offset
            packet.stream = self.stream
            yield packet


class _EncodedSound:
    """Sound that mp4 cannot hold, as AAC."""

    def __init__(self, reader: _Reader, target: OutputContainer, stream: AudioStream) -> None:
        self.reader = reader
        rates = av.Codec("aac", "w").audio_rates or ()
        rate = stream.codec_context.sample_rate
        channels = stream.codec_context.channels
        self.mixes = channels > 2 and not is_known(stream.codec_context.layout)
        layout = "mono" if channels == 1 or self.mixes else "stereo"
        self.stream = target.add_stream("aac", rate=rate if rate in rates else 48_000, layout=layout)

    def write(self, packet: Packet) -> Iterator[Packet]:
        frames: Iterable[Any] = self.reader.decode(packet)
        for frame in map(mixable, frames) if self.mixes else frames:
            if frame.pts is not None:
                # The encoder cuts frames of its own: it needs a time base of samples.
                samples = round((_seconds(frame.pts, frame) - self.reader.origin) * frame.sample_rate)
                frame.pts, frame.time_base = samples, Fraction(1, frame.sample_rate)
            yield from self.stream.encode(frame)
        if not packet.size:
            yield from self.stream.encode(None)


def _seconds(ticks: int, timed: Any) -> Fraction:
    """Exact seconds of ticks of the time base of a stream, packet or frame."""
    return ticks * timed.time_base
