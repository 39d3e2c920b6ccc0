"""MELD (Poria et al., 2019): the official csv files and clips to dialogues."""

import re
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..dialogue_m2fnet import Dialogue, Utterance
from ..utils.text import shown
from .delimited import read_sheet
from .encoding import read_text
from .splits import SPLITS
from .times import Unit, read_time

if TYPE_CHECKING:
    from datasets import DatasetDict

COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime")
# As MELD's authors number them in their baseline; alphabetical order would swap labels with everybody else's models.
MELD_SENTIMENTS = ("neutral", "positive", "negative")
TARGETS = {"emotion": "Emotion", "sentiment": "Sentiment"}
ROLES = ("text", "speaker", "start", "end", "label", "id", "dialogue")
CLIP_FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
# Clips that show nothing of their row, by split, dialogue and utterance, and why.
BROKEN_CLIPS = {
    ("train", 125, 3): "dia125_utt3.mp4 of MELD cannot be read",
    ("dev", 110, 7): "dia110_utt7.mp4 was never part of MELD",
    ("test", 38, 4): "dia38_utt4.mp4 of MELD is cut wrongly and lasts 305 s",
    ("test", 220, 0): "dia220_utt0.mp4 of MELD is cut wrongly and lasts 235 s",
    ("test", 155, 3): "dia155_utt3.mp4 of MELD has no duration",
}


def load_meld(root: str | Path, target: str = "emotion", final_test_clips: bool = False) -> "DatasetDict":
    """[`read_meld`] as a table."""
    from .table import to_tables

    return to_tables(read_meld(root, target, final_test_clips))


def read_meld(
    root: str | Path, target: str = "emotion", final_test_clips: bool = False, names: Sequence[str] = SPLITS
) -> dict[str, list[Dialogue]]:
    """MELD by split, with the path of each utterance's clip as `video`.

    All 9989, 1109 and 2610 rows are kept. One whose clip is broken or not there has its text only and says why in
    `missing`; without any folder of clips all rows are text and nothing is missing.

    Args:
        root: the folder of `train_sent_emo.csv`, ... and of the folders of clips, `train_splits`,
            `dev_splits_complete` and `output_repeated_splits_test`; each may also lie in `train`, `dev` or `test`.
        target: what becomes the label, `emotion` or `sentiment`.
        final_test_clips: the test folder holds some clips twice, and which of the two is right is disputed: take
            `final_videos_testdia1_utt2.mp4`, where there is one, and not `dia1_utt2.mp4`.
        names: of the splits.

    Raises:
        FileNotFoundError: naming the csv file that is expected.
        ValueError: for another target, or a broken file, naming its row.

    Warns:
        UserWarning: naming rows that are there twice, within a split or in two of them.
    """
    root = Path(root)
    splits = {split: load_meld_split(root, split, target) for split in names}
    _warn_of_repeats(splits)
    folders = {split: _find(root, split, CLIP_FOLDERS[split]) for split in names}
    if not any(folder.is_dir() for folder in folders.values()):
        return splits
    return {
        split: [_with_clips(dialogue, split, folders[split], final_test_clips) for dialogue in dialogues]
        for split, dialogues in splits.items()
    }


def load_meld_split(root: str | Path, split: str, target: str = "emotion") -> list[Dialogue]:
    """The text and labels of `train`, `dev` or `test` below MELD's folder; for `target` see [`read_meld`].

    Raises:
        FileNotFoundError: naming the file that is expected.
        ValueError: for the name of another split or target, or a broken file, naming its row.
    """
    from ..names_m2fnet import MELD_EMOTIONS

    if split not in SPLITS:
        raise ValueError(f"The split must be one of {', '.join(SPLITS)}, found {split!r}.")
    if target not in TARGETS:
        raise ValueError(f"The target must be one of {', '.join(TARGETS)}, found {target!r}.")
    path = _find(Path(root), split, f"{split}_sent_emo.csv")
    if not path.is_file():
        raise FileNotFoundError(f"MELD's folder must hold {path.name}, found none in {root}; see the README of MELD.")
    return read_meld_csv(path, TARGETS[target], MELD_EMOTIONS if target == "emotion" else MELD_SENTIMENTS)


