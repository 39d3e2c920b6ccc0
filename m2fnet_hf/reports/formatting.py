"""The words that every report shares."""

from collections.abc import Mapping
from typing import Any

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
