"""Predictions in columns, from which every metric is computed."""

from array import array
from collections.abc import Iterable

import numpy as np

from .predictions import UtterancePrediction


class PredictionColumns:
    """What metrics need of predictions: 45 bytes each with seven emotions, and names of dialogues and speakers once.

    Args:
        predictions: of one pipeline, in any order; read once.

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

    def __init__(self, predictions: Iterable[UtterancePrediction]) -> None:
        labels, predicted, probabilities = array("H"), array("H"), array("f")
        dialogues, positions, speakers, modalities = array("i"), array("i"), array("i"), array("B")
        classes: dict[str, int] = {}
        speaker_names: dict[str | None, int] = {}
        modality_sets: dict[tuple[str, ...], int] = {}
        self.dialogue_ids: dict[int, str | int] = {}
        for prediction in predictions:
            classes = classes or {name: index for index, name in enumerate(prediction.probabilities)}
            labels.append(classes[prediction.label])
            predicted.append(classes[prediction.prediction])
            probabilities.extend(prediction.probabilities[name] for name in classes)
            dialogues.append(prediction.dialogue_number)
            if prediction.dialogue != prediction.dialogue_number:
                self.dialogue_ids[prediction.dialogue_number] = prediction.dialogue
            positions.append(prediction.position)
            speakers.append(speaker_names.setdefault(prediction.speaker, len(speaker_names)))
            modalities.append(modality_sets.setdefault(tuple(prediction.modalities), len(modality_sets)))
        self.names = list(classes)
        self.labels, self.predicted = np.asarray(labels), np.asarray(predicted)
        self.probabilities = np.asarray(probabilities).reshape(len(labels), len(classes))
        self.dialogues, self.positions = np.asarray(dialogues), np.asarray(positions)
        self.speakers, self.speaker_names = np.asarray(speakers), list(speaker_names)
        self.modalities, self.modality_sets = np.asarray(modalities), list(modality_sets)

    def __len__(self) -> int:
        return len(self.labels)
