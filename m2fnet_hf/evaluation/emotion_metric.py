"""Weighted F1, macro F1, accuracy and the F1 of each emotion, as a metric of the `evaluate` library."""

# `evaluate` copies this file elsewhere, where it can import nothing that lies beside it here.
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

_USAGE = """
Args:
    predictions, references: class indices, one per labelled utterance.
    labels: names of the classes in label order.
    detailed: whether to give nested values as well.
    sample_weight: how many utterances each pair of indices stands for. Default: one.

Returns:
    `weighted_f1`, `macro_f1`, `accuracy`, and `f1_<name>` for each class, 0 where it neither occurs nor is predicted;
    detailed also `per_class` (precision, recall and f1 by name), `support` (references by name) and `confusion` (rows
    are references, columns predictions).
"""


class EmotionMetric(evaluate.Metric):
    """What Trainer and [`m2fnet_hf.evaluation.metrics.emotion_metrics`] compute their numbers with."""

    def _info(self) -> evaluate.MetricInfo:
        index = datasets.Value("int64")
        return evaluate.MetricInfo(
            description=__doc__,
            citation="Chudasama et al., M2FNet, CVPR Workshops 2022 (arXiv:2206.02187).",
            inputs_description=_USAGE,
            features=datasets.Features({"predictions": index, "references": index}),
        )

    def _compute(
        self,
        predictions: list[int],
        references: list[int],
        labels: list[str],
        detailed: bool = False,
        sample_weight: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        indices, weights = range(len(labels)), {"sample_weight": sample_weight}
        options: dict[str, Any] = {"labels": indices, "zero_division": 0.0, **weights}
        parts = precision_recall_fscore_support(references, predictions, average=None, **options)
        precision, recall, f1, support = (part.tolist() for part in parts)
        values = {
            "weighted_f1": float(f1_score(references, predictions, average="weighted", **options)),
            "macro_f1": float(parts[2].mean()),
            "accuracy": float(accuracy_score(references, predictions, **weights)),
            **{f"f1_{name}": value for name, value in zip(labels, f1, strict=True)},
        }
        if not detailed:
            return values
        rows = zip(labels, precision, recall, f1, strict=True)
        return {
            **values,
            "per_class": {name: {"precision": p, "recall": r, "f1": f} for name, p, r, f in rows},
            "support": dict(zip(labels, map(int, support), strict=True)),
            "confusion": confusion_matrix(references, predictions, labels=indices, **weights).tolist(),
        }
