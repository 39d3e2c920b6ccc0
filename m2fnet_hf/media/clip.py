"""Recordings: frames and sound by time, in one pass of PyAV and in little memory.

Times are seconds from the start of the recording as a player shows it, whatever time stamps the file begins with.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av import Packet, VideoFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ..utils.paths import check_file
from ..utils.text import shown
from ..utils.times import clock
from .container import (
    audio_tracks,
    duration_of,
    has_open_end,
    is_playable,
    open_container,
    origin_of,
    seconds,
    video_stream,
    why_not,
)
from .sound import Sound, SoundReader, first_audible

# Containers round time stamps, Matroska to the millisecond: a frame is due from half of that before its stamp on.
_ROUNDING = 0.0005
# A recording, or a stream of it, that ends this much too early is cut: seconds, or a share of a short one.
_MISSING = 0.5
_MISSING_SHARE = 0.25
# A file of fewer bytes a second than the poorest telephone sends lasts as long as its packets say, not as its header.
_SPARSE = 500
# A picture is on screen at most for this time, in seconds.
_LONGEST_PICTURE = 600.0
# Seconds of a recording that are read: a day.
LONGEST = 86_400.0
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


class Clip:
    """A recording: what it holds, and its frames and sound by time.

    Args:
        path: of a file with video, sound or both, in any format of FFmpeg's.
        audio_track: which of the sound tracks is read, from 1. Default: the first that is not digital silence.

    Attributes:
        name: of the file, as it can be printed.
        duration: in seconds, at most a day, `None` where nothing can be read.
        has_video, has_audio: whether it has any; a cover picture is no video.
        audio_track: the one that is read, `None` without sound.
        width, height: of the upright picture in pixels, `None` without video.
        problems: a sentence for each thing that could not be read, at opening or while reading.

    Raises:
        FileNotFoundError, OSError: without the file, or where it cannot be read.
        ValueError: for a folder, a pipe or a device, or a track below 1.
    """

    def __init__(self, path: str | Path, audio_track: int | None = None) -> None:
        self.path = Path(path)
        if audio_track is not None and audio_track < 1:
            raise ValueError(f"`audio_track` must be a track's number, from 1 on, found {audio_track}.")
        check_file(self.path, "A recording")
        self.name = shown(self.path.name)
        self.duration: float | None = None
        self._announced: float | None = None
        self.has_video = False
        self.audio_track: int | None = None
        self.width: int | None = None
        self.height: int | None = None
        self.problems: list[str] = []
        try:
            self._describe(audio_track)
        except av.FFmpegError as error:
            self._note_not_a_recording(why_not(error))

    @property
    def has_audio(self) -> bool:
        """Whether it has sound that can be read."""
        return self.audio_track is not None

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
            packets, video, audio = self._packets(container), video_stream(container), self._audio(container)
            readers: dict[int, _FrameReader | SoundReader] = {}
            if times and video is not None:
                readers[video.index] = _FrameReader(video, packets.origin, times, longest_side)
            if spans and audio is not None:
                readers[audio.index] = SoundReader(audio, packets.origin, spans, sampling_rate)
            for packet in packets:
                reader = readers.get(packet.stream.index)
                if reader is not None and not reader.done:
                    for frame in packets.decode(packet):
                        try:
                            yield from reader.feed(frame)
                        except av.FFmpegError:  # sound that cannot be resampled
                            packets.note_damage(packet)
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
        """Samples of one span of seconds, float32 [S] at `sampling_rate` Hz, or `None` where there is no sound."""
        pieces = list(self.read(spans=[(start, end)], sampling_rate=sampling_rate))
        return pieces[0].samples if pieces and isinstance(pieces[0], Sound) else None

    def _describe(self, audio_track: int | None) -> None:
        with open_container(self.path) as container:
            video, tracks = video_stream(container), audio_tracks(container)
            if video is None and not any(map(is_playable, tracks)):
                self._note_not_a_recording(
                    "there is neither video nor sound in it, or of no size and rate that recordings have"
                )
                return
            self.has_video = video is not None
            self.audio_track = self._choose_track(tracks) if audio_track is None else self._find(audio_track, tracks)
            self.duration = duration_of(container)
            if video is not None:
                self.width, self.height = _upright_size(container, video)
        self._announced = self.duration
        if self.duration is None or self.path.stat().st_size < _SPARSE * self.duration:
            self.duration = self._measured()
        if self.duration > LONGEST:
            self._note(f"lasts {clock(self.duration)}; what comes behind the first 24 hours is treated as absent.")
            self.duration = LONGEST

    def _measured(self) -> float:
        """The duration by all packets, none of which is decoded."""
        with open_container(self.path) as container:
            packets = self._packets(container)
            deque(packets, maxlen=0)
            return packets.end

    def reach(self, end: float) -> float:
        """How much there is up to a time in seconds, also where the header tells less."""
        if self.duration is not None and end > self.duration + _MISSING:
            with suppress(av.FFmpegError):
                self.duration = min(max(self.duration, self._measured()), LONGEST)
        return min(end, self.duration or 0.0)

    def _packets(self, container: InputContainer) -> "_Packets":
        return _Packets(container, has_open_end(self.path))

    def _audio(self, container: InputContainer) -> AudioStream | None:
        return None if self.audio_track is None else audio_tracks(container)[self.audio_track - 1]

    def _find(self, number: int, tracks: Sequence[AudioStream]) -> int | None:
        if number <= len(tracks) and is_playable(tracks[number - 1]):
            return number
        found = f"found {len(tracks)}" if number > len(tracks) else "cannot decode it"
        self._note(f"must have the sound track {number} that was asked for, {found}; its sound is treated as absent.")
        return None

    def _choose_track(self, tracks: Sequence[AudioStream]) -> int | None:
        """The number of the first track that is not silent; of one track alone nothing is read for that."""
        playable = [number for number, track in enumerate(tracks, start=1) if is_playable(track)]
        if not playable:
            return None
        chosen = playable[0]
        if len(playable) > 1:
            with open_container(self.path) as container:  # of its own, as it is read
                chosen = playable[first_audible([audio_tracks(container)[number - 1] for number in playable])]
        if chosen > 1:
            self._note(
                f"has {len(tracks)} sound tracks, of which {chosen} is read, the first that is not silent; "
                "`audio_track` chooses another."
            )
        return chosen

    def _note_what_is_missing(self, packets: "_Packets", readers: "dict[int, _FrameReader | SoundReader]") -> None:
        """A sentence where all that was read ends early, or else where there were damaged packets."""
        ends = {index: reader.end for index, reader in readers.items() if not reader.done}
        whole = packets.ends if self._is_whole(packets) else dict.fromkeys(ends, self._announced or 0.0)
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
        if self._announced is None or packets.container.format.name in _ANNOUNCES_NO_DURATION:
            return True
        return not _is_cut(packets.end, self._announced)

    def _note_not_a_recording(self, reason: str) -> None:
        self._note(f"is not a recording that can be decoded ({reason}); its sound and faces are treated as absent.")

    def _note(self, problem: str) -> None:
        sentence = f"{self.name} {problem}"
        if sentence not in self.problems:
            self.problems.append(sentence)


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
    """

    def __init__(self, container: InputContainer, has_open_end: bool = False) -> None:
        self.container = container
        self._has_open_end = has_open_end
        self.origin = origin_of(container)
        self.ends: dict[int, float] = {}
        self._damaged: list[tuple[float, float]] = []

    @property
    def end(self) -> float:
        return max(self.ends.values(), default=0.0)

    @property
    def damaged(self) -> list[tuple[float, float]]:
        """Start and end of the packets that cannot be decoded, in seconds."""
        return [span for span in self._damaged if not (self._has_open_end and span[1] >= self.end)]

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
            self._damaged.append((self.end, self.end))

    def decode(self, packet: Packet) -> list[Any]:
        """The frames that a packet completes."""
        if packet.is_corrupt:
            self.note_damage(packet)
        try:
            return packet.decode()
        except av.FFmpegError:
            self.note_damage(packet)
            return []

    def note_damage(self, packet: Packet) -> None:
        self._damaged.append(self._span(packet))

    def _span(self, packet: Packet) -> tuple[float, float]:
        if packet.pts is None:
            end = self.ends.get(packet.stream.index, 0.0)
            return end, end
        start = seconds(packet.pts, packet) - self.origin
        return float(start), float(start + seconds(packet.duration or 0, packet))


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
        start = self.end if stamp is None else float(seconds(stamp, self._stream) - self._origin)
        yield from self._show_until(start)
        if frame.duration:
            self._length = float(seconds(frame.duration, self._stream))
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
        image, gone = None, self._since + _LONGEST_PICTURE
        while self._shown is not None and self._times and self._times[0] < time - _ROUNDING:
            asked = self._times.popleft()
            if asked < gone:
                image = self._image(self._shown) if image is None else image
                yield Frame(asked, image)

    def _image(self, frame: VideoFrame) -> np.ndarray:
        scale = min(1.0, (self._longest_side or math.inf) / max(frame.width, frame.height))
        width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
        rgb = self._reformatter.reformat(frame, width, height, "rgb24", interpolation="BICUBIC")
        return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), round(frame.rotation / 90)))


def _upright_size(container: InputContainer, video: VideoStream) -> tuple[int, int]:
    """Width and height of the first picture, which alone tells its rotation."""
    packets = _Packets(container)
    pictures = (picture for packet in packets if packet.stream is video for picture in packets.decode(packet))
    picture = next(pictures, None)
    if picture is None:
        return video.width, video.height
    return (picture.width, picture.height) if picture.rotation % 180 == 0 else (picture.height, picture.width)
