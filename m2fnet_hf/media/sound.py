"""The sound of a recording by time, mixed to one channel, whatever its channels are."""

import errno
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from av import AudioFrame, AudioLayout, AudioResampler
from av.audio.plane import AudioPlane
from av.audio.stream import AudioStream

from .container import seconds

# Sound this far from where it is due follows a gap: more than rounding, less than the packet that a gap lacks at least
# (20 ms in Opus, 21 in AAC, 24 in MP3).
_JITTER = 0.01
# Samples for which what a gap leaves out is silent at most: ten minutes at 16 kHz.
_LONGEST_SILENCE = 9_600_000
# The loudest sample of digital silence: half a step of 16 bits.
_SILENCE = 2**-16
# Layouts of which FFmpeg hears every channel but that of low frequencies; of others it drops some, or all.
_LAYOUTS = frozenset(
    (
        *("mono", "stereo", "downmix", "2.1", "3.0", "3.0(back)", "3.1", "4.0", "4.1", "quad", "quad(side)"),
        *("5.0", "5.0(side)", "5.1", "5.1(side)", "6.0", "6.0(front)", "hexagonal"),
        *("6.1", "6.1(back)", "6.1(front)", "7.0", "7.0(front)", "7.1", "7.1(wide)", "7.1(wide-side)", "octagonal"),
    )
)
# Sample formats: their type, what silence is, and the loudest.
_SAMPLES: dict[str, tuple[Any, int, int]] = {
    "u8": (np.uint8, 128, 2**7),
    "s16": (np.int16, 0, 2**15),
    "s32": (np.int32, 0, 2**31),
    "s64": (np.int64, 0, 2**63),
    "flt": (np.float32, 0, 1),
    "dbl": (np.float64, 0, 1),
}


class Sound(NamedTuple):
    """A span of a recording's sound.

    Args:
        span: index of the span in what was asked for.
        samples: mono, float32 [S], -1 to 1.
    """

    span: int
    samples: np.ndarray


class SoundReader:
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
        self._may_be_nan = stream.codec_context.name.startswith("pcm_f")
        asked = [_Span.of(index, start, end, rate) for index, (start, end) in enumerate(spans)]
        self._waiting = deque(sorted((span for span in asked if span.first < span.last), key=lambda span: span.first))
        self._open: list[_Span] = []
        self._resampler: AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._position = 0

    @property
    def done(self) -> bool:
        """Whether no span waits for more of the track."""
        return not self._waiting and not self._open

    def feed(self, frame: AudioFrame) -> Iterator[Sound]:
        """Take the next piece of the track; gives each span that it completes.

        Raises:
            av.FFmpegError: for one that cannot be resampled, or holds NaN or infinity.
        """
        if self._may_be_nan and not np.isfinite(_channels(frame)).all():
            raise av.InvalidDataError(errno.EINVAL, "NaN or infinite samples")
        start = self.end if frame.pts is None else float(seconds(frame.pts, self._stream) - self._origin)
        frame = mixable(frame)
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
        """The spans that end with the track, as far as there is sound of them."""
        with suppress(av.FFmpegError):  # of what could not be resampled nothing is left
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
        gap = max(0, min(position, self.last) - self.filled)
        silence = np.zeros(min(gap, _LONGEST_SILENCE), dtype=np.float32)
        heard = samples[max(0, self.filled - position) : max(0, self.last - position)]
        self.pieces += [piece for piece in (silence, heard) if len(piece)]
        self.filled += gap + len(heard)
        self.is_heard |= len(heard) > 0


def is_silent(samples: np.ndarray) -> bool:
    """Whether samples [S] are digital silence, which no microphone records."""
    return not samples.size or float(np.abs(samples).max()) <= _SILENCE


def first_audible(tracks: Sequence[AudioStream]) -> int:
    """Which of a recording's tracks is the first that is not silent all along, 0 where all are.

    Reads until that is known.
    """
    audible: set[int] = set()
    with suppress(av.FFmpegError):  # where the recording is cut
        container: Any = tracks[0].container
        for packet in container.demux(list(tracks)):
            if packet.stream.index not in audible and _is_audible(packet):
                audible.add(packet.stream.index)
            if tracks[0].index in audible:
                break
    return next((place for place, track in enumerate(tracks) if track.index in audible), 0)


def _is_audible(packet: av.Packet) -> bool:
    try:
        frames: Iterable[Any] = packet.decode()
        return any(not is_silent(_channels(frame)) for frame in frames)
    except av.FFmpegError:
        return False


def is_known(layout: AudioLayout) -> bool:
    """Whether FFmpeg knows the places of all channels."""
    return layout.name in _LAYOUTS


def mixable(frame: AudioFrame) -> AudioFrame:
    """A frame that FFmpeg mixes without loss: as it is, or with one channel in which each of its own sounds equally."""
    if is_known(frame.layout):
        return frame
    samples = _channels(frame).mean(axis=0, dtype=np.float32)
    mixed = AudioFrame.from_ndarray(samples[None], "flt", "mono")
    mixed.sample_rate, mixed.pts, mixed.time_base = frame.sample_rate, frame.pts, frame.time_base
    return mixed


def _channels(frame: AudioFrame) -> np.ndarray:
    """Samples from -1 to 1, float32 [C, S]; PyAV's own array is wrong from eight channels on."""
    kind, silence, loudest = _SAMPLES[frame.format.packed.name]
    count = frame.layout.nb_channels
    if frame.format.is_planar:
        # `frame.planes` counts past the end from nine planes on.
        planes: list[Any] = [AudioPlane(frame, index) for index in range(count)]
        samples = np.stack([np.frombuffer(memoryview(plane), kind)[: frame.samples] for plane in planes])
    else:
        samples = np.frombuffer(memoryview(frame.planes[0]), kind)[: frame.samples * count].reshape(-1, count).T
    return (samples.astype(np.float32) - np.float32(silence)) / np.float32(loudest)
