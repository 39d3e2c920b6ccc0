"""One's own dialogues: a csv or JSON lines, recordings and features in a folder."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..dialogue_m2fnet import FACE_FIELDS, FEATURES, Dialogue
from ..utils.text import shown
from .delimited import Sheet, read_sheet, whole_numbers
from .encoding import read_text
from .labels import read_labels
from .splits import SPLIT_NAMES, SPLITS, split_dialogues, split_name
from .times import Time, find_unit, read_time

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
            `utterance` (its key within the dialogue), `text`, `speaker`, `start`, `end` (in the recording),
            `label`, `video` (the clip of the utterance) and `recording` (the file of the whole dialogue); with any
            separator and encoding, times and names of columns as in a transcript. Others are named in a warning.
        *.jsonl: a dialogue per line, `{"id": ..., "recording": ..., "utterances": [...]}` with the fields of
            [`Utterance`]; the name of a file says its split: `train`, `dev` (or `val`, `valid`, `validation`, `eval`),
            `test`. A single file may have any other name.
    and, there or in `features`, any number of `*.safetensors` or `*.npz` with arrays that are named by their
    utterance, `<split>/<dialogue>/<utterance>/<field>`; the field is `text_features`, `audio_features` or
    `visual_features` [D], or `action_units`, `appearance`, `face_areas`, ... of [`Utterance`].

    Paths are relative to the folder. Without splits all dialogues are `train`.

    Args:
        folder: path of the folder.
        labels: those that there may be. Default: the lines of `labels.txt`, where the folder has it, or any.
        shares: draw the splits, of a folder that has none, as `split_dialogues` does.
        seed: of the draw.

    Raises:
        FileNotFoundError: without the files, or without a recording that they name.
        ValueError: naming the file and the row or array, what was expected and what was found.
    """
    folder = Path(folder)
    labels = read_labels(folder) if labels is None else labels
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
    _read_lines(lines, splits)
    if not any(splits.values()):
        raise ValueError(f"{', '.join(path.name for path in (*tables, *lines))} must hold one utterance, found none.")
    return splits


def _read_lines(paths: Sequence[Path], splits: _Splits) -> None:
    """JSON lines by the split that their file's name says; those of a single file of another name are `train`."""
    for path in paths:
        split = split_name(path.stem)
        if split is None and len(paths) > 1:
            raise ValueError(
                f"{shown(path.name)} must be named after its split, one of {', '.join(SPLIT_NAMES)}, found none; "
                "rename it."
            )
        splits.setdefault(split or "train", []).extend(_read_jsonl(path))


def _read_csv(path: Path, splits: _Splits) -> None:
    name = shown(path.name)
    text = read_text(path)
    sheet = read_sheet(text, name, COLUMNS)
    if sheet is None or "dialogue" not in sheet.columns:
        names = (sheet.names if sheet else []) or ["nothing"]
        raise ValueError(
            f"{name} must have the column dialogue (and may have {', '.join(COLUMNS[1:])}), found {', '.join(names)}; "
            "rename its columns."
        )
    _tell_keys_from_text(sheet)
    if sheet.unused:
        warnings.warn(f"{name}: the columns {', '.join(sheet.unused)} were not used.", stacklevel=5)
    times = _times(name, sheet)
    keys = {role: whole_numbers([sheet.cell(row, role) for row in sheet.rows]) for role in ("dialogue", "utterance")}
    drafts: dict[tuple[str, str], _Draft] = {}
    for place, row in enumerate(sheet.rows):
        try:
            values: dict[str, Any] = {role: sheet.cell(row, role) for role in COLUMNS}
            values |= {role: cells[place] for role, cells in keys.items()} | times[place]
            split, dialogue = _split_and_dialogue(values)
            recording = values.pop("recording")
            if (split, dialogue) not in drafts:
                drafts[split, dialogue] = _Draft(f"{name}, dialogue {dialogue}", dialogue, recording, [])
                splits.setdefault(split, []).append(drafts[split, dialogue])
            draft = drafts[split, dialogue]
            if recording != draft.recording:
                raise ValueError(
                    f"all rows of dialogue {dialogue} must name one recording, found {draft.recording} and "
                    f"{recording}; correct it."
                )
            draft.utterances.append({"id": values.pop("utterance"), **values})
        except ValueError as error:
            raise ValueError(f"{name}, line {row.line}: {error}") from None


def _tell_keys_from_text(sheet: Sheet) -> None:
    """A column `utterance` is a key where `text` is there too, or where it holds nothing but numbers."""
    name = sheet.columns["text"][0] if "text" in sheet.columns else ""
    if name.casefold() == "utterance" and all((sheet.cell(row, "text") or "0").isdecimal() for row in sheet.rows):
        sheet.columns["utterance"] = sheet.columns.pop("text")


def _times(name: str, sheet: Sheet) -> list[dict[str, float | None]]:
    """Start and end of each row, in seconds."""
    roles = ("start", "end")
    read: list[list[Time | None]] = []
    for row in sheet.rows:
        times: list[Time | None] = []
        for role in roles:
            try:
                times.append(read_time(sheet.cell(row, role) or ""))
            except ValueError:
                found = sheet.cell(row, role)
                raise ValueError(
                    f"{name}, line {row.line}: `{role}` must be in seconds, found {found!r:.60}; correct it."
                ) from None
        read.append(times)
    units = (sheet.columns[role][1].unit for role in roles if role in sheet.columns)
    lengths = [len(sheet.cell(row, "text") or "") for row in sheet.rows]
    try:
        unit = find_unit([(start, end) for start, end in read], lengths, next(units, None))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return [{role: unit.to_seconds(time) for role, time in zip(roles, times, strict=True)} for times in read]


def _split_and_dialogue(values: dict[str, Any]) -> tuple[str, str]:
    """The split and dialogue of a row, which it then no longer holds."""
    named, dialogue = values.pop("split") or "train", values.pop("dialogue")
    if dialogue is None:
        raise ValueError("a row must name its dialogue, found none; fill it in.")
    split = SPLIT_NAMES.get(named.casefold())
    if split is None:
        raise ValueError(
            f"a split must be one of {', '.join(SPLITS)} (dev may be called val, valid, validation or eval), found "
            f"{named!r}; correct it."
        )
    return split, dialogue


def _read_jsonl(path: Path) -> Iterator[_Draft]:
    name = shown(path.name)
    # Not by `splitlines`, which takes some characters of a text for ends of lines.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            source = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"{name}, line {number} must be valid JSON, found a mistake; correct it.") from None
        utterances = source.get("utterances") if isinstance(source, dict) else None
        if not isinstance(utterances, list) or not all(isinstance(one, dict) for one in utterances):
            raise ValueError(
                f"{name}, line {number} must be an object with a list of `utterances`, each an object, found "
                f"{line[:40]!r}; see `Utterance` for the form."
            )
        yield _Draft(f"{name}, line {number}", source.get("id"), source.get("recording"), utterances)


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
            utterance.setdefault("missing", {"text": "the data hold no words of it"})
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
