"""A pipeline's predictions against the labels of dialogues."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..data.dialogue import Dialogue
from ..processing_m2fnet import MODALITIES
from .bootstrap import bootstrap_intervals
from .breakdown import by_modalities, by_position, by_speaker
from .calibration import calibration_metrics
from .metrics import emotion_metrics
from .records import Record, class_indices, label_names, predict_records, probability_matrix


def evaluate(
    pipe: Any, dialogues: Sequence[Dialogue], progress: Callable[..., Iterable[Any]] | None = None
) -> dict[str, Any]:
    """[`figures_of`] what a pipeline predicts of labelled dialogues; for the arguments see [`predict_records`]."""
    return figures_of(predict_records(pipe, dialogues, progress))


def figures_of(records: Sequence[Record]) -> dict[str, Any]:
    """All figures of predictions, as JSON can hold them.

    Returns:
        [`emotion_metrics`]; `modalities`, how many utterances were predicted with each; `by_speaker`, `by_position` and
        `by_modalities` (see `breakdown`); `calibration` ([`calibration_metrics`]); and `intervals`
        ([`bootstrap_intervals`]).

    Raises:
        ValueError: without any prediction.
    """
    if not records:
        raise ValueError("Figures need one prediction at least, found none.")
    labels, predictions = class_indices(records)
    return {
        **emotion_metrics(labels, predictions, label_names(records)),
        "modalities": {name: sum(name in record.modalities for record in records) for name in MODALITIES},
        "by_speaker": by_speaker(records),
        "by_position": by_position(records),
        "by_modalities": by_modalities(records),
        "calibration": calibration_metrics(probability_matrix(records), labels),
        "intervals": bootstrap_intervals(records),
    }
