"""Text that is safe to show."""

import os
import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")
# Control characters but tab and line feed, those that turn the direction of writing, and what no XML holds.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def printable(text: object) -> str:
    """Text without terminal escapes, control characters and changes of direction; tabs and line feeds stay."""
    return _UNSAFE.sub("", without_escapes(_BREAKS.sub("\n", encodable(str(text)))))


def without_escapes(text: str) -> str:
    """Text without what tells a terminal a colour, a title or a link."""
    return _ESCAPES.sub("", text)


def encodable(text: str) -> str:
    """Text that UTF-8 can hold: a surrogate that stands alone becomes U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def shown(path: str | os.PathLike) -> str:
    """A path as it can be printed, whatever bytes it is made of."""
    return printable(os.fspath(path)).replace("\n", " ")
