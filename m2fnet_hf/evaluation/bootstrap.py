"""How far metrics would move with other dialogues: utterances of one are alike, so whole dialogues are drawn again."""

from typing import Any

import numpy as np

from .columns import PredictionColumns
from .metrics import HEADLINE, class_metrics, confusion_matrix, headline

PERCENTILES = (2.5, 97.5)


def bootstrap_intervals(predictions: PredictionColumns, resamples: int = 1000, seed: int = 0) -> dict[str, Any] | None:
    """95 % intervals, lower and upper end.

    Returns:
        `accuracy`, `weighted_f1`, `macro_f1` and `f1` (by class), or `None` for a single dialogue, which says nothing
        of others.
    """
    keys, rows = _dialogues(predictions)
    if len(keys) < 2:
        return None
    drawn = _resample(predictions, rows, len(keys), resamples, seed)
    ends = np.percentile(class_metrics(drawn)["f1"], PERCENTILES, axis=0).T.tolist()
    return {
        **{name: np.percentile(values, PERCENTILES).tolist() for name, values in headline(drawn).items()},
        "f1": dict(zip(predictions.names, ends, strict=True)),
    }


def compare(
    ours: PredictionColumns, theirs: PredictionColumns, resamples: int = 1000, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Two models on the same dialogues, which are drawn for both alike.

    Returns:
        For `accuracy`, `weighted_f1` and `macro_f1`: `difference` (ours less theirs), its 95 % `interval`, and
        `share_better`, the share of resamples in which ours is higher.

    Raises:
        ValueError: for other utterances or labels, or for a single dialogue.
    """
    (keys, rows), (other_keys, other_rows) = map(_dialogues, (ours, theirs))
    same = ours.names == theirs.names and np.array_equal(keys, other_keys)
    if not same or not np.array_equal(_truth(ours, rows), _truth(theirs, other_rows)):
        raise ValueError(
            f"Two models must have predicted the same labelled utterances, found others ({len(ours)} and {len(theirs)}"
            " predictions); evaluate both on the same split."
        )
    if len(keys) < 2:
        raise ValueError("A comparison draws dialogues and needs two at least, found one; evaluate more of them.")
    pair = ((ours, rows), (theirs, other_rows))
    here = [headline(confusion_matrix(one.labels, one.predicted, len(one.names))) for one, _ in pair]
    drawn = [headline(_resample(*one, len(keys), resamples, seed)) for one in pair]
    return {
        name: {
            "difference": float(here[0][name] - here[1][name]),
            "interval": np.percentile(drawn[0][name] - drawn[1][name], PERCENTILES).tolist(),
            "share_better": float((drawn[0][name] > drawn[1][name]).mean()),
        }
        for name in HEADLINE
    }


def _dialogues(predictions: PredictionColumns) -> tuple[np.ndarray, np.ndarray]:
    """Keys of the dialogues, sorted, and the row of each prediction's dialogue among them [N]."""
    numbers, rows = np.unique(predictions.dialogues, return_inverse=True)
    keys = numbers.astype(str)
    if predictions.dialogue_ids:
        ids = np.array([str(predictions.dialogue_ids.get(number, number)) for number in numbers.tolist()])
        # One id twice tells nothing apart.
        keys = ids if len(np.unique(ids)) == len(ids) else keys
    order = np.argsort(keys)
    return keys[order], np.argsort(order)[rows]


def _truth(predictions: PredictionColumns, rows: np.ndarray) -> np.ndarray:
    """Rows, positions and labels [3, N], sorted."""
    order = np.lexsort((predictions.positions, rows))
    return np.stack([rows, predictions.positions, predictions.labels])[:, order]


def _resample(predictions: PredictionColumns, rows: np.ndarray, count: int, resamples: int, seed: int) -> np.ndarray:
    """Confusion matrices [R, C, C] of as many dialogues as there are, drawn with replacement."""
    classes, random, chances = len(predictions.names), np.random.default_rng(seed), np.full(count, 1 / count)
    cells = np.ravel_multi_index((predictions.labels, predictions.predicted), (classes, classes))
    # One after another: 1000 draws of 100,000 dialogues would take 800 MB.
    drawn = [
        np.bincount(cells, random.multinomial(count, chances).astype(float)[rows], minlength=classes**2)
        for _ in range(resamples)
    ]
    return np.reshape(drawn, (resamples, classes, classes))
