"""Accuracy and F1 over utterances, as the field reports them."""

from collections.abc import Sequence
from typing import Any

from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support


def emotion_metrics(labels: Sequence[int], predictions: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """Weighted F1 (the field's headline), accuracy, macro F1 and each class of `names`.

    Args:
        labels, predictions: class indices, one per utterance, labelled ones only.
        names: class names in label order.

    Returns:
        `accuracy`, `weighted_f1`, `macro_f1`, `per_class` (precision, recall, f1 by name), `support` (utterances by
        name). A class that never occurs and is never predicted has F1 0.

    Raises:
        ValueError: without any label, or where the lengths differ.
    """
    if len(labels) != len(predictions) or not len(labels):
        raise ValueError(
            f"Metrics need as many predictions as labels and one at least, found {len(predictions)} and {len(labels)}."
        )
    classes = list(range(len(names)))
    options = {"labels": classes, "zero_division": 0.0}
    precision, recall, f1, support = precision_recall_fscore_support(labels, predictions, **options)
    return {
        "accuracy": float(accuracy_score(labels, predictions)),
        "weighted_f1": float(f1_score(labels, predictions, average="weighted", **options)),
        "macro_f1": float(f1_score(labels, predictions, average="macro", **options)),
        "per_class": {
            name: {"precision": float(precision[i]), "recall": float(recall[i]), "f1": float(f1[i])}
            for i, name in enumerate(names)
        },
        "support": {name: int(support[i]) for i, name in enumerate(names)},
    }
