"""The words that every report shares."""

import re
from collections.abc import Mapping
from typing import Any

UNKNOWN = "unknown"
# By it a file is known as one that m2fnet wrote.
MARK = "m2fnet-hf"

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def one_line(text: str | None) -> str:
    """Text without line breaks and control characters, `""` where there is none."""
    return " ".join(_NOT_IN_XML.sub(" ", text or "").split())


def speaker_name(utterance: Mapping[str, Any]) -> str:
    """The speaker, or `unknown`."""
    return one_line(utterance["speaker"]) or UNKNOWN


def emotion(utterance: Mapping[str, Any]) -> str:
    """The label and its probability, such as `joy 61%`."""
    return f"{utterance['label']} {utterance['score']:.0%}"
