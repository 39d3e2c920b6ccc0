"""A picture of the conversation: who spoke when, and with which emotion."""

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text

from .formatting import MARK, one_line, speaker_name
from .palette import blend, palette, text_color
from .timeline_layout import Bar, Layout, lay_out

WIDTH = 12.0  # inches
ROW_HEIGHT = 0.3
DOTS_PER_INCH = 150
UTTERANCES_PER_STRIP = 40
MOST_ROWS = 72  # of all strips: a picture of two feet
LONGEST_NAME = 24  # letters
SHORTEST_TEXT = 10
FONT_SIZE = 7
# Of files of each format, and without the date that they would have.
METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": MARK},
    "svg": {"Creator": MARK, "Date": None},
    "pdf": {"Creator": MARK, "CreationDate": None},
}
INK, QUIET, LINE, BAND = "#1F2328", "#59636E", "#D8DEE4", "#F6F8FA"


def write_timeline(result: Mapping[str, Any], path: Path, format: str | None = None) -> None:
    """A timeline as `png`, `svg` or `pdf`: the `format`, or else the suffix of `path`.

    Speakers are rows, emotions colours, probabilities opacity. Long conversations are broken into strips. Where no
    utterance has times, they stand in order; where some have, the others are counted in the heading.
    """
    utterances = result["utterances"]
    speakers = {speaker_name(utterance) for utterance in utterances}
    strips = max(1, min(math.ceil(len(utterances) / UTTERANCES_PER_STRIP), MOST_ROWS // max(1, len(speakers))))
    layout = lay_out(utterances, shortest=0.002 / strips)
    height = 1.5 + strips * (0.35 + ROW_HEIGHT * len(layout.rows))
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    colors = palette(result["labels"])
    axes = figure.subplots(strips, squeeze=False)[:, 0]
    for axis, (left, right) in zip(axes, _bounds(layout, strips), strict=True):
        _draw_axis(axis, layout, left, right)
    axes[-1].set_xlabel("time" if layout.timed else "utterance", color=QUIET, fontsize=FONT_SIZE + 1)
    heading = _draw_heading(figure, axes[0], result, unplaced=len(utterances) - len(layout.bars))
    _draw_legends(figure, {label: color for label, color in colors.items() if _is_present(label, utterances)})
    figure.draw_without_rendering()  # from here on the axes have their size, which says what text fits
    figure.set_layout_engine("none")
    heading.set_x(axes[0].get_position().x0)
    for axis in axes:
        for bar in layout.bars:
            _draw_bar(axis, bar, utterances[bar.number], colors)
    figure.savefig(path, format=format, metadata=METADATA.get(format or path.suffix.removeprefix(".")))


def opacity(score: float) -> float:
    """How much of its colour a bar of this probability has: never so little that it cannot be seen."""
    return 0.3 + 0.7 * score


def _is_present(label: str, utterances: list[Mapping[str, Any]]) -> bool:
    return any(utterance["label"] == label for utterance in utterances)


def _bounds(layout: Layout, strips: int) -> list[tuple[float, float]]:
    length = (layout.last - layout.first) / strips
    return [(layout.first + n * length, layout.first + (n + 1) * length) for n in range(strips)]


def _draw_axis(axis: Axes, layout: Layout, left: float, right: float) -> None:
    axis.set_xlim(left, right)
    axis.set_ylim(len(layout.rows) - 0.5, -0.5)
    ticks = layout.ticks(left, right, most=12)
    axis.set_xticks(ticks, [layout.mark(tick) for tick in ticks], color=QUIET, fontsize=FONT_SIZE)
    names = [textwrap.shorten(name, LONGEST_NAME, placeholder="…") or name[:LONGEST_NAME] for name in layout.rows]
    axis.set_yticks(range(len(names)), names, color=INK, fontsize=FONT_SIZE + 1, parse_math=False)
    axis.tick_params(length=0)
    for row in range(0, len(names), 2):
        axis.axhspan(row - 0.5, row + 0.5, color=BAND, linewidth=0, zorder=0)
    axis.grid(axis="x", color=LINE, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(LINE)


def _draw_heading(figure: Figure, axis: Axes, result: Mapping[str, Any], unplaced: int) -> Text:
    facts = [f"Model {result['model']}.", result["note"]]
    if unplaced:
        facts.append(f"Without times and not shown: {unplaced}.")
    facts_in_lines = textwrap.fill(one_line(" ".join(filter(None, facts))), 150)
    axis.set_title(facts_in_lines, loc="left", color=QUIET, fontsize=FONT_SIZE + 1, parse_math=False)
    name = textwrap.shorten(one_line(result["source"]), 90, placeholder="…")
    return figure.suptitle(name, ha="left", color=INK, fontsize=12, fontweight="bold", parse_math=False)


def _draw_legends(figure: Figure, colors: Mapping[str, str]) -> None:
    emotions = [Patch(color=color, label=label) for label, color in colors.items()]
    scores = (0.2, 0.6, 1.0)
    shades = [Patch(facecolor=blend(INK, opacity(score)), label=f"probability {score:.0%}") for score in scores]
    style: dict[str, Any] = {"frameon": False, "fontsize": FONT_SIZE + 1, "handlelength": 1.2, "labelcolor": INK}
    figure.legend(handles=emotions, loc="outside lower left", ncols=min(8, max(1, len(emotions))), **style)
    figure.legend(handles=shades, loc="outside lower right", ncols=len(shades), **style)


def _draw_bar(axis: Axes, bar: Bar, utterance: Mapping[str, Any], colors: Mapping[str, str]) -> None:
    first, last = axis.get_xlim()
    left, right = max(bar.left, first), min(bar.right, last)
    if left >= right:
        return
    fill = blend(colors[utterance["label"]], opacity(utterance["score"]))
    height = 0.84 / bar.lanes
    bottom = bar.row - 0.42 + bar.lane * height
    patch = Rectangle((left, bottom), right - left, height, facecolor=fill, edgecolor="white", linewidth=0.5, zorder=2)
    axis.add_patch(patch)
    points = axis.get_window_extent().width / DOTS_PER_INCH * 72 * (right - left) / (last - first)
    words = _fitting(one_line(utterance["text"]), points)
    if bar.lanes == 1 and words:
        style: dict[str, Any] = {"color": text_color(fill), "fontsize": FONT_SIZE, "va": "center_baseline"}
        said = axis.annotate(words, (left, bar.row), (3, 0), textcoords="offset points", parse_math=False, **style)
        said.set_clip_path(patch)


def _fitting(text: str, points: float) -> str:
    """As much of a text as has room, or nothing where it would say nothing."""
    letters = int((points - 5) / (0.57 * FONT_SIZE))
    if len(text) <= letters:
        return text
    return f"{text[: letters - 1].rstrip()}…" if letters >= SHORTEST_TEXT else ""
