"""Dialogues to a labelled batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ..data.labels import label_id
from ..dialogue_m2fnet import IGNORED, Dialogue
from ..processing_m2fnet import M2FNetProcessor


@dataclass
class DialogueCollator:
    """A batch of dialogues to the model's inputs, [B, U, ...], with `labels` [B, U].

    Args:
        processor: of the model.
        modalities: those that the model reads (`config.modalities`).
        label2id: index of each label; without it the batch has no `labels`.

    Raises:
        ValueError: for a label that is not in `label2id`.
    """

    processor: M2FNetProcessor
    modalities: Sequence[str]
    label2id: Mapping[str, int] | None = None

    def __call__(self, dialogues: Sequence[Dialogue]) -> dict[str, torch.Tensor]:
        batch = dict(self.processor(list(dialogues), modalities=self.modalities))
        if self.label2id is not None:
            # Padding is ignored here already, so that Trainer's count of labels is right.
            labels = torch.full(batch["utterance_mask"].shape, IGNORED)
            for row, dialogue in zip(labels, dialogues, strict=True):
                row[: len(dialogue)] = torch.tensor([label_id(u.label, self.label2id) for u in dialogue])
            batch["labels"] = labels
            if any(one.label_probabilities is not None for dialogue in dialogues for one in dialogue):
                batch["label_probabilities"] = self._teacher_probabilities(dialogues, labels.shape)
        return batch

    def _teacher_probabilities(self, dialogues: Sequence[Dialogue], shape: Sequence[int]) -> torch.Tensor:
        """Probabilities of the labels [B, U, C], zero where there are none."""
        probabilities = torch.zeros(*shape, len(self.label2id or ()))
        for row, dialogue in zip(probabilities, dialogues, strict=True):
            for place, utterance in zip(row, dialogue, strict=False):
                if utterance.label_probabilities is not None:
                    place[:] = torch.as_tensor(utterance.label_probabilities)
        return probabilities
