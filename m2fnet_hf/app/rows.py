"""Utterances as rows of the page's table, and back."""

from collections.abc import Iterable, Sequence
from typing import Any

COLUMNS = ("start", "end", "speaker", "text")


def to_rows(utterances: Iterable[Any]) -> list[list[Any]]:
    """A row for each utterance."""
    return [[getattr(utterance, column) for column in COLUMNS] for utterance in utterances]


def from_rows(rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """The rows of the table that are not empty.

    Raises:
        ValueError: for a time that is none, with its row.
    """
    utterances = []
    for number, row in enumerate(rows, start=1):
        cells = [None if cell is None else str(cell).strip() or None for cell in row]
        if any(cells):
            start, end = (_seconds(cell, number) for cell in cells[:2])
            utterances.append({"start": start, "end": end, "speaker": cells[2], "text": cells[3]})
    return utterances


def _seconds(cell: str | None, row: int) -> float | None:
    try:
        return None if cell is None else float(cell)
    except ValueError:
        raise ValueError(f"Row {row} of the table must have times in seconds, found {cell!r}; correct it.") from None
