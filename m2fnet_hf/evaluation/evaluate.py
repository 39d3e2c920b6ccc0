"""A pipeline's predictions against the labels of dialogues."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..data.collator import label_id
from ..data.dialogue import Dialogue
from .metrics import emotion_metrics


def evaluate(pipe: Any, dialogues: Sequence[Dialogue], progress: Any = iter) -> dict[str, Any]:
    """Figures of a pipeline on labelled dialogues.

    Args:
        pipe: a `MultimodalEmotionPipeline`.
        dialogues: utterances without a label are predicted, as context, but not counted.
        progress: wraps the stream of predicted dialogues, to show how far it is.

    Returns:
        [`emotion_metrics`], and `modalities`: how many of the counted utterances were predicted with each.

    Raises:
        ValueError: for a label that the model does not know, or where no utterance has one.
    """
    config = pipe.model.config
    labels, predictions, used = [], [], dict.fromkeys(("text", "audio", "visual"), 0)
    truth = [[label_id(utterance.label, config.label_ids) for utterance in dialogue] for dialogue in dialogues]
    if not any(label >= 0 for row in truth for label in row):
        raise ValueError("An evaluation needs labelled utterances, found none.")
    predicted: Iterable[list[dict[str, Any]]] = progress(pipe(dialogue for dialogue in dialogues))
    for row, utterances in zip(truth, predicted, strict=True):
        for label, utterance in zip(row, utterances, strict=True):
            if label < 0:
                continue
            labels.append(label)
            predictions.append(config.label_ids[utterance["label"]])
            for modality in utterance["modalities"]:
                used[modality] += 1
    return {**emotion_metrics(labels, predictions, config.label_names), "modalities": used}
