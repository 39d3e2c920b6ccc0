"""Recordings: frames and sound by time, in one pass of PyAV and in little memory.

Times are seconds from the start of the recording as a player shows it, whatever time stamps the file begins with.
"""

import math
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

import av
import numpy as np
from av import AudioFrame, AudioResampler, Packet, VideoFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ..utils.times import clock

# Tags may be in any encoding; from PyAV 19 on none of them is refused.
_ANY_TAGS: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}
# Containers round time stamps, Matroska to the millisecond: a frame is due from half of that before its stamp on.
_ROUNDING = 0.0005
# Sound this far from where it is due follows a gap: more than rounding, less than the packet that a gap lacks at least
# (20 ms in Opus, 21 in AAC, 24 in MP3).
_JITTER = 0.01
# FFmpeg up to 8.0 counts what decoders drop from the front of Matroska's sound, up to this long before 0.
_PRIMING = 0.5
# A recording, or a stream of it, that ends this much too early is cut: seconds, or a share of a short one.
_MISSING = 0.5
_MISSING_SHARE = 0.25
# Formats whose duration is estimated from the file's size or found at its end.
_ANNOUNCES_NO_DURATION = frozenset({"aac", "ac3", "mp3", "mpeg", "mpegts"})


class Frame(NamedTuple):
    """A picture of a recording.

    Args:
        time: from the start of the recording, in seconds.
        image: upright, RGB, uint8 [height, width, 3].
    """

    time: float
    image: np.ndarray


class Sound(NamedTuple):
    """A span of a recording's sound.

    Args:
        span: index of the span in what was asked for.
        samples: mono, float32 [S], -1 to 1.
    """

    span: int
    samples: np.ndarray


