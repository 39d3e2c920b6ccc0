"""Probabilities and masks to what the pipeline says of each utterance.

Shapes: C classes. Arrays are numpy's, whatever computed them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .dialogue_m2fnet import MODALITIES, EmotionPrediction, ModalityScores, TrackedFace, Utterance

NOT_GIVEN = {"text": "no words were given", "audio": "no sound was given", "visual": "no faces were given"}
WITHHELD = "withheld by `modalities`"

# By modality, those that are kept to see what it says `alone` and what is said `without` it.
Subsets = dict[str, dict[str, tuple[str, ...]]]


def subsets(given: Sequence[str]) -> Subsets:
    """The modalities to keep in turn, of those that some utterance has."""
    return {
        "alone": {modality: (modality,) for modality in given},
        "without": {modality: tuple(other for other in given if other != modality) for modality in given},
    }


def prediction(
    config: Any, utterance: Utterance, asked: Sequence[str], probabilities: np.ndarray, used: Sequence[Any], top_k: Any
) -> EmotionPrediction:
    """What is said of an utterance.

    Args:
        config: of the model.
        asked: modalities that the model might use.
        probabilities: [C], in the order of the config's labels.
        used: whether each of `MODALITIES` was used.
        top_k: how many of the scores are kept; `None` keeps all.
    """
    scores = ranked(config, probabilities, top_k)
    label = next(iter(scores))
    names = [name for name, was_used in zip(MODALITIES, used, strict=True) if was_used]
    withheld = {name: WITHHELD for name in config.modalities if name not in asked}
    reasons = {**NOT_GIVEN, **utterance.missing, **withheld}
    return {
        "start": utterance.start,
        "end": utterance.end,
        "speaker": utterance.speaker,
        "text": utterance.text,
        "label": label,
        "score": scores[label],
        "scores": scores,
        "modalities": names,
        "missing": {name: reasons[name] for name in config.modalities if name not in names},
    }


def modality_scores(
    config: Any, by_modality: Mapping[str, Mapping[str, np.ndarray]], used: Sequence[str], top_k: int | None
) -> ModalityScores:
    """Scores from the probabilities [C] with each modality alone and without each, of those that an utterance has."""
    alone, without = (
        {name: ranked(config, values, top_k) for name, values in by_modality[kind].items() if name in used}
        for kind in ("alone", "without")
    )
    return {
        "alone": {name: alone[name] for name in used},
        "without": {name: without[name] for name in used if len(used) > 1},
    }


def ranked(config: Any, probabilities: np.ndarray, top_k: int | None) -> dict[str, float]:
    """Probabilities [C] by label, highest first."""
    order = np.argsort(-probabilities, kind="stable")[:top_k]
    return {config.label_names[index]: probabilities[index].item() for index in order}


def tracked_faces(utterance: Utterance) -> list[TrackedFace]:
    """The faces that were found of an utterance."""
    boxes, tracks, times = utterance.face_boxes, utterance.face_ids, utterance.face_times
    if boxes is None or tracks is None or times is None:
        return []
    return [
        {"time": float(time), "track": int(tracks[f, p]), "box": [round(float(side), 4) for side in boxes[f, p]]}
        for f, time in enumerate(times)
        for p in range(boxes.shape[1])
        if tracks[f, p] >= 0
    ]


def damaged(name: str | None) -> ValueError:
    """The error for a model whose logits are not finite."""
    return ValueError(
        f"The model {name} must give finite logits, found NaN or infinite ones; its weights are damaged, so get them "
        "again."
    )


__all__ = ["modality_scores", "prediction", "ranked", "subsets", "tracked_faces"]
