"""A figure: what was measured, how far it spread, and what it has to reach."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Figure = dict[str, Any]


class NotHereError(Exception):
    """Why a benchmark cannot run here."""


def at_least(reach: float, values: Sequence[float]) -> Figure:
    """The median of measurements, which has to be `reach` or more."""
    return _figure("at least", reach, values)


def at_most(reach: float, values: Sequence[float]) -> Figure:
    """The median of measurements, which has to be `reach` or less."""
    return _figure("at most", reach, values)


def told(values: Sequence[float]) -> Figure:
    """The median of measurements, which has nothing to reach."""
    return _figure("told", None, values)


def reached(figure: Figure) -> bool:
    """Whether a figure is what it has to be."""
    if figure["direction"] == "at least":
        return figure["value"] >= figure["reach"]
    return figure["direction"] == "told" or figure["value"] <= figure["reach"]


def sentence(name: str, figure: Figure, judged: bool = True) -> str:
    """A figure as a line of text: median, quartiles, and what it has to reach."""
    low, high = figure["spread"]
    wanted = "" if figure["direction"] == "told" else f"{figure['direction']} {figure['reach']:g}"
    verdict = "FALLS SHORT" if judged and not reached(figure) else ""
    return f"{name:68} {figure['value']:9.3g}  [{low:.3g}, {high:.3g}]  {wanted}  {verdict}".rstrip()


def _figure(direction: str, reach: float | None, values: Sequence[float]) -> Figure:
    low, middle, high = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return {
        "value": middle,
        "spread": [low, high],
        "repetitions": len(values),
        "reach": reach,
        "direction": direction,
    }
