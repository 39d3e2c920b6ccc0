"""How far figures would move with other dialogues: utterances of one are alike, so whole dialogues are drawn again."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .metrics import HEADLINE, class_figures, headline
from .records import Record, class_indices, label_names

PERCENTILES = (2.5, 97.5)


def bootstrap_intervals(records: Sequence[Record], resamples: int = 1000, seed: int = 0) -> dict[str, Any] | None:
    """95 % intervals, lower and upper end.

    Returns:
        `accuracy`, `weighted_f1`, `macro_f1` and `f1` (by class), or `None` for a single dialogue, which says nothing
        of others.
    """
    matrices = _confusions(records, sorted({record.dialogue for record in records}, key=str))
    if len(matrices) < 2:
        return None
    drawn = _resample(matrices, resamples, seed)
    ends = np.percentile(class_figures(drawn)["f1"], PERCENTILES, axis=0).T.tolist()
    return {
        **{name: np.percentile(figures, PERCENTILES).tolist() for name, figures in headline(drawn).items()},
        "f1": dict(zip(label_names(records), ends, strict=True)),
    }


def compare(
    ours: Sequence[Record], theirs: Sequence[Record], resamples: int = 1000, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Two models on the same dialogues, which are drawn for both alike.

    Returns:
        For `accuracy`, `weighted_f1` and `macro_f1`: `difference` (ours less theirs), its 95 % `interval`, and
        `share_better`, the share of resamples in which ours is higher.

    Raises:
        ValueError: for other utterances or labels, or for a single dialogue.
    """
    if label_names(ours) != label_names(theirs) or _truth(ours) != _truth(theirs):
        raise ValueError(
            f"Two models must have predicted the same labelled utterances, found others ({len(ours)} and {len(theirs)}"
            " predictions); evaluate both on the same split."
        )
    dialogues = sorted({record.dialogue for record in ours}, key=str)
    if len(dialogues) < 2:
        raise ValueError("A comparison draws dialogues and needs two at least, found one; evaluate more of them.")
    pair = [_confusions(records, dialogues) for records in (ours, theirs)]
    here = [headline(matrices.sum(0)) for matrices in pair]
    drawn = [headline(_resample(matrices, resamples, seed)) for matrices in pair]
    return {
        name: {
            "difference": float(here[0][name] - here[1][name]),
            "interval": np.percentile(drawn[0][name] - drawn[1][name], PERCENTILES).tolist(),
            "share_better": float((drawn[0][name] > drawn[1][name]).mean()),
        }
        for name in HEADLINE
    }


def _truth(records: Sequence[Record]) -> dict[tuple, str]:
    return {(record.dialogue, record.position): record.label for record in records}


def _confusions(records: Sequence[Record], dialogues: Sequence[str | int]) -> np.ndarray:
    """A confusion matrix per dialogue [D, C, C]."""
    classes = len(label_names(records))
    number = {dialogue: row for row, dialogue in enumerate(dialogues)}
    matrices = np.zeros((len(dialogues), classes, classes))
    cells: Any = ([number[record.dialogue] for record in records], *class_indices(records))
    np.add.at(matrices, cells, 1)
    return matrices


def _resample(matrices: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Confusion matrices [R, C, C] of as many dialogues as there are, drawn with replacement."""
    count = len(matrices)
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.einsum("rd,dij->rij", times, matrices, optimize=True)
