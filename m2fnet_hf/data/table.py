"""Dialogues as tables of `datasets`, and back; needs `pip install 'm2fnet-hf[train]'`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..dialogue_m2fnet import FACE_FIELDS, FEATURES, Dialogue, Utterance

try:
    from datasets import Dataset, DatasetDict, Features, List, Value
except ImportError as error:
    raise ImportError(
        f"A table of dialogues needs {error.name or 'datasets'}, found none; pip install 'm2fnet-hf[train]'."
    ) from None

_PLAIN = {
    "text": "string",
    "speaker": "string",
    "start": "float64",
    "end": "float64",
    "label": "string",
    "video": "string",
    "sampling_rate": "int64",
}
_MODALITIES = ("text", "audio", "visual")
# How many axes each array has.
_AXES = {"audio": 1, **dict.fromkeys(FEATURES, 1), **{name: axes.count(",") + 1 for name, axes in FACE_FIELDS.items()}}
_TYPES = {**dict.fromkeys(_AXES, "float32"), "face_ids": "int64", "face_times": "float64"}


def to_tables(splits: Mapping[str, Sequence[Dialogue]]) -> DatasetDict:
    """[`to_table`] of each split, with the same columns in all.

    Raises:
        ValueError: where some ids are numbers and others words.
    """
    features = _features([dialogue for dialogues in splits.values() for dialogue in dialogues])
    return DatasetDict({split: _table(dialogues, features) for split, dialogues in splits.items()})


def to_table(dialogues: Iterable[Dialogue]) -> Dataset:
    """One row per dialogue: `id`, `recording` and `utterances`, which have the fields of [`Utterance`].

    Sound, features and what is known of faces are kept as float32, and as columns only where an utterance has them;
    an array without elements is absent. Clips stay paths.

    Raises:
        ValueError: for ids that are numbers in one place and strings in another.
    """
    dialogues = list(dialogues)
    return _table(dialogues, _features(dialogues))


def to_dialogues(split: Iterable[Mapping[str, Any]]) -> list[Dialogue]:
    """The dialogues of a table that [`to_table`] made."""
    return list(iter_dialogues(split))


def iter_dialogues(split: Iterable[Mapping[str, Any]]) -> Iterator[Dialogue]:
    """[`to_dialogues`] one at a time, for an `IterableDataset` that is streamed."""
    for row in split:
        utterances = [_utterance(values) for values in row["utterances"]]
        yield Dialogue(utterances, id=row["id"], recording=row["recording"])


def _table(dialogues: Sequence[Dialogue], features: Features) -> Dataset:
    fields = list(features["utterances"].feature)
    rows = [
        {
            "id": dialogue.id,
            "recording": None if dialogue.recording is None else str(dialogue.recording),
            "utterances": [{name: _cell(utterance, name) for name in fields} for utterance in dialogue],
        }
        for dialogue in dialogues
    ]
    return Dataset.from_list(rows, features=features)


def _features(dialogues: Sequence[Dialogue]) -> Features:
    utterances = [utterance for dialogue in dialogues for utterance in dialogue]
    fields: dict[str, Any] = {"id": _id_type(utterances)}
    fields |= {name: Value(kind) for name, kind in _PLAIN.items()}
    fields |= {"missing": {modality: Value("string") for modality in _MODALITIES}}
    for name, axes in _AXES.items():
        if any(getattr(utterance, name) is not None for utterance in utterances):
            kind: Any = Value(_TYPES[name])
            for _ in range(axes):
                kind = List(kind)
            fields[name] = kind
    return Features({"id": _id_type(dialogues), "recording": Value("string"), "utterances": List(fields)})


def _id_type(sources: Sequence[Dialogue | Utterance]) -> Value:
    kinds = {type(source.id) for source in sources if source.id is not None}
    if len(kinds) > 1:
        raise ValueError(
            "The ids of a table must be all numbers or all strings, found both; write them all as strings."
        )
    return Value("int64" if kinds == {int} else "string")


def _cell(utterance: Utterance, name: str) -> Any:
    value = getattr(utterance, name)
    if name == "missing":
        return {modality: value.get(modality) for modality in _MODALITIES}
    if name == "video":
        return None if value is None else str(value)
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size else None
    return value


def _utterance(values: Mapping[str, Any]) -> Utterance:
    fields = {name: value for name, value in values.items() if value is not None}
    fields |= {name: np.asarray(fields[name], dtype=_TYPES[name]) for name in _AXES if name in fields}
    return Utterance(**fields)
