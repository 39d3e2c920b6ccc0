"""Accuracy and F1 over utterances, as the field reports them, and the same of many confusion matrices at once."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from . import METRIC

if TYPE_CHECKING:
    from evaluate import EvaluationModule

HEADLINE = ("accuracy", "weighted_f1", "macro_f1")


def emotion_metrics(
    labels: Sequence[int] | np.ndarray, predictions: Sequence[int] | np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """Weighted F1 (the field's headline), accuracy, macro F1 and each class of `names`.

    Args:
        labels, predictions: class indices [N], one per utterance, labelled ones only.
        names: class names in label order.

    Returns:
        `accuracy`, `weighted_f1`, `macro_f1`, `per_class` (precision, recall, f1 by name), `support` (utterances by
        name) and `confusion` (rows are labels, columns predictions). A class that never occurs and is never predicted
        has F1 0.

    Raises:
        ValueError: without any label, or where the lengths differ.
    """
    if len(labels) != len(predictions) or not len(labels):
        raise ValueError(
            f"Metrics need as many predictions as labels and one at least, found {len(predictions)} and {len(labels)}."
        )
    # Of the pairs that there are and their numbers: the library makes lists and tables of what it is given.
    counts = confusion_matrix(labels, predictions, len(names))
    label, prediction = np.nonzero(counts)
    pairs: dict[str, Any] = {"references": label, "predictions": prediction, "sample_weight": counts[label, prediction]}
    values = _metric().compute(**pairs, labels=list(names), detailed=True)
    return {name: values[name] for name in (*HEADLINE, "per_class", "support", "confusion")}


@cache
def _metric() -> "EvaluationModule":
    """The metric of `emotion_metric.py`, which keeps what it is given in memory."""
    try:
        from evaluate import load
    except ImportError as error:
        raise ImportError(f"Metrics need {error.name}: pip install 'm2fnet-hf[train]'") from None
    return load(METRIC, keep_in_memory=True)


def confusion_matrix(
    labels: Sequence[int] | np.ndarray, predictions: Sequence[int] | np.ndarray, classes: int
) -> np.ndarray:
    """Utterances [C, C] by label (row) and prediction (column)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (np.asarray(labels), np.asarray(predictions)), 1)
    return counts


def class_metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """`precision`, `recall` and `f1` [..., C] of confusion matrices [..., C, C]."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    labelled, predicted = confusion.sum(-1), confusion.sum(-2)
    return {
        "precision": _share(right, predicted),
        "recall": _share(right, labelled),
        "f1": _share(2 * right, labelled + predicted),
    }


def headline(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """`accuracy`, `weighted_f1` and `macro_f1` [...] of confusion matrices [..., C, C]."""
    f1, labelled = class_metrics(confusion)["f1"], confusion.sum(-1)
    total = labelled.sum(-1)
    return {
        "accuracy": _share(np.trace(confusion, axis1=-2, axis2=-1), total),
        "weighted_f1": _share((f1 * labelled).sum(-1), total),
        "macro_f1": f1.mean(-1),
    }


def _share(part: Any, whole: Any) -> np.ndarray:
    """Quotients, 0 where there is nothing to share, as scikit-learn does with `zero_division=0`."""
    return part / np.maximum(whole, 1)
