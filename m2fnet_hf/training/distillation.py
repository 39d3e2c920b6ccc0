"""Distillation (Hinton et al., 2015): one model learns the probabilities of an ensemble on the training data."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import pipeline

from ..configuration_m2fnet import M2FNetConfig
from ..dialogue_m2fnet import Dialogue
from ..evaluation.predictions import read_predictions
from ..registration import TASK

BATCH_SIZE = 8

# The probability of each label.
Scores = Mapping[str, float]


def with_teacher_probabilities(
    dialogues: Sequence[Dialogue], teachers: Sequence[str | Path], config: M2FNetConfig
) -> list[Dialogue]:
    """The dialogues with the mean of the teachers' probabilities as `label_probabilities`.

    Args:
        dialogues: training data.
        teachers: folders or Hub names of models with the same labels, in any order and with any context; or files of
            predictions of these dialogues, as `m2fnet evaluate --predictions` writes them, which may be of models that
            did not see what they predict.
        config: of the model that learns.

    Raises:
        ValueError: for a teacher of other labels, or predictions of other dialogues.
    """
    totals = [np.zeros((len(dialogue), len(config.label_names)), dtype=np.float32) for dialogue in dialogues]
    for teacher in teachers:
        read = partial(_from_file, Path(teacher)) if Path(teacher).is_file() else partial(_from_model, teacher)
        for total, scores in zip(totals, read(dialogues), strict=True):
            for row, score in zip(total, scores, strict=True):
                if score is not None:
                    row += _in_order(score, config, teacher)
    return [
        Dialogue(
            [one.replace(label_probabilities=row / len(teachers)) for one, row in zip(dialogue, total, strict=True)],
            id=dialogue.id,
            recording=dialogue.recording,
        )
        for dialogue, total in zip(dialogues, totals, strict=True)
    ]


def _from_model(teacher: str | Path, dialogues: Sequence[Dialogue]) -> Iterator[Sequence[Scores | None]]:
    """A model's probabilities of each utterance."""
    pipe = pipeline(TASK, model=str(teacher), batch_size=BATCH_SIZE)  # type: ignore[call-overload]
    for answers in pipe(dialogue for dialogue in dialogues):
        yield [answer["scores"] for answer in answers]


def _from_file(path: Path, dialogues: Sequence[Dialogue]) -> Iterator[Sequence[Scores | None]]:
    """The probabilities in a file of predictions; none for an utterance that has no label, which is not in it."""
    found = {(one.dialogue_number, one.dialogue, one.position): one for one in read_predictions(path)}
    for number, dialogue in enumerate(dialogues):
        key = number if dialogue.id is None else dialogue.id
        predictions = [found.get((number, key, position)) for position in range(1, len(dialogue) + 1)]
        if [one.label for one in dialogue] != [None if one is None else one.label for one in predictions]:
            raise ValueError(
                f"{path.name} must hold a prediction of every labelled utterance of the training data, found others "
                f"for dialogue {key}; predict the split `train` as it is."
            )
        yield [None if one is None else one.probabilities for one in predictions]


def _in_order(scores: Scores, config: M2FNetConfig, teacher: str | Path) -> list[float]:
    if set(scores) != set(config.label_ids):
        raise ValueError(
            f"A teacher must know the labels {', '.join(config.label_ids)}, found {', '.join(scores)} in {teacher}."
        )
    return [scores[label] for label in config.label_names]


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
