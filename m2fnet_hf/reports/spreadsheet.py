"""A csv file with a row per utterance."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.delimited import as_words
from ..utils.text import printable

COLUMNS = ("start", "end", "speaker", "text", "label", "score")


def write_csv(result: Mapping[str, Any], path: Path) -> None:
    """Times in seconds, the label and its probability, each emotion's probability, what was read and what was missing.

    Cells are empty where nothing is known. What a spreadsheet would compute has an apostrophe before it, which our
    readers take away.
    """
    labels = result["labels"]
    # Excel takes a file for UTF-8 only by its byte order mark.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(_cell, columns(labels)))
        writer.writerows(map(_cell, row(utterance, labels)) for utterance in result["utterances"])


def columns(labels: Sequence[str]) -> list[str]:
    """The names of the columns."""
    return [*COLUMNS, *labels, "modalities", "missing"]


def row(utterance: Mapping[str, Any], labels: Sequence[str]) -> list[Any]:
    """The cells of an utterance, `None` where nothing is known."""
    return [
        *(utterance[column] for column in COLUMNS),
        *(utterance["scores"].get(label) for label in labels),
        ", ".join(utterance["modalities"]),
        "; ".join(f"{modality}: {reason}" for modality, reason in utterance["missing"].items()),
    ]


def _cell(value: Any) -> Any:
    return as_words(printable(value)) if isinstance(value, str) else value
