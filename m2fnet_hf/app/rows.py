"""Utterances as rows of the page's table, and back."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..dialogue_m2fnet import Utterance

COLUMNS = ("start", "end", "speaker", "text")
MOST_UTTERANCES = 5000
MOST_CHARACTERS = 1_000_000
NO_WORDS = {"text": "no words were given"}


def to_rows(utterances: Iterable[Any]) -> list[list[Any]]:
    """A row for each utterance."""
    return [[getattr(utterance, column) for column in COLUMNS] for utterance in utterances]


def from_rows(rows: Sequence[Sequence[Any]]) -> list[Utterance]:
    """The rows of the table that are not empty.

    Raises:
        ValueError: naming the row, or for more than the page takes.
    """
    if len(rows) > MOST_UTTERANCES:
        raise ValueError(f"The table must have no more than {MOST_UTTERANCES} rows, found {len(rows)}; cut it.")
    utterances, characters = [], 0
    for number, row in enumerate(rows, start=1):
        cells = [None if cell is None else str(cell).strip() or None for cell in row]
        if any(cells):
            utterances.append(_utterance(cells, number))
            characters += sum(len(cell or "") for cell in cells)
    if characters > MOST_CHARACTERS:
        raise ValueError(
            f"The table must have no more than {MOST_CHARACTERS:,} characters, found {characters:,}; cut it."
        )
    return utterances


def _utterance(cells: Sequence[str | None], row: int) -> Utterance:
    if len(cells) != len(COLUMNS):
        raise ValueError(
            f"Row {row} of the table must have {', '.join(COLUMNS)}, found {len(cells)} cells; correct it."
        )
    start, end = (_seconds(cell, row) for cell in cells[:2])
    try:
        return Utterance(start=start, end=end, speaker=cells[2], text=cells[3], missing={} if cells[3] else NO_WORDS)
    except ValueError as error:
        raise ValueError(f"Row {row} of the table: {error}") from None


def _seconds(cell: str | None, row: int) -> float | None:
    try:
        return None if cell is None else float(cell.replace(",", "."))
    except ValueError:
        raise ValueError(f"Row {row} of the table must have times in seconds, found {cell!r}; correct it.") from None
