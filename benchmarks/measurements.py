"""A measurement: what was measured, how far it spread, and what it has to reach."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Measurement = dict[str, Any]


class NotHereError(Exception):
    """Why a benchmark cannot run here."""


def at_least(reach: float, values: Sequence[float]) -> Measurement:
    """The median of measurements, which has to be `reach` or more."""
    return _measurement("at least", reach, values)


def at_most(reach: float, values: Sequence[float]) -> Measurement:
    """The median of measurements, which has to be `reach` or less."""
    return _measurement("at most", reach, values)


def told(values: Sequence[float]) -> Measurement:
    """The median of measurements, which has nothing to reach."""
    return _measurement("told", None, values)


def reached(measurement: Measurement) -> bool:
    """Whether a measurement is what it has to be."""
    if measurement["direction"] == "at least":
        return measurement["value"] >= measurement["reach"]
    return measurement["direction"] == "told" or measurement["value"] <= measurement["reach"]


def sentence(name: str, measurement: Measurement, judged: bool = True) -> str:
    """A measurement as a line of text: median, quartiles, and what it has to reach."""
    low, high = measurement["spread"]
    wanted = "" if measurement["direction"] == "told" else f"{measurement['direction']} {measurement['reach']:g}"
    verdict = "FALLS SHORT" if judged and not reached(measurement) else ""
    return f"{name:68} {measurement['value']:9.3g}  [{low:.3g}, {high:.3g}]  {wanted}  {verdict}".rstrip()


def _measurement(direction: str, reach: float | None, values: Sequence[float]) -> Measurement:
    low, middle, high = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return {
        "value": middle,
        "spread": [low, high],
        "repetitions": len(values),
        "reach": reach,
        "direction": direction,
    }
