"""A prediction drawn into its recording: boxes around faces, captions with the emotion of each utterance.

A picture is drawn on as it is encoded: three planes Y, U, V, of which U and V have half the rows and columns.
"""

import os
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .palette import palette
from .table import clock
from .words import emotion, one_line

try:
    import matplotlib
    from PIL import Image, ImageColor, ImageDraw, ImageFont
except ImportError as error:
    raise ImportError(
        f"Drawing into a recording needs Pillow and matplotlib, found no {error.name}; pip install 'm2fnet-hf[reports]'"
    ) from None

TEXT_LINES = 3
LONGEST_GAP = 2.0  # seconds between two samples of a face that its box crosses
SAMPLE_INTERVAL = 1.0  # seconds, where no face has two samples to tell it

_TICK = Fraction(1, 60_000)  # whole for the usual frame rates, and about the finest that MPEG-4 allows
_ENCODERS = {
    "libx264": {"crf": "20", "preset": "veryfast"},
    "mpeg4": {"flags": "+qscale", "global_quality": str(3 * 118)},
}
_COPIED_SOUND = frozenset({"aac", "ac3", "alac", "eac3", "mp3", "opus"})
_USUAL_RATE = Fraction(25)
_END_TOLERANCE = 1.0  # seconds that a whole recording may lack of what it announces
_PLANE_STEPS = (1, 2, 2)
_WHITE = (255, 255, 255)
_BAND = (0, 0, 0, 170)
_EMPTY_BAR = (110, 110, 110)

Planes = list[np.ndarray]


