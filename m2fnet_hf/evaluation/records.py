"""Predictions of labelled utterances, from which every figure is made, and their file."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.collator import label_id
from ..data.dialogue import Dialogue


@dataclass(frozen=True, kw_only=True)
class Record:
    """The prediction of one labelled utterance.

    Args:
        dialogue: its id, or its number from 0 where some dialogue has no id or two have the same.
        position: place in the dialogue, from 1.
        utterance: id in its source.
        speaker: name.
        label, prediction: names of emotions.
        probabilities: of every emotion, in label order.
        modalities: those that the prediction used.

    Raises:
        ValueError: for a label or a prediction without a probability.
    """

    dialogue: str | int
    position: int
    utterance: str | int | None
    speaker: str | None
    label: str
    prediction: str
    probabilities: dict[str, float]
    modalities: list[str]

    def __post_init__(self) -> None:
        for name in (self.label, self.prediction):
            if name not in self.probabilities:
                raise ValueError(f"`probabilities` must hold {name!r}, found only {', '.join(self.probabilities)}.")


def predict_records(
    pipe: Any, dialogues: Sequence[Dialogue], progress: Callable[..., Iterable[Any]] | None = None
) -> list[Record]:
    """What a `MultimodalEmotionPipeline` predicts of labelled dialogues.

    Args:
        dialogues: utterances without a label are predicted, as context, but not recorded.
        progress: wraps the predicted dialogues, as `rich.progress.track` does.

    Raises:
        ValueError: for a label that the model does not know, or where no utterance has one.
    """
    label_ids = pipe.model.config.label_ids
    known = [label_id(utterance.label, label_ids) >= 0 for dialogue in dialogues for utterance in dialogue]
    if not any(known):
        raise ValueError("An evaluation needs labelled utterances, found none.")
    predicted: Iterable[list[dict[str, Any]]] = pipe(dialogue for dialogue in dialogues)
    if progress is not None:
        predicted = progress(predicted, total=len(dialogues), description="Dialogues")
    return [
        Record(
            dialogue=key,
            position=position,
            utterance=utterance.id,
            speaker=utterance.speaker,
            label=utterance.label,
            prediction=answer["label"],
            probabilities={name: answer["scores"][name] for name in label_ids},
            modalities=answer["modalities"],
        )
        for key, dialogue, answers in zip(_keys(dialogues), dialogues, predicted, strict=True)
        for position, (utterance, answer) in enumerate(zip(dialogue, answers, strict=True), start=1)
        if utterance.label is not None
    ]


def write_records(records: Sequence[Record], path: Path) -> None:
    """One JSON object per line."""
    lines = (json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")


def read_records(path: Path) -> list[Record]:
    """What [`write_records`] wrote.

    Raises:
        ValueError: naming the line that is something else.
    """
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            records.append(Record(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path.name}, line {number}: expected a prediction that `write_records` wrote, found {line!r:.60} "
                f"({error}); predict again."
            ) from None
    return records


def label_names(records: Sequence[Record]) -> list[str]:
    """The emotions in label order."""
    return list(records[0].probabilities)


def class_indices(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and predictions [N], as indices in label order."""
    index = {name: number for number, name in enumerate(label_names(records))}
    pairs = np.array([(index[record.label], index[record.prediction]) for record in records])
    return pairs[:, 0], pairs[:, 1]


def probability_matrix(records: Sequence[Record]) -> np.ndarray:
    """Probabilities [N, C] in label order."""
    return np.array([list(record.probabilities.values()) for record in records])


def _keys(dialogues: Sequence[Dialogue]) -> list[str | int]:
    keys = [dialogue.id for dialogue in dialogues if dialogue.id is not None]
    return keys if len(set(keys)) == len(dialogues) else list(range(len(dialogues)))
