"""The same metrics for parts of the utterances: by speaker, by place in the dialogue, by what the model was given.

Each part is a name with its number of `utterances`, `accuracy`, `weighted_f1` and `macro_f1`, the latter over the
emotions that occur or are predicted in that part. A part without utterances is absent.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .columns import PredictionColumns
from .metrics import headline

OTHERS = "(others)"
_POSITIONS = {1: "1", 3: "2-3", 8: "4-8", math.inf: "9+"}  # by their last


def by_speaker(predictions: PredictionColumns, least: int = 30) -> dict[str, dict[str, Any]]:
    """Metrics by name; speakers with fewer than `least` utterances, or without a name, are pooled as `(others)`."""
    counts = np.bincount(predictions.speakers).tolist()
    names = [
        OTHERS if name is None or count < least else name
        for name, count in zip(predictions.speaker_names, counts, strict=True)
    ]
    return _by(predictions, names, predictions.speakers)


def by_position(predictions: PredictionColumns) -> dict[str, dict[str, Any]]:
    """Metrics of the first utterance of dialogues, of the second and third, of 4 to 8, and of the later ones."""
    return _by(predictions, list(_POSITIONS.values()), np.searchsorted(list(_POSITIONS), predictions.positions))


def by_modalities(predictions: PredictionColumns) -> dict[str, dict[str, Any]]:
    """Metrics by what the predictions used, such as `text+audio`, or `none`."""
    names = ["+".join(modalities) or "none" for modalities in predictions.modality_sets]
    return _by(predictions, names, predictions.modalities)


def _by(predictions: PredictionColumns, names: Sequence[str], indices: np.ndarray) -> dict[str, dict[str, Any]]:
    """Metrics by the name that each prediction has by its index [N]."""
    parts = {name: number for number, name in enumerate(sorted(set(names)))}
    numbers = np.array([parts[name] for name in names])[indices]
    confusions = np.zeros((len(parts), len(predictions.names), len(predictions.names)), dtype=np.int64)
    np.add.at(confusions, (numbers, predictions.labels, predictions.predicted), 1)
    return {name: _metrics(confusion) for name, confusion in zip(parts, confusions, strict=True) if confusion.any()}


def _metrics(confusion: np.ndarray) -> dict[str, Any]:
    seen = np.flatnonzero(confusion.sum(0) + confusion.sum(1))
    metrics = headline(confusion[np.ix_(seen, seen)])
    return {"utterances": int(confusion.sum()), **{name: float(value) for name, value in metrics.items()}}