def annotate_video(
    video: Path,
    result: Mapping[str, Any],
    output: Path,
    progress: Callable[[Iterable[float]], Iterable[float]] = iter,
) -> None:
    """Writes a copy of a recording with the boxes of faces, and with words and emotion while somebody speaks.

    The copy is an mp4, upright, with the recording's sound and the times of its frames.

    Args:
        video: the recording.
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
    first = _first_frame(video)
    if output.exists() and output.samefile(video):
        raise ValueError(f"The output must be another file than the recording, found {output} for both; rename it.")
    temporary = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with (
            _open(video) as source,
            av.open(str(temporary.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as target,
        ):
            reader = _Reader(source)
            for _ in progress(_copy(reader, target, first, _Painter(first, result))):
                pass
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    if problem := reader.problem(video.name):
        warnings.warn(problem, stacklevel=2)


def _open(video: Path) -> InputContainer:
    # Absolute, since FFmpeg takes what comes before a colon for a protocol; tags may be in any encoding.
    return av.open(str(video.absolute()), metadata_errors="replace")


def _first_frame(video: Path) -> VideoFrame:
    try:
        with _open(video) as source:
            return next(source.decode(_picture_stream(source)))
    except FileNotFoundError:
        raise FileNotFoundError(f"A recording must be a file, found none at {video}; check the path.") from None
    except (av.FFmpegError, StopIteration):
        raise ValueError(
            f"{video.name} shows no picture to draw in; give a recording with video that can be decoded."
        ) from None


def _picture_stream(source: InputContainer) -> VideoStream:
    """The first video that is not a cover."""
    return next(stream for stream in source.streams.video if not stream.disposition & Disposition.attached_pic)


def _copy(reader: "_Reader", target: OutputContainer, first: VideoFrame, painter: "_Painter") -> Iterator[float]:
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

    def __init__(self, reader: _Reader, target: OutputContainer, first: VideoFrame, painter: "_Painter") -> None:
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
        planes = _planes(drawn)
        # A frame may change its size in the middle of a recording.
        frame = frame.reformat(self.first.width, self.first.height, "yuv420p")
        for plane, given in zip(planes, _planes(frame), strict=True):
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
        layout = "mono" if stream.codec_context.channels == 1 else "stereo"
        self.stream = target.add_stream("aac", rate=rate if rate in rates else 48_000, layout=layout)

    def write(self, packet: Packet) -> Iterator[Packet]:
        for frame in self.reader.decode(packet):
            if frame.pts is not None:
                # The encoder cuts frames anew: it needs a time base of samples.
                samples = round((_seconds(frame.pts, frame) - self.reader.origin) * frame.sample_rate)
                frame.pts, frame.time_base = samples, Fraction(1, frame.sample_rate)
            yield from self.stream.encode(frame)
        if not packet.size:
            yield from self.stream.encode(None)


class _Painter:
    """Draws what is known of a time into the planes of a picture."""

    def __init__(self, first: VideoFrame, result: Mapping[str, Any]) -> None:
        self.quarter_turns = round(first.rotation / 90) % 4  # anticlockwise
        size = (first.height, first.width) if self.quarter_turns % 2 else (first.width, first.height)
        self.width, self.height = (side // 2 * 2 for side in size)
        self.standard: dict[str, Any] = {
            "dst_colorspace": "ITU709" if first.colorspace == 1 else "ITU601",
            "dst_color_range": "JPEG" if first.color_range == 2 else "MPEG",
        }
        self.line = max(2, min(self.width, self.height) // 240 * 2)
        self.colors = palette(result["labels"])
        self.utterances = [
            utterance for utterance in result["utterances"] if None not in (utterance["start"], utterance["end"])
        ]
        self.spans = np.array([(each["start"], each["end"]) for each in self.utterances]).reshape(-1, 2)
        self.faces = _FacePaths(result["utterances"])
        self.now: list[int] | None = None

    def draw(self, planes: Planes, time: float) -> None:
        """Boxes and captions at a time in seconds."""
        starts, ends = self.spans.T
        now = np.flatnonzero((starts <= time) & (time < ends)).tolist()
        if now != self.now:
            self.now = now
            utterances = [self.utterances[index] for index in now]
            self.ink = self._ink({utterance["label"] for utterance in utterances})
            self.caption = self._overlay(utterances) if utterances else []
        for box in self.faces.at(time):
            self._outline(planes, box)
        for plane, (kept, added) in zip(planes, self.caption, strict=False):
            foot = plane[-len(added) :]
            foot[:] = (foot * kept + added) >> 8

    def _ink(self, labels: set[str]) -> Planes:
        """The emotion's colour, white where there is none or more than one: who speaks is not known."""
        shade = ImageColor.getrgb(self.colors[labels.pop()]) if len(labels) == 1 else _WHITE
        return self._to_planes(np.full((2, 2, 3), shade, dtype=np.uint8))

    def _outline(self, planes: Planes, box: np.ndarray) -> None:
        # Even pixels, as U and V have every second one.
        sides = 2 * np.round(box * [self.width, self.height, self.width, self.height] / 2).clip(0).astype(int)
        for plane, shade, step in zip(planes, self.ink, _PLANE_STEPS, strict=True):
            left, top, right, bottom = sides // step
            inside, line = plane[top:bottom, left:right], self.line // step
            inside[:line] = inside[-line:] = shade[0, 0]
            inside[:, :line] = inside[:, -line:] = shade[0, 0]

    def _overlay(self, utterances: Sequence[Mapping[str, Any]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Per plane the share of the picture that a caption leaves (of 256), and what it adds."""
        pixels = np.asarray(draw_caption(utterances, self.colors, self.width, self.height))
        opacity = pixels[..., 3].astype(np.uint16)
        opacity += opacity >> 7  # 255 becomes 256
        height, width = opacity.shape
        halved = opacity.reshape(height // 2, 2, width // 2, 2).mean((1, 3)).astype(np.uint16)
        planes = self._to_planes(np.ascontiguousarray(pixels[..., :3]))
        return [(256 - share, plane * share) for plane, share in zip(planes, (opacity, halved, halved), strict=True)]

    def _to_planes(self, pixels: np.ndarray) -> Planes:
        return _planes(VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p", **self.standard))


class _FacePaths:
    """The boxes of the faces at any time."""

    def __init__(self, utterances: Sequence[Mapping[str, Any]]) -> None:
        boxes = {(face["track"], face["time"]): face["box"] for each in utterances for face in each.get("faces") or ()}
        paths: list[list[tuple[int, float]]] = []
        intervals = []
        for sample in sorted(boxes):
            track, time = sample
            if paths and paths[-1][-1][0] == track and time - paths[-1][-1][1] <= LONGEST_GAP:
                intervals.append(time - paths[-1][-1][1])
                paths[-1].append(sample)
            else:
                paths.append([sample])
        self.times = [np.array([time for _, time in path]) for path in paths]
        self.boxes = [np.array([boxes[sample] for sample in path]) for path in paths]
        margin = median(intervals or [SAMPLE_INTERVAL]) / 2
        self.starts = np.array([times[0] - margin for times in self.times])
        self.ends = np.array([times[-1] + margin for times in self.times])

    def at(self, time: float) -> Iterator[np.ndarray]:
        for path in np.flatnonzero((self.starts <= time) & (time <= self.ends)):
            yield np.array([np.interp(time, self.times[path], side) for side in self.boxes[path].T])


def draw_caption(
    utterances: Sequence[Mapping[str, Any]], colors: Mapping[str, str], width: int, height: int
) -> Image.Image:
    """Captions of utterances, one above the other on a dark band.

    Args:
        utterances: with `speaker`, `text`, `label` and `score`.
        colors: of the emotions, `#RRGGBB`.
        width, height: of the picture in pixels, even.

    Returns:
        RGBA, as wide as the picture and at most as high.
    """
    size = max(11, min(width, height) // 22)
    font, bold = _font("DejaVuSans.ttf", size), _font("DejaVuSans-Bold.ttf", size)
    margin, row = size // 2, round(1.4 * size)
    lines = max(1, TEXT_LINES // len(utterances))
    texts = [_wrapped(one_line(utterance["text"]), font, width - 2 * margin, lines) for utterance in utterances]
    rows = sum(1 + len(text) for text in texts)
    image = Image.new("RGBA", (width, (rows * row + (len(texts) + 1) * margin) // 2 * 2), _BAND)
    canvas = ImageDraw.Draw(image)
    top = margin
    for utterance, text in zip(utterances, texts, strict=True):
        bar = (width - margin - width // 4, top + row // 6, width - margin, top + row - row // 3)
        verdict = emotion(utterance)
        canvas.text((bar[0] - margin, top), verdict, _WHITE, font, anchor="ra")
        room = bar[0] - 3 * margin - font.getlength(verdict)
        canvas.text((margin, top), _shortened(one_line(utterance["speaker"]), bold, room), _WHITE, bold)
        canvas.rectangle(bar, _EMPTY_BAR)
        filled = bar[0] + round(utterance["score"] * (bar[2] - bar[0]))
        canvas.rectangle((*bar[:2], filled, bar[3]), colors[utterance["label"]])
        for line in text:
            top += row
            canvas.text((margin, top), line, _WHITE, font)
        top += row + margin
    return image.crop((0, 0, width, min(image.height, height)))


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: float, lines: int) -> list[str]:
    """At most so many lines, broken at spaces where there are any, with an ellipsis where the text goes on."""
    wrapped: list[str] = []
    while text and len(wrapped) < lines - 1:
        fitting = _fitting(text, font, width)
        if fitting < len(text):
            space = text.rfind(" ", 0, fitting + 1)
            fitting = space if space > 0 else max(1, fitting)
        wrapped.append(text[:fitting])
        text = text[fitting:].lstrip()
    return [*wrapped, _shortened(text, font, width)] if text else wrapped


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    if font.getlength(text) <= width:
        return text
    return text[: _fitting(text, font, width - font.getlength("…"))].rstrip() + "…"


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: float) -> int:
    """How many of the first characters fit into a width in pixels."""
    return bisect_right(range(1, len(text) + 1), width, key=lambda count: font.getlength(text[:count]))


def _seconds(ticks: int, timed: Any) -> Fraction:
    """Exact seconds of ticks of the time base of a stream, packet or frame."""
    return ticks * timed.time_base


def _planes(frame: VideoFrame) -> Planes:
    """Views of the planes of a frame in yuv420p."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    ]
