"""The words that every report shares."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any
from unicodedata import combining, east_asian_width

from ..utils.text import printable

UNKNOWN = "unknown"
# By it a file is known as one that m2fnet wrote.
MARK = "m2fnet-hf"


def one_line(text: str | None) -> str:
    """Text without line breaks and what [`printable`] leaves out, `""` where there is none."""
    return " ".join(printable(text or "").split())


def speaker_name(utterance: Mapping[str, Any]) -> str:
    """The speaker, or `unknown`."""
    return one_line(utterance["speaker"]) or UNKNOWN


def emotion(utterance: Mapping[str, Any]) -> str:
    """The label and its probability, such as `joy 61%`."""
    return f"{one_line(utterance['label'])} {utterance['score']:.0%}"


def abbreviations(labels: Iterable[str]) -> dict[str, str]:
    """Two letters for each label where it has them, none the same: `neutral` is `ne`."""
    chosen: dict[str, str] = {}
    for label in labels:
        word = one_line(label)
        free = (short for short in _short_forms(word) if short not in chosen.values())
        chosen[label] = next(free)
    return chosen


def _short_forms(word: str) -> Iterator[str]:
    """The first letter with each of the others, then with numbers."""
    first, others = word[:1], [letter for letter in word[1:] if letter.isalnum()]
    yield from (first + letter for letter in others)
    yield from (f"{first}{number or ''}" for number in count())


def text_width(text: str) -> int:
    """Columns of a text: letters of East Asia are two wide, accents none."""
    return sum(_columns(letter) for letter in text)


def shortened(text: str, width: int) -> str:
    """As much of a text as fits into some columns, with an ellipsis where it goes on."""
    if text_width(text) <= width:
        return text
    return text[: _fitting(text, width - 1)].rstrip() + "…"


def wrapped(text: str, width: int) -> list[str]:
    """All of a text in lines of some columns, broken at spaces where there are any."""
    lines = []
    while text:
        end = max(1, _fitting(text, width))
        if end < len(text):
            space = text.rfind(" ", 0, end + 1)
            end = space if space > 0 else end
        lines.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return lines


def _fitting(text: str, width: int) -> int:
    """How many of the first letters fit into some columns."""
    for position, letter in enumerate(text):
        width -= _columns(letter)
        if width < 0:
            return position
    return len(text)


def _columns(letter: str) -> int:
    return 0 if combining(letter) else 1 + (east_asian_width(letter) in "WF")
