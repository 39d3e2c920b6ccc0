"""One's own dialogues: a csv or JSON lines, recordings and features in a folder."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..dialogue_m2fnet import FACE_FIELDS, FEATURES, Dialogue
from .splits import SPLITS, split_dialogues

if TYPE_CHECKING:
    from datasets import DatasetDict

TABLE = "dialogues.csv"
COLUMNS = ("dialogue", "split", "utterance", "text", "speaker", "start", "end", "label", "video", "recording")
ARRAYS = (*FEATURES, *FACE_FIELDS)


@dataclass
class _Draft:
    """A dialogue before its features are there, and where it is written."""

    place: str
    id: Any
    recording: str | None
    utterances: list[dict[str, Any]]


_Splits = dict[str, list[_Draft]]


def load_dialogues(
    folder: str | Path,
    labels: Sequence[str] | None = None,
    shares: Mapping[str, float] | None = None,
    seed: int = 0,
) -> "DatasetDict":
    """[`read_dialogues`] as a table."""
    from .table import to_tables

    return to_tables(read_dialogues(folder, labels, shares, seed))


def read_dialogues(
    folder: str | Path,
    labels: Sequence[str] | None = None,
    shares: Mapping[str, float] | None = None,
    seed: int = 0,
) -> dict[str, list[Dialogue]]:
    """The dialogues of a folder by split, in the order of their files.

    The folder holds either
        dialogues.csv: a row per utterance, with the columns `dialogue` and any of `split` (`train`, `dev`, `test`),
            `utterance` (its key within the dialogue), `text`, `speaker`, `start`, `end` (seconds in the recording),
            `label`, `video` (the clip of the utterance) and `recording` (the file of the whole dialogue).
        *.jsonl: a dialogue per line, `{"id": ..., "recording": ..., "utterances": [...]}` with the fields of
            [`Utterance`]; `train.jsonl`, `dev.jsonl` and `test.jsonl` are splits.
    and, there or in `features`, any number of `*.safetensors` or `*.npz` with arrays that are named by their
    utterance, `<split>/<dialogue>/<utterance>/<field>`; the field is `text_features`, `audio_features` or
    `visual_features` [D], or `action_units`, `appearance`, `face_areas`, ... of [`Utterance`].

    Paths are relative to the folder. Without splits all dialogues are `train`.

    Args:
        folder: path of the folder.
        labels: those that there may be; `None` takes any.
        shares: draw the splits, of a folder that has none, as `split_dialogues` does.
        seed: of the draw.

    Raises:
        FileNotFoundError: without the files, or without a recording that they name.
        ValueError: naming the file and the row or array, what was expected and what was found.
    """
    folder = Path(folder)
    drafts = _read(folder)
    _attach_features(folder, drafts)
    dialogues = {
        split: [_dialogue(draft, folder, labels) for draft in drafts[split]] for split in SPLITS if split in drafts
    }
    if shares is None:
        return dialogues
    if set(dialogues) != {"train"}:
        raise ValueError(
            f"Splits are drawn where a folder has none, found {', '.join(dialogues)} in {folder}; leave out the shares."
        )
    return split_dialogues(dialogues["train"], shares, seed)


def _read(folder: Path) -> _Splits:
    tables, lines = list(folder.glob(TABLE)), sorted(folder.glob("*.jsonl"))
    if len(tables) + bool(lines) != 1:
        found = "both" if lines else "none"
        raise FileNotFoundError(
            f"A folder of dialogues must hold either {TABLE} or *.jsonl, found {found} in {folder}."
        )
    splits: _Splits = {}
    for path in tables:
        _read_csv(path, splits)
    for path in lines:
        splits.setdefault(path.stem if path.stem in SPLITS else "train", []).extend(_read_jsonl(path))
    if not any(splits.values()):
        raise ValueError(f"{', '.join(path.name for path in (*tables, *lines))} must hold one utterance, found none.")
    return splits


def _read_csv(path: Path, splits: _Splits) -> None:
    text = path.read_text(encoding="utf-8-sig")
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    columns = reader.fieldnames or ["nothing"]
    if "dialogue" not in columns:
        raise ValueError(
            f"{path.name} must have the column dialogue (and may have {', '.join(COLUMNS[1:])}), found "
            f"{', '.join(columns)}; rename its columns."
        )
    drafts: dict[tuple[str, str], _Draft] = {}
    for row in reader:
        try:
            values = _values(row)
            split, dialogue, recording = (values.pop(name) for name in ("split", "dialogue", "recording"))
            if (split, dialogue) not in drafts:
                drafts[split, dialogue] = _Draft(f"{path.name}, dialogue {dialogue}", dialogue, recording, [])
                splits.setdefault(split, []).append(drafts[split, dialogue])
            draft = drafts[split, dialogue]
            if recording != draft.recording:
                raise ValueError(
                    f"all rows of dialogue {dialogue} must name one recording, found {draft.recording} and "
                    f"{recording}; correct it."
                )
            draft.utterances.append({"id": values.pop("utterance"), **values})
        except ValueError as error:
            raise ValueError(f"{path.name}, line {reader.line_num}: {error}") from None


def _values(row: Mapping[str | None, Any]) -> dict[str, Any]:
    if None in row:
        raise ValueError(f"a row must have a value per column, found {len(row[None])} more; quote its text.")
    values: dict[str, Any] = {name: (row.get(name) or "").strip() or None for name in COLUMNS}
    values["split"] = values["split"] or "train"
    if values["dialogue"] is None:
        raise ValueError("a row must name its dialogue, found none; fill it in.")
    if values["split"] not in SPLITS:
        raise ValueError(f"a split must be one of {', '.join(SPLITS)}, found {values['split']!r}; correct it.")
    for name in ("start", "end"):
        try:
            values[name] = None if values[name] is None else float(values[name])
        except ValueError:
            raise ValueError(f"`{name}` must be in seconds, found {values[name]!r}; correct it.") from None
    return values


def _read_jsonl(path: Path) -> Iterator[_Draft]:
    # Not by `splitlines`, which takes some characters of a text for ends of lines.
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            source = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number} must be valid JSON: {error}; correct it.") from None
        utterances = source.get("utterances") if isinstance(source, dict) else None
        if not isinstance(utterances, list) or not all(isinstance(one, dict) for one in utterances):
            raise ValueError(
                f"{path.name}, line {number} must be an object with a list of `utterances`, each an object, found "
                f"{line[:40]!r}; see `Utterance` for the form."
            )
        yield _Draft(f"{path.name}, line {number}", source.get("id"), source.get("recording"), utterances)


def _attach_features(folder: Path, splits: _Splits) -> None:
    utterances = _keyed(splits)
    for path in sorted(file for place in (folder, folder / "features") for file in place.glob("*")):
        if path.suffix not in (".npz", ".safetensors"):
            continue
        for name, array in _arrays(path).items():
            key, _, field = name.rpartition("/")
            if key not in utterances or field not in ARRAYS:
                raise ValueError(
                    f"{path.name} must have arrays named <split>/<dialogue>/<utterance>/<field> after an utterance and "
                    f"one of {', '.join(ARRAYS)}, found {name!r}; rename it."
                )
            if field in utterances[key]:
                raise ValueError(f"{path.name} must have arrays of its own, found {name!r} a second time; remove one.")
            utterances[key][field] = array


def _keyed(splits: _Splits) -> dict[str, dict[str, Any]]:
    """The utterances that have a key, by `<split>/<dialogue>/<utterance>`."""
    utterances: dict[str, dict[str, Any]] = {}
    for split, drafts in splits.items():
        for draft in drafts:
            for utterance in draft.utterances:
                if draft.id is None or utterance.get("id") is None:
                    continue
                key = f"{split}/{draft.id}/{utterance['id']}"
                if key in utterances:
                    raise ValueError(f"{draft.place}: keys must be unique, found {key} twice; rename one.")
                utterances[key] = utterance
    return utterances


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (BadZipFile, EOFError, SafetensorError, ValueError) as error:
        raise ValueError(f"{path.name} must be a file of plain arrays, found: {error}; write it again.") from None


def _dialogue(draft: _Draft, folder: Path, labels: Sequence[str] | None) -> Dialogue:
    utterances = []
    for number, source in enumerate(draft.utterances, start=1):
        utterance = {**source, "video": _path(folder, source.get("video"), draft.place)}
        if draft.recording is not None and not (utterance.get("text") or "text_features" in utterance):
            utterance.setdefault("missing", {"text": "nobody wrote down what is said"})
        label = utterance.get("label")
        if labels is not None and label is not None and label not in labels:
            raise ValueError(
                f"{draft.place}, utterance {number}: a label must be one of {', '.join(labels)}, found {label!r}; "
                "correct it."
            )
        utterances.append(utterance)
    recording = _path(folder, draft.recording, draft.place)
    try:
        return Dialogue(utterances, id=draft.id, recording=recording)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{draft.place}: {error}") from None


def _path(folder: Path, name: str | None, place: str) -> str | None:
    if name is None:
        return None
    if not (folder / name).is_file():
        raise FileNotFoundError(
            f"{place}: a recording must be a file in {folder}, found none at {name}; correct it or leave it out."
        )
    return str(folder / name)
