"""Records of predictions for tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tiny

from m2fnet_hf import Dialogue
from m2fnet_hf.evaluation.predictions import UtterancePrediction

NAMES = ("neutral", "joy", "anger")


def record(label: int, prediction: int, confidence: float = 0.8, **values: Any) -> UtterancePrediction:
    """A prediction whose other classes share what is left."""
    rest = (1 - confidence) / (len(NAMES) - 1)
    probabilities = {name: confidence if index == prediction else rest for index, name in enumerate(NAMES)}
    number = values.get("dialogue", 0)
    defaults = {"dialogue": number, "dialogue_number": number, "position": 1, "utterance": None, "speaker": None}
    return UtterancePrediction(
        label=NAMES[label],
        prediction=NAMES[prediction],
        probabilities=probabilities,
        **{**defaults, "modalities": ["text"], **values},
    )


def dialogues(count: int, length: int, seed: int = 0, right: float = 0.7) -> list[UtterancePrediction]:
    """Dialogues whose utterances are predicted correctly with some probability."""
    random = np.random.default_rng(seed)
    labels = random.integers(len(NAMES), size=(count, length))
    wrong = (labels + random.integers(1, len(NAMES), size=labels.shape)) % len(NAMES)
    predictions = np.where(random.random(labels.shape) < right, labels, wrong)
    return [
        record(int(labels[d, u]), int(predictions[d, u]), dialogue=d, position=u + 1)
        for d in range(count)
        for u in range(length)
    ]


def records_of(labels: Sequence[int], predictions: Sequence[int]) -> list[UtterancePrediction]:
    """One dialogue."""
    return [
        record(*pair, position=number) for number, pair in enumerate(zip(labels, predictions, strict=True), start=1)
    ]


def conversation(*labels: str | None, **values: Any) -> Dialogue:
    """A dialogue of three modalities, to be predicted."""
    said = zip(tiny.dialogue(len(labels)), labels, strict=True)
    return Dialogue([one.replace(label=label, id=10 * u) for u, (one, label) in enumerate(said)], **values)
