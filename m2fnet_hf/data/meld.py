"""MELD (Poria et al., 2019): the official csv files to dialogues."""

import csv
import warnings
from pathlib import Path

from .dialogue import Dialogue, Utterance

SPLITS = ("train", "dev", "test")
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime")


def read_meld_csv(path: str | Path) -> list[Dialogue]:
    """One split of MELD, or any csv with its columns, to dialogues in order of their id.

    Rows are keyed by `Dialogue_ID` and `Utterance_ID`, which have gaps, and sorted by them. No row is dropped: the
    test split stays 2610 utterances whatever is broken in it.

    Raises:
        FileNotFoundError: without the file.
        ValueError: naming missing columns, or the line of a broken row.
    """
    path = Path(path)
    with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path.name} must have the columns of MELD's csv files, found no {', '.join(missing)} among "
                f"{', '.join(reader.fieldnames or ['none'])}."
            )
        dialogues: dict[int, dict[int, Utterance]] = {}
        for row in reader:
            try:
                dialogue, utterance = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
                rows = dialogues.setdefault(dialogue, {})
                if utterance in rows:
                    raise ValueError(f"dialogue {dialogue} holds utterance {utterance} twice; keys must be unique.")
                rows[utterance] = _utterance(row, path.name)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}, line {reader.line_num}: {error}") from None
    if not dialogues:
        raise ValueError(f"{path.name} must hold one utterance at least, found only its header.")
    return [Dialogue([rows[key] for key in sorted(rows)], id=dialogue) for dialogue, rows in sorted(dialogues.items())]


def load_meld_split(root: str | Path, split: str) -> list[Dialogue]:
    """The dialogues of `train`, `dev` or `test` below MELD's folder.

    Raises:
        FileNotFoundError: naming the file that is expected.
        ValueError: for another split's name, or a broken file.
    """
    if split not in SPLITS:
        raise ValueError(f"The split must be one of {', '.join(SPLITS)}, found {split!r}.")
    path = Path(root) / f"{split}_sent_emo.csv"
    if not path.is_file():
        raise FileNotFoundError(f"MELD's folder must hold {path.name}, found none in {root}; see the README of MELD.")
    return read_meld_csv(path)


def _utterance(row: dict[str, str], name: str) -> Utterance:
    start: float | None = _seconds(row["StartTime"])
    end: float | None = _seconds(row["EndTime"])
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
        label=row["Emotion"].strip().lower() or None,
        id=int(row["Utterance_ID"]),
        start=start,
        end=end,
    )


def _seconds(time: str) -> float:
    """`HH:MM:SS,mmm` to seconds."""
    clock, _, fraction = time.strip().replace(".", ",").partition(",")
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")


def _repair(text: str) -> str:
    """Text with the cp1252 bytes of derived copies (as themselves or as C1 control characters) made readable."""
    return "".join(
        bytes([ord(character) & 0xFF]).decode("cp1252", "ignore")
        if 0x80 <= ord(character) <= 0x9F or 0xDC80 <= ord(character) <= 0xDCFF
        else character
        for character in text
    )
