"""Predictions in columns, from which every figure is made."""

from array import array
from collections.abc import Iterable

import numpy as np

from .utterance_predictions import Record


class Predictions:
    """What figures need of records: with seven emotions 45 bytes each, and the names of dialogues and speakers once.

    Args:
        records: of one pipeline, in any order; read once.

    Attributes:
        names: the emotions in label order.
        labels, predicted: class indices [N].
        probabilities: of every emotion [N, C], in single precision as a pipeline gives them.
        dialogues: numbers of the dialogues [N].
        dialogue_ids: by number, where it is another.
        positions: places in the dialogue [N], from 1.
        speakers: indices [N] of `speaker_names`.
        modalities: indices [N] of `modality_sets`.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        labels, predicted, probabilities = array("H"), array("H"), array("f")
        dialogues, positions, speakers, modalities = array("i"), array("i"), array("i"), array("B")
        classes: dict[str, int] = {}
        speaker_names: dict[str | None, int] = {}
        modality_sets: dict[tuple[str, ...], int] = {}
        self.dialogue_ids: dict[int, str | int] = {}
        for record in records:
            classes = classes or {name: index for index, name in enumerate(record.probabilities)}
            labels.append(classes[record.label])
            predicted.append(classes[record.prediction])
            probabilities.extend(record.probabilities[name] for name in classes)
            dialogues.append(record.dialogue_number)
            if record.dialogue != record.dialogue_number:
                self.dialogue_ids[record.dialogue_number] = record.dialogue
            positions.append(record.position)
            speakers.append(speaker_names.setdefault(record.speaker, len(speaker_names)))
            modalities.append(modality_sets.setdefault(tuple(record.modalities), len(modality_sets)))
        self.names = list(classes)
        self.labels, self.predicted = np.asarray(labels), np.asarray(predicted)
        self.probabilities = np.asarray(probabilities).reshape(len(labels), len(classes))
        self.dialogues, self.positions = np.asarray(dialogues), np.asarray(positions)
        self.speakers, self.speaker_names = np.asarray(speakers), list(speaker_names)
        self.modalities, self.modality_sets = np.asarray(modalities), list(modality_sets)

    def __len__(self) -> int:
        return len(self.labels)
