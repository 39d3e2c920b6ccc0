"""Metrics of a model as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..utils.files import write_whole
from .console_tables import describe_change
from .formatting import MARK
from .palette import MELD_COLORS, blend, palette, text_color

try:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    from .fonts import fonts_for
except ImportError as error:
    raise ImportError(f"Figures need {error.name}: pip install 'm2fnet-hf[reports]'") from None

INK, QUIET, LINE = "#1F2328", "#59636E", "#D8DEE4"
FILL = MELD_COLORS["sadness"]  # a blue, where no emotion is meant
DOTS_PER_INCH = 150
FONT_SIZE = 9


def write_plots(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """PNG files of what the results hold.

    Args:
        results: what `evaluate` gave (`confusion.png`, `f1.png`, `reliability.png`), what `calibrate` gave
            (`calibration.png`: before and after), or what `ablate` gave (`ablation.png`: weighted F1 on test); all
            shares are from 0 to 1.
        folder: made where it is not there.

    Returns:
        The files.

    Warns:
        UserWarning: where no installed font has some of the letters.
    """
    with fonts_for([*results.get("support", ()), *results.get("tables", ())]):
        written = {folder / f"{name}.png": figure for name, figure in _draw(results).items()}
        for path, figure in written.items():
            with write_whole(path) as part:
                figure.savefig(part, format="png", metadata={"Software": MARK})
    return list(written)


def _draw(results: Mapping[str, Any]) -> dict[str, Figure]:
    figures = {}
    if "confusion" in results:
        figures["confusion"] = draw_confusion(results["confusion"], list(results["support"]))
        figures["f1"] = draw_f1(results["per_class"], (results["intervals"] or {}).get("f1"))
        figures["reliability"] = draw_reliability({"Reliability": results["calibration"]})
    if "temperature" in results:
        after = f"After: temperature {results['temperature']:.2f}"
        figures["calibration"] = draw_reliability({"Before": results["before"], after: results["after"]})
    if "tables" in results:
        figures["ablation"] = draw_ablation(ablation_rows(results["tables"]))
    return figures


def draw_confusion(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> Figure:
    """Utterances by label (row) and prediction (column), coloured by their share of the row."""
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = _figure(2.0 + 0.75 * len(names), 1.5 + 0.65 * len(names))
    axis = figure.subplots()
    axis.imshow(shares, LinearSegmentedColormap.from_list("share", ["white", FILL]), vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        color = text_color(blend(FILL, shares[row, column]))
        words = f"{shares[row, column]:.0%}\n{counts[row, column]}" if counts[row].any() else ""
        axis.text(column, row, words, ha="center", va="center", color=color, fontsize=FONT_SIZE - 1)
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor", parse_math=False)
    axis.set_yticks(range(len(names)), names, parse_math=False)
    _style(axis, "Share of the label, utterances", horizontal="prediction", vertical="label")
    return figure


def draw_f1(
    per_class: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Sequence[float]] | None = None
) -> Figure:
    """F1 of each class, with the lower and upper end of its interval."""
    colors = palette(list(per_class))
    title = "F1 by emotion" if intervals is None else "F1 by emotion, with 95 % intervals over dialogues"
    bars = []
    for name, figures in per_class.items():
        ends = None if intervals is None else intervals[name]
        bars.append(_Bar(name, figures["f1"], ends, f"{100 * figures['f1']:.1f}", colors[name]))
    return _draw_bars(title, bars)


def ablation_rows(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Of each row of each table, its `name`, and `mean` and `sd` over seeds of weighted F1 on test."""
    rows = []
    for table, of_table in tables.items():
        for row in of_table:
            spread = row["metrics"]["test"]["weighted_f1"]
            name = f"{table}: {describe_change(row['overrides'])}"
            rows.append({"name": name, "mean": spread["mean"], "sd": spread["std"]})
    return rows


def draw_ablation(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """The `mean` of each row, with a line of one standard deviation `sd` (`None` for one seed) to each side."""
    bars = []
    for name, mean, sd in ((row["name"], row["mean"], row["sd"]) for row in rows):
        ends = None if sd is None else (mean - sd, mean + sd)
        spread = "" if sd is None else f" ± {100 * sd:.1f}"
        bars.append(_Bar(name, mean, ends, f"{100 * mean:.1f}{spread}", FILL))
    return _draw_bars("Weighted F1 on test: mean and standard deviation over seeds", bars)


def draw_reliability(panels: Mapping[str, Mapping[str, Any]]) -> Figure:
    """By title, how often predictions of some probability are right, and how many there are."""
    figure = _figure(3.8 * len(panels), 4.8)
    axes = figure.subplots(2, len(panels), squeeze=False, sharex=True, sharey="row", height_ratios=(4, 1))
    for (above, below), (title, calibration) in zip(axes.T, panels.items(), strict=True):
        table = calibration["reliability"]
        left, widths = [row["low"] for row in table], [row["high"] - row["low"] for row in table]
        style: dict[str, Any] = {"width": widths, "align": "edge", "edgecolor": "white"}
        above.bar(left, [row["accuracy"] for row in table], color=FILL, **style)
        above.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--")
        above.set_ylim(0, 1)
        figures = f"calibration error {calibration['ece']:.3f}, NLL {calibration['nll']:.3f}"
        _style(above, f"{title}\n{figures}", vertical="share that is right")
        below.bar(left, [row["utterances"] for row in table], color=QUIET, **style)
        below.set_xlim(0, 1)
        _style(below, horizontal="probability of the prediction", vertical="utterances")
        for axis in (above, below):
            axis.label_outer()
    return figure


class _Bar(NamedTuple):
    """A value and the ends of a line over it, as shares, and the words beside it."""

    name: str
    value: float
    ends: Sequence[float] | None
    words: str
    color: str


def _draw_bars(title: str, bars: Sequence[_Bar]) -> Figure:
    """Horizontal bars in per cent, the first on top."""
    figure = _figure(7.0, 1.1 + 0.38 * len(bars))
    axis = figure.subplots()
    for row, bar in enumerate(bars):
        axis.barh(row, 100 * bar.value, height=0.7, color=bar.color)
        if bar.ends is not None:
            axis.hlines(row, 100 * bar.ends[0], 100 * bar.ends[1], color=INK, linewidth=1.5)
        right = max(bar.value, *(bar.ends or (0,)))
        axis.text(100 * right + 1, row, bar.words, va="center", color=INK, fontsize=FONT_SIZE)
    axis.set_yticks(range(len(bars)), [bar.name for bar in bars], parse_math=False)
    axis.set_xlim(0, 110)
    axis.invert_yaxis()
    axis.grid(axis="x", color=LINE, linewidth=0.6)
    axis.set_axisbelow(True)
    _style(axis, title, horizontal="per cent")
    return figure


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")


def _style(axis: Axes, title: str = "", horizontal: str = "", vertical: str = "") -> None:
    axis.set_title(title, loc="left", color=INK, fontsize=FONT_SIZE + 1)
    axis.set_xlabel(horizontal, color=QUIET, fontsize=FONT_SIZE)
    axis.set_ylabel(vertical, color=QUIET, fontsize=FONT_SIZE)
    axis.tick_params(length=0, labelsize=FONT_SIZE, labelcolor=INK)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["bottom", "left"]].set_color(LINE)
