"""A pipeline's predictions against the labels of dialogues."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dialogue_m2fnet import Dialogue
from ..processing_m2fnet import MODALITIES
from ..utils.console import Progress
from .bootstrap import bootstrap_intervals
from .breakdown import by_modalities, by_position, by_speaker
from .calibration import calibration_metrics
from .columns import PredictionColumns
from .metrics import emotion_metrics
from .predictions import predict_utterances

if TYPE_CHECKING:
    from ..pipeline_m2fnet import MultimodalEmotionPipeline


def evaluate(
    pipe: "MultimodalEmotionPipeline",
    dialogues: Iterable[Dialogue | Mapping[str, Any]],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """[`compute_metrics`] of what a pipeline predicts of labelled dialogues; arguments as of [`predict_utterances`]."""
    return compute_metrics(PredictionColumns(predict_utterances(pipe, dialogues, progress)))


def compare_labels(
    pipes: Mapping[str, "MultimodalEmotionPipeline"],
    dialogues: Sequence[Dialogue],
    progress: Progress | None = None,
) -> dict[str, dict[str, float]]:
    """What several pipelines predict of labelled dialogues.

    Args:
        pipes: by name; the first is what the others are compared to.

    Returns:
        By name `weighted_f1` and `accuracy`, and `agreement`, the share of utterances with the label of the first.
    """
    results = {}
    reference = None
    for name, pipe in pipes.items():
        predictions = PredictionColumns(predict_utterances(pipe, dialogues, progress))
        reference = predictions.predicted if reference is None else reference
        metrics = emotion_metrics(predictions.labels, predictions.predicted, predictions.names)
        results[name] = {
            "weighted_f1": metrics["weighted_f1"],
            "accuracy": metrics["accuracy"],
            "agreement": float((predictions.predicted == reference).mean()),
        }
    return results


def compute_metrics(predictions: PredictionColumns) -> dict[str, Any]:
    """All metrics of predictions, as JSON can hold them.

    Returns:
        [`emotion_metrics`]; `modalities`, how many utterances were predicted with each; `by_speaker`, `by_position` and
        `by_modalities` (see `breakdown`); `calibration` ([`calibration_metrics`]); and `intervals`
        ([`bootstrap_intervals`]).

    Raises:
        ValueError: without any prediction.
    """
    if not predictions:
        raise ValueError("Metrics need one prediction at least, found none; give labelled dialogues.")
    return {
        **emotion_metrics(predictions.labels, predictions.predicted, predictions.names),
        "modalities": _modality_counts(predictions),
        "by_speaker": by_speaker(predictions),
        "by_position": by_position(predictions),
        "by_modalities": by_modalities(predictions),
        "calibration": calibration_metrics(predictions.probabilities, predictions.labels),
        "intervals": bootstrap_intervals(predictions),
    }


def _modality_counts(predictions: PredictionColumns) -> dict[str, int]:
    counts = np.bincount(predictions.modalities).tolist()
    used = list(zip(predictions.modality_sets, counts, strict=True))
    return {name: sum(count for modalities, count in used if name in modalities) for name in MODALITIES}