def read_meld_csv(
    path: str | Path, label_column: str = "Emotion", labels: Sequence[str] | None = None
) -> list[Dialogue]:
    """One split of MELD, or any csv with its columns, to dialogues in order of their id.

    Rows are keyed by `Dialogue_ID` and `Utterance_ID`, which have gaps, and sorted by them. No row is dropped: the
    test split stays 2610 utterances whatever is broken in it.

    Args:
        path: of the csv file.
        label_column: that holds the label, in any case.
        labels: those that there may be; `None` takes any.

    Raises:
        FileNotFoundError: without the file.
        ValueError: naming missing columns, or the line of a broken row.
    """
    path = Path(path)
    columns = dict.fromkeys((*COLUMNS, label_column))
    sheet = read_sheet(read_text(path), shown(path.name), ROLES)
    names = [] if sheet is None else sheet.names
    missing = [column for column in columns if column not in names]
    if sheet is None or missing:
        raise ValueError(
            f"{shown(path.name)} must have the columns of MELD's csv files, found no {', '.join(missing)} among "
            f"{', '.join(names) or 'none'}."
        )
    dialogues: dict[int, dict[int, Utterance]] = {}
    for row in sheet.rows:
        try:
            dialogue, utterance = (_key(row.cells, column) for column in ("Dialogue_ID", "Utterance_ID"))
            rows = dialogues.setdefault(dialogue, {})
            if utterance in rows:
                raise ValueError(f"dialogue {dialogue} holds utterance {utterance} twice; keys must be unique.")
            rows[utterance] = _utterance(row.cells, shown(path.name), _label(row.cells[label_column], labels))
        except ValueError as error:
            raise ValueError(f"{shown(path.name)}, line {row.line}: {error}") from None
    if not dialogues:
        raise ValueError(f"{shown(path.name)} must hold one utterance at least, found only its header.")
    return [Dialogue([rows[key] for key in sorted(rows)], id=dialogue) for dialogue, rows in sorted(dialogues.items())]


def _find(root: Path, split: str, name: str) -> Path:
    """A file or folder of a split: the archive has it in `root`, its parts unpack it into a folder of the split."""
    inside = root / split / name
    return inside if inside.exists() else root / name


def _with_clips(dialogue: Dialogue, split: str, folder: Path, final_test_clips: bool) -> Dialogue:
    return Dialogue(
        [_with_clip(utterance, (split, dialogue.id, utterance.id), folder, final_test_clips) for utterance in dialogue],
        id=dialogue.id,
    )


def _with_clip(utterance: Utterance, key: tuple, folder: Path, final_test_clips: bool) -> Utterance:
    split, dialogue, number = key
    clip = folder / f"dia{dialogue}_utt{number}.mp4"
    twin = clip.with_name(f"final_videos_test{clip.name}")
    if split == "test" and final_test_clips and twin.is_file():
        clip = twin
    reason = BROKEN_CLIPS.get(key)
    if reason is None and not clip.is_file():
        reason = f"{clip.name} is not in {folder.name}"
    if reason is not None:
        return utterance.replace(missing={"audio": reason, "visual": reason})
    return utterance.replace(video=str(clip))


def _warn_of_repeats(splits: Mapping[str, Sequence[Dialogue]]) -> None:
    """Warn of the same words by the same speaker at the same time, whatever their label."""
    places: dict[tuple, list[tuple]] = defaultdict(list)
    for split, dialogues in splits.items():
        for dialogue in dialogues:
            for utterance in dialogue:
                if utterance.start is not None:
                    what = (utterance.text, utterance.speaker, utterance.start, utterance.end)
                    places[what].append((split, dialogue.id, utterance.id))
    repeats: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for same in places.values():
        if len(same) > 1:
            among = tuple(dict.fromkeys(split for split, *_ in same))
            repeats[among].append(" = ".join(f"{split} dia{dialogue}_utt{number}" for split, dialogue, number in same))
    for among, rows in repeats.items():
        warnings.warn(
            f"{len(rows)} rows of MELD are twice in {' and '.join(among)}, and are kept: {', '.join(rows)}.",
            stacklevel=3,
        )


def _utterance(row: Mapping[str, str], name: str, label: str | None) -> Utterance:
    start, end = (_seconds(row, column) for column in ("StartTime", "EndTime"))
    if start is not None and end is not None and start > end:
        # The text is right where a cut is not: keep the row and do without its times.
        warnings.warn(
            f"{name}: dialogue {row['Dialogue_ID']}, utterance {row['Utterance_ID']} ends before it starts; "
            "its times are left out.",
            stacklevel=2,
        )
        start = end = None
    return Utterance(
        text=_repair(row["Utterance"]),
        speaker=row["Speaker"].strip() or None,
        label=label,
        id=_key(row, "Utterance_ID"),
        start=start,
        end=end,
    )


def _key(row: Mapping[str, str], column: str) -> int:
    """A key, also as Excel or pandas write it, `0.0`."""
    cell = row[column].strip()
    if not re.fullmatch(r"\d{1,18}(?:[.,]0+)?", cell):
        raise ValueError(f"{column} must be a whole number, found {cell!r:.40}; correct it.")
    return int(re.split("[.,]", cell)[0])


def _label(name: str, labels: Sequence[str] | None) -> str | None:
    label = name.strip().lower() or None
    if label is not None and labels is not None and label not in labels:
        raise ValueError(f"a label must be one of {', '.join(labels)}, found {label!r}; correct it.")
    return label


def _seconds(row: Mapping[str, str], column: str) -> float | None:
    """`HH:MM:SS,mmm` to seconds."""
    try:
        time = read_time(row[column])
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from None
    return None if time is None else Unit().to_seconds(time)


def _repair(text: str) -> str:
    """Text with the cp1252 bytes of derived copies, as C1 control characters, made readable."""
    return re.sub("[\x80-\x9f]", lambda match: match[0].encode("latin-1").decode("cp1252", "ignore"), text)