class Clip:
    """A recording: what it holds, and its frames and sound by time.

    Args:
        path: of a file with video, sound or both, in any format of FFmpeg's.

    Attributes:
        duration: in seconds, `None` where nothing can be read.
        has_video, has_audio: whether it has any; a cover picture is no video.
        width, height: of the upright picture in pixels, `None` without video.
        problems: a sentence for each thing that could not be read, at opening or while reading.

    Raises:
        FileNotFoundError: without the file.
        ValueError: for a folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"A recording must be a file, found none at {self.path}; check the path.")
        if not self.path.is_file():
            raise ValueError(f"A recording must be a file, found a folder at {self.path}; name a file in it.")
        self.duration: float | None = None
        self.has_video = False
        self.has_audio = False
        self.width: int | None = None
        self.height: int | None = None
        self.problems: list[str] = []
        try:
            self._describe()
        except av.FFmpegError as error:
            self._note_not_a_recording(error.strerror or type(error).__name__)

    def read(
        self,
        times: Iterable[float] = (),
        spans: Iterable[tuple[float, float | None]] = (),
        sampling_rate: int = 16_000,
        longest_side: int | None = None,
    ) -> Iterator[Frame | Sound]:
        """Frames and sound in one pass over the file, each as soon as it is known.

        Args:
            times: of the frames. Each gets the picture on screen at that time; one before the first picture gets the
                first, one after the last picture has gone gets none.
            spans: start and end of sound, `None` for the end of the recording. What a gap leaves out is silent, the
                end of the recording ends a span early, and a span without a sample yields nothing.
            sampling_rate: of the sound, in Hz.
            longest_side: in pixels, of the frames; larger ones are shrunk to it.
        """
        times, spans = sorted(set(times)), list(spans)
        if not ((times and self.has_video) or (spans and self.has_audio)):
            return
        with open_container(self.path) as container:
            packets, video, audio = _Packets(container), _video(container), _audio(container)
            readers: dict[int, _FrameReader | _SoundReader] = {}
            if times and video is not None:
                readers[video.index] = _FrameReader(video, packets.origin, times, longest_side)
            if spans and audio is not None:
                readers[audio.index] = _SoundReader(audio, packets.origin, spans, sampling_rate)
            for packet in packets:
                reader = readers.get(packet.stream.index)
                if reader is not None and not reader.done:
                    for frame in packets.decode(packet):
                        yield from reader.feed(frame)
                if all(reader.done for reader in readers.values()):
                    break
            self._note_what_is_missing(packets, readers)
            for reader in readers.values():
                yield from reader.finish()

    def frames(
        self,
        rate: float,
        spans: Iterable[tuple[float, float | None]] | None = None,
        longest_side: int | None = None,
    ) -> Iterator[Frame]:
        """Frames every 1 / `rate` seconds of the spans (default: of the whole recording), as of `sample_times`."""
        length = self.duration or 0.0
        spans = [(0.0, length)] if spans is None else spans
        times = sample_times(rate, [(start, length if end is None else end) for start, end in spans])
        for frame in self.read(times, longest_side=longest_side):
            if isinstance(frame, Frame):
                yield frame

    def sound(self, start: float = 0.0, end: float | None = None, sampling_rate: int = 16_000) -> np.ndarray | None:
        """Samples of one span, float32 [S], or `None` where there is no sound."""
        pieces = list(self.read(spans=[(start, end)], sampling_rate=sampling_rate))
        return pieces[0].samples if pieces and isinstance(pieces[0], Sound) else None

    def _describe(self) -> None:
        with open_container(self.path) as container:
            video, audio = _video(container), _audio(container)
            if video is None and audio is None:
                self._note_not_a_recording("there is neither video nor sound in it")
                return
            self.has_video, self.has_audio = video is not None, audio is not None
            self.duration = _duration(container)
            if video is not None:
                self.width, self.height = _upright_size(container, video)
        if self.duration is None:
            with open_container(self.path) as container:
                packets = _Packets(container)
                deque(packets, maxlen=0)
                self.duration = packets.end

    def _note_what_is_missing(self, packets: "_Packets", readers: "dict[int, _FrameReader | _SoundReader]") -> None:
        """A sentence where all that was read ends early, or else where there were damaged packets."""
        ends = {index: reader.end for index, reader in readers.items() if not reader.done}
        whole = packets.ends if self._is_whole(packets) else dict.fromkeys(ends, self.duration or 0.0)
        due = {**whole, **packets.announced}
        if ends and all(_is_cut(end, due.get(index, 0.0)) for index, end in ends.items()):
            reached, length = clock(max(ends.values())), clock(max(due[index] for index in ends))
            self._note(f"could be read up to {reached} of {length} only; the rest is treated as absent.")
        elif packets.damaged:
            start, end = clock(packets.damaged[0][0]), clock(packets.damaged[-1][1])
            where = f"at {start}" if start == end else f"from {start} to {end}"
            self._note(f"is damaged {where}; what cannot be decoded there is treated as absent.")

    def _is_whole(self, packets: "_Packets") -> bool:
        """Whether packets came for all of the duration that the file announces."""
        if self.duration is None or packets.container.format.name in _ANNOUNCES_NO_DURATION:
            return True
        return not _is_cut(packets.end, self.duration)

    def _note_not_a_recording(self, reason: str) -> None:
        self._note(f"is not a recording that can be decoded ({reason}); its sound and faces are treated as absent.")

    def _note(self, problem: str) -> None:
        sentence = f"{self.path.name} {problem}"
        if sentence not in self.problems:
            self.problems.append(sentence)


def open_container(path: Path) -> InputContainer:
    """A file for reading, by any of the PyAV releases that the package allows.

    Raises:
        av.FFmpegError: where FFmpeg finds no recording in it.
    """
    # Absolute, since FFmpeg takes what comes before a colon for a protocol.
    return av.open(str(path.absolute()), **_ANY_TAGS)


def sample_times(rate: float, spans: Iterable[tuple[float, float]]) -> list[float]:
    """Times k / `rate` in seconds that lie in [start, end) of any span, and the middle of each span without any."""
    times: set[float] = set()
    for start, end in spans:
        steps = range(max(0, math.floor(start * rate)), math.ceil(end * rate) + 1)
        grid = [k / rate for k in steps if start <= k / rate < end]
        times.update(grid or [(start + end) / 2])
    return sorted(times)


def _is_cut(end: float, due: float) -> bool:
    return end < due - min(_MISSING, _MISSING_SHARE * due)


class _Packets:
    """The packets of a recording, and what is found out on the way.

    Attributes:
        origin: the time stamp that the recording begins with, in seconds.
        ends: where the last packet of each stream ends, in seconds.
        damaged: start and end of the packets that cannot be decoded, in seconds.
    """

    def __init__(self, container: InputContainer) -> None:
        self.container = container
        self.origin = _origin(container)
        self.ends: dict[int, float] = {}
        self.damaged: list[tuple[float, float]] = []

    @property
    def end(self) -> float:
        return max(self.ends.values(), default=0.0)

    @property
    def announced(self) -> dict[int, float]:
        """When each stream ends by what the file says, where it says that of single streams."""
        if self.container.format.name in _ANNOUNCES_NO_DURATION:
            return {}
        return {
            stream.index: float(((stream.start_time or 0) + stream.duration) * stream.time_base - self.origin)
            for stream in self.container.streams
            if stream.duration is not None and stream.time_base is not None
        }

    def __iter__(self) -> Iterator[Packet]:
        streams = [stream for stream in self.container.streams if stream.type in ("video", "audio", "subtitle")]
        try:
            for packet in self.container.demux(streams):
                index = packet.stream.index
                self.ends[index] = max(self._span(packet)[1], self.ends.get(index, 0.0))
                yield packet
        except av.FFmpegError:
            self.damaged.append((self.end, self.end))

    def decode(self, packet: Packet) -> list[Any]:
        """The frames that a packet completes."""
        if packet.is_corrupt:
            self.damaged.append(self._span(packet))
        try:
            return packet.decode()
        except av.FFmpegError:
            self.damaged.append(self._span(packet))
            return []

    def _span(self, packet: Packet) -> tuple[float, float]:
        if packet.pts is None:
            end = self.ends.get(packet.stream.index, 0.0)
            return end, end
        start = _seconds(packet.pts, packet) - self.origin
        return float(start), float(start + _seconds(packet.duration or 0, packet))


class _FrameReader:
    """The pictures of a stream that are on screen at the asked times.

    Attributes:
        end: when the last picture goes, in seconds.
    """

    def __init__(self, stream: VideoStream, origin: Fraction, times: list[float], longest_side: int | None) -> None:
        self.end = 0.0
        self._stream, self._origin = stream, origin
        # AVI has no times of presentation, only the order of decoding, in which the first picture comes late.
        self._is_in_decoding_order = stream.container.format.name == "avi"
        self._delay: int | None = None
        self._times = deque(times)
        self._longest_side = longest_side
        self._reformatter = VideoReformatter()
        self._shown: VideoFrame | None = None
        # A frame of unknown length lasts as long as the one before.
        self._since, self._length = 0.0, 0.04

    @property
    def done(self) -> bool:
        return not self._times

    def feed(self, frame: VideoFrame) -> Iterator[Frame]:
        stamp = self._stamp(frame)
        start = self.end if stamp is None else float(_seconds(stamp, self._stream) - self._origin)
        yield from self._show_until(start)
        if frame.duration:
            self._length = float(_seconds(frame.duration, self._stream))
        elif self._shown is not None and start > self._since:
            self._length = start - self._since
        self._shown, self._since, self.end = frame, start, start + self._length

    def finish(self) -> Iterator[Frame]:
        yield from self._show_until(self.end)

    def _stamp(self, frame: VideoFrame) -> int | None:
        if not self._is_in_decoding_order:
            return frame.pts
        if self._delay is None:
            self._delay = frame.dts
        return None if frame.dts is None or self._delay is None else frame.dts - self._delay

    def _show_until(self, time: float) -> Iterator[Frame]:
        image = None
        while self._shown is not None and self._times and self._times[0] < time - _ROUNDING:
            image = self._image(self._shown) if image is None else image
            yield Frame(self._times.popleft(), image)

    def _image(self, frame: VideoFrame) -> np.ndarray:
        scale = min(1.0, (self._longest_side or math.inf) / max(frame.width, frame.height))
        width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
        rgb = self._reformatter.reformat(frame, width, height, "rgb24", interpolation="BICUBIC")
        return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), round(frame.rotation / 90)))


class _SoundReader:
    """The spans of a stream's sound.

    Attributes:
        end: of the sound so far, in seconds.
    """

    def __init__(
        self, stream: AudioStream, origin: Fraction, spans: list[tuple[float, float | None]], rate: int
    ) -> None:
        self.end = 0.0
        self._stream, self._origin = stream, origin
        self._rate = rate
        asked = [_Span.of(index, start, end, rate) for index, (start, end) in enumerate(spans)]
        self._waiting = deque(sorted((span for span in asked if span.first < span.last), key=lambda span: span.first))
        self._open: list[_Span] = []
        self._resampler: AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._position = 0

    @property
    def done(self) -> bool:
        return not self._waiting and not self._open

    def feed(self, frame: AudioFrame) -> Iterator[Sound]:
        start = self.end if frame.pts is None else float(_seconds(frame.pts, self._stream) - self._origin)
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or form != self._form or abs(start - self.end) > _JITTER:
            yield from self._flush()
            self.end, self._position = start, round(start * self._rate)
            # To integers, since the resampler sums up channels to floats louder than they are.
            self._resampler, self._form = AudioResampler("s32", "mono", self._rate), form
        self.end += frame.samples / frame.sample_rate
        frame.pts = None
        yield from self._hand_out(self._resampler.resample(frame))

    def finish(self) -> Iterator[Sound]:
        yield from self._flush()
        yield from self._close(self._open)

    def _flush(self) -> Iterator[Sound]:
        if self._resampler is not None:
            yield from self._hand_out(frame for frame in self._resampler.resample(None) if frame is not None)

    def _hand_out(self, frames: Iterable[AudioFrame]) -> Iterator[Sound]:
        for frame in frames:
            samples = frame.to_ndarray()[0].astype(np.float32) * np.float32(2**-31)
            start, self._position = self._position, self._position + len(samples)
            while self._waiting and self._waiting[0].first < self._position:
                self._open.append(self._waiting.popleft())
            for span in self._open:
                span.add(start, samples)
            yield from self._close([span for span in self._open if span.last <= self._position])

    def _close(self, spans: Iterable["_Span"]) -> Iterator[Sound]:
        for span in list(spans):
            self._open.remove(span)
            if span.is_heard:
                yield Sound(span.index, np.concatenate(span.pieces))


@dataclass(eq=False)
class _Span:
    """A span that is being filled; positions in samples."""

    index: int
    first: int
    last: int
    pieces: list[np.ndarray] = field(default_factory=list)
    is_heard: bool = False

    @classmethod
    def of(cls, index: int, start: float, end: float | None, rate: int) -> "_Span":
        return cls(index, max(0, round(start * rate)), sys.maxsize if end is None else round(end * rate))

    def __post_init__(self) -> None:
        self.filled = self.first

    def add(self, position: int, samples: np.ndarray) -> None:
        """Fill with the samples that begin at a position, and with silence up to there."""
        silence = np.zeros(max(0, min(position, self.last) - self.filled), dtype=np.float32)
        heard = samples[max(0, self.filled - position) : max(0, self.last - position)]
        self.pieces += [piece for piece in (silence, heard) if len(piece)]
        self.filled += len(silence) + len(heard)
        self.is_heard |= len(heard) > 0


def _video(container: InputContainer) -> VideoStream | None:
    stream = _best(container, "video")
    if stream is not None:
        stream.thread_type = "AUTO"
    return stream


def _audio(container: InputContainer) -> AudioStream | None:
    return _best(container, "audio")


def _best(container: InputContainer, kind: Literal["video", "audio"]) -> Any:
    """The stream that FFmpeg would play, among those that can be decoded and are no cover picture."""
    playable = [
        stream
        for stream in container.streams
        if stream.type == kind and stream.codec_context and not stream.disposition & Disposition.attached_pic
    ]
    best = container.streams.best(kind)
    return best if best in playable else next(iter(playable), None)


def _origin(container: InputContainer) -> Fraction:
    """The first time stamp of video and sound in seconds; exact, while the container's own is rounded."""
    streams = [stream for stream in (_video(container), _audio(container)) if stream is not None]
    first = min((_seconds(s.start_time, s) for s in streams if s.start_time is not None), default=Fraction(0))
    return Fraction(0) if -_PRIMING < first < 0 else first


def _seconds(ticks: int, timed: Any) -> Fraction:
    """Exact seconds of ticks of the time base of a stream or packet."""
    return ticks * timed.time_base


def _duration(container: InputContainer) -> float | None:
    if container.duration is None:
        return None
    # Where streams have no duration of their own, the container's counts from time stamp 0.
    is_measured = any(stream.duration is not None for stream in container.streams)
    return container.duration / av.time_base - (0.0 if is_measured else float(_origin(container)))


def _upright_size(container: InputContainer, video: VideoStream) -> tuple[int, int]:
    """Width and height of the first picture, which alone tells its rotation."""
    packets = _Packets(container)
    pictures = (picture for packet in packets if packet.stream is video for picture in packets.decode(packet))
    picture = next(pictures, None)
    if picture is None:
        return video.width, video.height
    return (picture.width, picture.height) if picture.rotation % 180 == 0 else (picture.height, picture.width)
