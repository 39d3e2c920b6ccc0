"""Weighted F1, macro F1, accuracy and the F1 of each emotion, as a metric of the `evaluate` library."""

# `evaluate` copies this file elsewhere, where it can import nothing that lies beside it here.
from typing import Any

import datasets
import evaluate
from sklearn.metrics import accuracy_score, f1_score

_USAGE = """
Args:
    predictions, references: class indices, one per labelled utterance.
    labels: names of the classes in label order.

Returns:
    `weighted_f1`, `macro_f1`, `accuracy`, and `f1_<name>` for each class, 0 where it neither occurs nor is predicted.
"""


class EmotionMetric(evaluate.Metric):
    """What [`m2fnet_hf.evaluation.metrics.emotion_metrics`] gives, as flat figures that a Trainer can log."""

    def _info(self) -> evaluate.MetricInfo:
        index = datasets.Value("int64")
        return evaluate.MetricInfo(
            description=__doc__,
            citation="Chudasama et al., M2FNet, CVPR Workshops 2022 (arXiv:2206.02187).",
            inputs_description=_USAGE,
            features=datasets.Features({"predictions": index, "references": index}),
        )

    def _compute(self, predictions: list[int], references: list[int], labels: list[str]) -> dict[str, Any]:
        options: dict[str, Any] = {"labels": range(len(labels)), "zero_division": 0.0}
        per_class = f1_score(references, predictions, average=None, **options)
        return {
            "weighted_f1": float(f1_score(references, predictions, average="weighted", **options)),
            "macro_f1": float(per_class.mean()),
            "accuracy": float(accuracy_score(references, predictions)),
            **{f"f1_{name}": float(f1) for name, f1 in zip(labels, per_class, strict=True)},
        }
