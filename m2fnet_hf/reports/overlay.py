"""A prediction as it is drawn into pictures: boxes around faces, captions with the emotion of each utterance.

A picture is drawn on as it is encoded: three planes Y, U, V, of which U and V have half the rows and columns.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from .formatting import emotion, one_line
from .palette import palette

try:
    import matplotlib
    from PIL import Image, ImageColor, ImageDraw, ImageFont

    from .fonts import fullest_font, warn_of_missing
except ImportError as error:
    raise ImportError(
        f"Drawing into a recording needs Pillow and matplotlib, found no {error.name}; pip install 'm2fnet-hf[reports]'"
    ) from None

TEXT_LINES = 3
LONGEST_GAP = 2.0  # seconds between two samples of a face that its box crosses
SAMPLE_INTERVAL = 1.0  # seconds, where no face has two samples to tell it

_PLANE_STEPS = (1, 2, 2)
_WHITE = (255, 255, 255)
_BAND = (0, 0, 0, 170)
_EMPTY_BAR = (110, 110, 110)

Planes = list[np.ndarray]


class Painter:
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
        warn_of_missing(one_line(utterance[field]) for utterance in self.utterances for field in ("speaker", "text"))
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
        return planes_of(VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p", **self.standard))


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
    letters = "".join(one_line(f"{one['speaker']} {one['text']} {one['label']}") for one in utterances)
    font, bold = _font("DejaVuSans.ttf", letters, size), _font("DejaVuSans-Bold.ttf", letters, size)
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


def _font(name: str, letters: str, size: int) -> ImageFont.FreeTypeFont:
    file, number = fullest_font(letters, str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)))
    return ImageFont.truetype(file, size, index=number)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: float, lines: int) -> list[str]:
    """At most that many lines, broken at spaces where there are any, with an ellipsis where the text goes on."""
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


def planes_of(frame: VideoFrame) -> Planes:
    """Views of the planes of a frame in yuv420p."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    ]
