"""A picture of the conversation: who spoke when, and with which emotion."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text

from .fonts import fonts_for
from .formatting import MARK, abbreviations, emotion, one_line, shortened, speaker_name, text_width, wrapped
from .palette import palette
from .timeline_layout import Bar, Layout, lay_out

WIDTH = 12.0  # inches
LANE_HEIGHT = 0.34
DOTS_PER_INCH = 150
UTTERANCES_PER_STRIP = 24
MOST_LINES = 72  # lanes of all strips: a picture of three feet
MOST_ROWS, MOST_LANES = 24, 3
LONGEST_NAME = 26  # columns
FONT_SIZE = 7
COLUMN = 0.6 * FONT_SIZE  # points of a letter
SHORTEST = 2.5 * COLUMN / (72 * 0.8 * WIDTH)  # of a strip: a bar has its abbreviation at least
# Of a lane's height, from its top: the words, then the bar, which is filled to the probability.
WORDS_END, BAR_END = 0.42, 0.92
# Of files of each format, and without the date that they would have.
METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": MARK},
    "svg": {"Creator": MARK, "Date": None},
    "pdf": {"Creator": MARK, "CreationDate": None},
}
INK, QUIET, LINE, BAND = "#1F2328", "#59636E", "#D8DEE4", "#F6F8FA"


class _Picture(NamedTuple):
    """What is drawn.

    Args:
        tops: the lanes above each row.
        bars: those that have a place, with their utterances.
    """

    layout: Layout
    names: list[str]
    tops: list[int]
    lanes: int
    bars: list[tuple[Bar, Mapping[str, Any]]]
    colors: dict[str, str]
    short: dict[str, str]


def write_timeline(result: Mapping[str, Any], path: Path, format: str | None = None) -> None:
    """A timeline as `png`, `svg` or `pdf`: the `format`, or else the suffix of `path`.

    Speakers are rows. A bar has the word of its emotion and its colour, and is filled to its probability. Long
    conversations are broken into strips, and no picture is longer than three feet: the heading counts what has no place
    in it. Where no utterance has times, they stand in order.

    Warns:
        UserWarning: where no installed font has some of the letters.
    """
    utterances = result["utterances"]
    shown = _most_frequent_speakers(utterances)
    drawn = [utterance for utterance in utterances if speaker_name(utterance) in shown]
    picture, strips = _compose(drawn, result["labels"])
    heading = _heading(result, len(utterances), picture)
    with fonts_for([one_line(result["source"]), heading, *picture.names, *_words(drawn)]):
        height = 1.5 + strips * (0.35 + LANE_HEIGHT * picture.lanes)
        figure = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
        axes = figure.subplots(strips, squeeze=False)[:, 0]
        bounds = _bounds(picture.layout, strips)
        for axis, (left, right) in zip(axes, bounds, strict=True):
            _draw_axis(axis, picture, left, right)
        axes[-1].set_xlabel("time" if picture.layout.timed else "utterance", color=QUIET, fontsize=FONT_SIZE + 1)
        title = _draw_title(figure, axes[0], one_line(result["source"]), heading)
        _draw_legend(figure, picture)
        figure.draw_without_rendering()  # from here on the axes have their size, which says what text fits
        figure.set_layout_engine("none")
        title.set_x(axes[0].get_position().x0)
        for axis, of_strip in zip(axes, _by_strip(picture, bounds), strict=True):
            _draw_bars(axis, picture, of_strip)
        figure.savefig(path, format=format, metadata=METADATA.get(format or path.suffix.removeprefix(".")))


def _most_frequent_speakers(utterances: Sequence[Mapping[str, Any]]) -> set[str]:
    counts = Counter(speaker_name(utterance) for utterance in utterances)
    return {name for name, _ in counts.most_common(MOST_ROWS)}


def _compose(utterances: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> tuple[_Picture, int]:
    """What is drawn, and in how many strips."""
    strips = max(1, math.ceil(len(utterances) / UTTERANCES_PER_STRIP))
    while True:
        layout = lay_out(utterances, shortest=SHORTEST / strips)
        lanes = [min(lanes, MOST_LANES) for lanes in layout.rows.values()]
        fitting = max(1, MOST_LINES // max(1, sum(lanes)))
        if strips <= fitting:
            break
        strips = fitting
    tops = [sum(lanes[:row]) for row in range(len(lanes))]
    bars = [(bar, utterances[bar.number]) for bar in layout.bars if bar.lane < MOST_LANES]
    present = {utterance["label"] for utterance in utterances}
    colors = {label: color for label, color in palette(labels).items() if label in present}
    return _Picture(layout, list(layout.rows), tops, max(1, sum(lanes)), bars, colors, abbreviations(labels)), strips


def _heading(result: Mapping[str, Any], utterances: int, picture: _Picture) -> str:
    facts = [f"Model {result['model']}.", "A bar is filled to the probability of its emotion.", result["note"]]
    if len(picture.bars) < utterances:
        facts.append(f"Without a place in this picture: {utterances - len(picture.bars)} of {utterances} utterances.")
    return one_line(" ".join(filter(None, facts)))


def _words(utterances: Sequence[Mapping[str, Any]]) -> list[str]:
    return [one_line(f"{utterance['label']} {utterance['text'] or ''}") for utterance in utterances]


def _bounds(layout: Layout, strips: int) -> list[tuple[float, float]]:
    length = (layout.last - layout.first) / strips
    return [(layout.first + n * length, layout.first + (n + 1) * length) for n in range(strips)]


def _by_strip(picture: _Picture, bounds: Sequence[tuple[float, float]]) -> list[list[tuple[Bar, Mapping[str, Any]]]]:
    """The bars of each strip; one that goes on in the next is in both."""
    first, length = bounds[0][0], bounds[0][1] - bounds[0][0]
    strips: list[list[tuple[Bar, Mapping[str, Any]]]] = [[] for _ in bounds]
    for bar, utterance in picture.bars:
        start, end = (min(int((edge - first) / length), len(bounds) - 1) for edge in (bar.left, bar.right))
        for strip in range(start, end + 1):
            strips[strip].append((bar, utterance))
    return strips


def _draw_axis(axis: Axes, picture: _Picture, left: float, right: float) -> None:
    axis.set_xlim(left, right)
    axis.set_ylim(picture.lanes, 0)
    ticks = picture.layout.ticks(left, right, most=12)
    axis.set_xticks(ticks, [picture.layout.mark(tick) for tick in ticks], color=QUIET, fontsize=FONT_SIZE)
    ends = [*picture.tops[1:], picture.lanes]
    names = [_in_two_lines(name) for name in picture.names]
    middles = [(top + end) / 2 for top, end in zip(picture.tops, ends, strict=False)]
    axis.set_yticks(middles, names, color=INK, fontsize=FONT_SIZE + 1, parse_math=False)
    axis.tick_params(length=0)
    for top, end in list(zip(picture.tops, ends, strict=False))[::2]:
        axis.axhspan(top, end, color=BAND, linewidth=0, zorder=0)
    axis.grid(axis="x", color=LINE, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(LINE)


def _in_two_lines(name: str) -> str:
    first, *others = wrapped(name, LONGEST_NAME)
    return "\n".join([first, shortened(" ".join(others), LONGEST_NAME)] if others else [first])


def _draw_title(figure: Figure, axis: Axes, source: str, heading: str) -> Text:
    axis.set_title("\n".join(wrapped(heading, 150)), loc="left", color=QUIET, fontsize=FONT_SIZE + 1, parse_math=False)
    style: dict[str, Any] = {"color": INK, "fontsize": 12, "fontweight": "bold", "parse_math": False}
    return figure.suptitle("\n".join(wrapped(source, 90)), ha="left", **style)


def _draw_legend(figure: Figure, picture: _Picture) -> None:
    names = {label: one_line(f"{label} ({picture.short[label]})") for label in picture.colors}
    emotions = [Patch(color=color, label=names[label]) for label, color in picture.colors.items()]
    widest = max(map(text_width, names.values()), default=1)
    columns = max(1, min(8, len(emotions), 150 // (widest + 6)))
    legend = figure.legend(
        handles=emotions, loc="outside lower left", ncols=columns, frameon=False, fontsize=FONT_SIZE + 1,
        handlelength=1.2, labelcolor=INK,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_bars(axis: Axes, picture: _Picture, bars: Sequence[tuple[Bar, Mapping[str, Any]]]) -> None:
    first, last = axis.get_xlim()
    points = axis.get_window_extent().width / DOTS_PER_INCH * 72 / (last - first)
    outlines, fills, colors = [], [], []
    for bar, utterance in bars:
        left, right = max(bar.left, first), min(bar.right, last)
        if left >= right:  # it ends where the strip begins
            continue
        top = picture.tops[bar.row] + bar.lane
        full = BAR_END - WORDS_END
        outlines.append(_box(left, right, top + WORDS_END, top + BAR_END))
        fills.append(_box(left, right, top + BAR_END - full * utterance["score"], top + BAR_END))
        colors.append(picture.colors[utterance["label"]])
        if right - left >= (bar.right - bar.left) / 2:  # else the word is in the other strip
            words = _fitting_words(utterance, picture.short[utterance["label"]], points * (right - left))
            _write(axis, words, left, right, top, points)
    axis.add_collection(PolyCollection(fills, facecolors=colors, linewidths=0, zorder=2), autolim=False)
    outline = PolyCollection(outlines, facecolors="none", edgecolors=colors, linewidths=0.7, zorder=3)
    axis.add_collection(outline, autolim=False)


def _write(axis: Axes, words: str, left: float, right: float, top: float, points: float) -> None:
    """Words over a bar; those of a short one at the end of a strip end with it."""
    style: dict[str, Any] = {"color": INK, "fontsize": FONT_SIZE, "va": "center", "parse_math": False}
    if right == axis.get_xlim()[1] and text_width(words) * COLUMN > points * (right - left):
        axis.text(right, top + WORDS_END / 2, words, ha="right", **style)
        return
    room = Rectangle((left, top), right - left, WORDS_END, transform=axis.transData)
    axis.text(left, top + WORDS_END / 2, words, clip_on=True, **style).set_clip_path(room)


def _box(left: float, right: float, top: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _fitting_words(utterance: Mapping[str, Any], short: str, points: float) -> str:
    """The emotion with its probability and the beginning of what is said, or as much of that as has room."""
    columns = int(points / COLUMN)
    verdict, label = one_line(emotion(utterance)), one_line(utterance["label"])
    said = shortened(one_line(utterance["text"]), columns - text_width(verdict) - 2)
    if len(said) > 8 or said == one_line(utterance["text"]) != "":
        return f"{verdict}  {said}"
    return next((words for words in (verdict, label) if text_width(words) <= columns), short)
