"""Features on disk: what encoders and face stage gave for every utterance of a data set.

A folder holds `features.json`, which says what made it, and a folder of shards per split. A shard is a safetensors file
of some whole dialogues, named by the hash of its bytes: arrays named `<dialogue>/<utterance>/<field>`, and in the
metadata, as JSON by dialogue, all that is known of it but its sound and pictures. Both keys are ids, percent-encoded;
an utterance without an id goes by its position, as `#0`. Beside the shards lies their index (see `index`).
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload
from urllib.parse import quote

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save
from torch.utils.data import Dataset

from ..dialogue_m2fnet import FEATURES, Dialogue, Utterance
from ..utils.files import write_whole
from ..utils.hashes import hash_json, hash_parts
from ..utils.run_folders import claim as claim_folder
from ..utils.run_folders import read_record
from .index import HASHED, FeatureIndex, KeysMet, is_spoilt, open_index

FIELDS = (*FEATURES, "action_units", "appearance", "face_areas", "face_ids")
DTYPES = ("float32", "float16")
SETTINGS = "features.json"
# A process that is killed loses less than this.
UTTERANCES_PER_SHARD = 64
# Each takes some ten kilobytes of memory.
OPEN_SHARDS = 1_000

Source = TypeVar("Source", bound=Dialogue | Mapping[str, Any])


def keyed(dialogues: Iterable[Source], split: str, met: KeysMet) -> Iterator[tuple[str, Source]]:
    """Dialogues, or rows that have an `id` too, with their keys.

    Raises:
        ValueError: for one without an id, or with that of another.
    """
    for number, dialogue in enumerate(dialogues, start=1):
        name = dialogue.get("id") if isinstance(dialogue, Mapping) else getattr(dialogue, "id", None)
        if name is None:
            raise ValueError(f"Features need an `id` for each dialogue, found none for number {number} of {split}.")
        if not met.add(split, _key(name)):
            raise ValueError(f"Features need another `id` for each dialogue, found {name} twice in {split}.")
        yield _key(name), dialogue


class FeatureWriter:
    """Writes the dialogues of a split to shards of its own; leaving the context writes what is waiting.

    After an error what is waiting is not written, so that a run that goes on writes the shards of an undisturbed one.

    Args:
        folder: of the split.
        dtype: of all floating-point features, `float32` or `float16` (11 bits, so within 0.05 %).

    Raises:
        OSError: where nothing can be written; shards that were are kept.
        ValueError: for utterances of one key in a dialogue, or features that are infinite or too large for the dtype.
    """

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        if dtype not in DTYPES:
            raise ValueError(f"Features are stored as one of {', '.join(DTYPES)}, found {dtype!r}.")
        self.folder = folder
        self.dtype = dtype
        self._arrays: dict[str, np.ndarray] = {}
        self._records: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> "FeatureWriter":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.flush()

    def add(self, dialogue: Dialogue, problems: Sequence[str] = ()) -> None:
        """Write a dialogue that has its features, in time, with a sentence for each thing that could not be read."""
        key = _key(dialogue.id)
        arrays: dict[str, np.ndarray] = {}
        entries = []
        for name, utterance in zip(_utterance_keys(dialogue), dialogue, strict=True):
            found = {field: getattr(utterance, field) for field in FIELDS if getattr(utterance, field) is not None}
            arrays |= {f"{key}/{name}/{field}": self._stored(array) for field, array in found.items()}
            entries.append({"key": name, "fields": list(found), "values": _values(utterance)})
        self._arrays |= arrays
        self._records[key] = {"id": dialogue.id, "problems": list(problems), "utterances": entries}
        if sum(len(record["utterances"]) for record in self._records.values()) >= UTTERANCES_PER_SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        arrays, records, self._arrays, self._records = self._arrays, self._records, {}, {}
        if records:
            shard = save(arrays, {"dialogues": json.dumps(records)})
            with write_whole(self.folder / f"{hash_parts([shard])}{HASHED}") as part:
                part.write_bytes(shard)

    def _stored(self, array: np.ndarray) -> np.ndarray:
        if not np.issubdtype(array.dtype, np.floating):
            return np.ascontiguousarray(array)
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(array, dtype=self.dtype)
        if np.isinf(stored).any():
            raise ValueError(
                f"Features must be finite and at most {np.finfo(self.dtype).max:.5g} to be stored as {self.dtype}, "
                "found larger ones; store them as float32, or correct the model that gives them."
            )
        return stored


class StoredDialogues(Dataset[Dialogue], Sequence[Dialogue]):
    """Dialogues that are looked up, and whose features are read from memory-mapped files, when they are asked for.

    Each process opens its files itself, so that it can be handed to the workers of a DataLoader.

    Args:
        records: what is known of the dialogues.
        keys: of those that are meant, in order.
        settings: what made the features.
        values: of each of their utterances, all but its features. Default: those that the records have.
    """

    def __init__(
        self,
        records: FeatureIndex,
        keys: Sequence[str],
        settings: Mapping[str, Any],
        values: Sequence[list[dict[str, Any]]] | None = None,
    ) -> None:
        self.settings = settings
        self._records = records
        self._keys = keys
        self._values = values
        self._open: dict[str, Any] = {}
        self._whole: set[str] = set()

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def fingerprint(self) -> str:
        """Letters that tell these dialogues from others."""
        return hash_json([self.settings, self._records.shards, list(self._keys), self._values], default=repr)

    @overload
    def __getitem__(self, index: int) -> Dialogue: ...

    @overload
    def __getitem__(self, index: slice) -> "StoredDialogues": ...

    def __getitem__(self, index: int | slice) -> "Dialogue | StoredDialogues":
        if isinstance(index, slice):
            values = None if self._values is None else self._values[index]
            return StoredDialogues(self._records, self._keys[index], self.settings, values)
        key = self._keys[index]
        record = self._records[key]
        shard = self._shard(record["shard"])
        known = [one["values"] for one in record["utterances"]] if self._values is None else self._values[index]
        utterances = [
            {**values, **{field: _loaded(shard.get_tensor(f"{key}/{one['key']}/{field}")) for field in one["fields"]}}
            for one, values in zip(record["utterances"], known, strict=True)
        ]
        return Dialogue(utterances, id=record["id"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def _shard(self, name: str) -> Any:
        if name not in self._open:
            if len(self._open) == OPEN_SHARDS:
                del self._open[next(iter(self._open))]
            self._open[name] = safe_open(self._checked(name), framework="np")
        return self._open[name]

    def _checked(self, name: str) -> Path:
        """The path of a shard, which is read as a whole when it is opened for the first time."""
        path = self._records.folder / name
        if name not in self._whole:
            if is_spoilt(path):
                raise ValueError(f"{path} must be as it was written, found it spoilt; extract again, which mends it.")
            self._whole.add(name)
        return path


class FeatureStore:
    """A folder of features, to read; [`open_features`] opens it.

    Args:
        folder: of the features.
        settings: what made them.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.settings = settings

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return sorted({path.parent.name for path in self.folder.glob("*/*.safetensors")})

    def records(self, split: str) -> FeatureIndex:
        """What is known of the dialogues of a split, by key.

        Raises:
            ValueError: for a split of which there is none.
            OSError: where its extraction did not end, so that an index must be written, and none can be.
        """
        if split not in self.splits:
            raise ValueError(
                f"{self.folder} holds features of {', '.join(self.splits) or 'no split'}, found no {split}."
            )
        return open_index(self.folder / split)

    def dialogues(self, split: str) -> StoredDialogues:
        """All dialogues of a split, in the order of their keys, with text, speaker, label and times: it needs neither
        the recordings nor their annotations."""
        records = self.records(split)
        return StoredDialogues(records, list(records), self.settings)

    def attach(self, dialogues: Iterable[Dialogue], split: str) -> StoredDialogues:
        """These dialogues with their features instead of recordings and, for a model that reads sound, of that.

        Raises:
            ValueError: for a dialogue without features, or whose utterances, speakers or words are not those that the
                features were made from.
        """
        records = self.records(split)
        values = {}
        with KeysMet() as met:
            for key, dialogue in keyed(dialogues, split, met):
                record = records.get(key)
                if record is None:
                    raise ValueError(
                        f"{self.folder} holds no features of dialogue {key} of {split}; extract them, which goes on "
                        "where it was."
                    )
                check_words(record, dialogue, split)
                values[key] = [
                    self._merged(utterance, one["values"])
                    for utterance, one in zip(dialogue, record["utterances"], strict=True)
                ]
        return StoredDialogues(records, list(values), self.settings, list(values.values()))

    def _merged(self, utterance: Utterance, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The values of an utterance, without the media that its features stand for."""
        dropped = ("video", "audio", "sampling_rate") if "audio" in self.settings else ("video",)
        missing = {**utterance.missing, **stored["missing"]}
        return {**vars(utterance), **dict.fromkeys(dropped), "missing": missing}


def open_features(folder: str | os.PathLike) -> FeatureStore:
    """The features in a folder.

    Raises:
        FileNotFoundError: for a folder without `features.json`.
    """
    settings = read_record(Path(folder) / SETTINGS)
    if settings is None:
        raise FileNotFoundError(
            f"A folder of features must hold {SETTINGS}, found none in {folder}; extract them to it first."
        )
    return FeatureStore(Path(folder), settings)


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Say in a new folder what will make its features; an old one must have been made by the same.

    Raises:
        ValueError: naming the settings that differ.
    """
    claim_folder(folder, SETTINGS, settings)


def check_words(record: Mapping[str, Any], dialogue: Dialogue, split: str) -> None:
    """Refuse a dialogue that is not that of the record.

    Raises:
        ValueError: for such a dialogue.
    """
    before = [(one["key"], one["values"]["speaker"], one["values"]["text"]) for one in record["utterances"]]
    keys = _utterance_keys(dialogue)
    now = [(key, utterance.speaker, utterance.text) for key, utterance in zip(keys, dialogue, strict=True)]
    if before != now:
        raise ValueError(
            f"Dialogue {dialogue.id} of {split} must have the utterances, speakers and words that its features are of, "
            "found others; use the same again, or extract to another folder."
        )


def _key(name: str | int | None) -> str:
    return quote(str(name), safe="")


def _utterance_keys(dialogue: Dialogue) -> list[str]:
    keys = [f"#{position}" if one.id is None else _key(one.id) for position, one in enumerate(dialogue)]
    if len(set(keys)) < len(keys):
        raise ValueError(f"The utterances of dialogue {dialogue.id} must have different ids, found {', '.join(keys)}.")
    return keys


def _values(utterance: Utterance) -> dict[str, Any]:
    names = ("id", "text", "speaker", "label", "start", "end")
    return {**{name: getattr(utterance, name) for name in names}, "missing": dict(utterance.missing)}


def _loaded(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float16 else array
