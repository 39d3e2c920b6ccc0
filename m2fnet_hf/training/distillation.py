"""Distillation (Hinton et al., 2015): one model learns what an ensemble believes of the training data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import pipeline

from ..configuration_m2fnet import M2FNetConfig
from ..data.dialogue import Dialogue
from ..registration import TASK


def taught(
    dialogues: Sequence[Dialogue], teachers: Sequence[str | Path], config: M2FNetConfig, batch_size: int = 8
) -> list[Dialogue]:
    """The dialogues with the mean of the teachers' probabilities as `label_probabilities`.

    Args:
        dialogues: training data.
        teachers: folders or Hub names of models with the same labels, in any order and with any context.
        config: of the model that learns.

    Raises:
        ValueError: for a teacher of other labels.
    """
    beliefs = [np.zeros((len(dialogue), len(config.label_names)), dtype=np.float32) for dialogue in dialogues]
    for teacher in teachers:
        pipe = pipeline(TASK, model=str(teacher), batch_size=batch_size)  # type: ignore[call-overload]
        labels = pipe.model.config.label_ids
        if set(labels) != set(config.label_ids):
            raise ValueError(
                f"A teacher must know the labels {', '.join(config.label_ids)}, found {', '.join(labels)} in {teacher}."
            )
        for belief, answers in zip(beliefs, pipe(dialogue for dialogue in dialogues), strict=True):
            belief += [[answer["scores"][label] for label in config.label_names] for answer in answers]
    return [
        Dialogue(
            [one.replace(label_probabilities=row / len(teachers)) for one, row in zip(dialogue, belief, strict=True)],
            id=dialogue.id,
            recording=dialogue.recording,
        )
        for dialogue, belief in zip(dialogues, beliefs, strict=True)
    ]


def distillation_loss(
    logits: torch.Tensor,
    probabilities: torch.Tensor,
    labels: torch.Tensor,
    num_items_in_batch: int | torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross entropy to the teachers' probabilities [B, U, C] of labelled utterances, divided as in [`emotion_loss`]."""
    labelled = labels >= 0
    losses = -(probabilities * logits.float().log_softmax(-1)).sum(-1) * labelled
    count = labelled.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
    return losses.sum() / count
