"""What a model's labels, languages and Action Units may be called. A leaf, which loads nothing."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_LANGUAGE = re.compile(r"[a-z]{2,3}")


def check_labels(id2label: Mapping[Any, Any], label2id: Mapping[Any, Any] | None) -> None:
    """Labels must be told apart, by number and by name.

    Raises:
        ValueError: for numbers that are not 0, 1, ..., for names that are empty, unprintable or alike, and where the
            two mappings do not agree.
    """
    numbers = [_number(key) for key in id2label]
    if not numbers or set(numbers) != set(range(len(numbers))):
        raise ValueError(f"`id2label` must number its labels 0, 1, ... without a gap, found {shown(list(id2label))}.")
    names = list(id2label.values())
    unusable = [name for name in names if not isinstance(name, str) or not name.strip() or not name.isprintable()]
    if unusable:
        raise ValueError(f"`id2label` must hold names that can be printed, found {shown(unusable[0])}.")
    twice = _alike(names)
    if twice:
        raise ValueError(f"`id2label` must hold different names, found {', '.join(twice)} more than once.")
    expected = dict(zip(names, numbers, strict=True))
    if label2id is not None and dict(label2id) != expected:
        wrong = next(name for name in (*label2id, *expected) if label2id.get(name) != expected.get(name))
        raise ValueError(
            f"`label2id` must be `id2label` the other way round, found {shown(label2id.get(wrong))} for "
            f"{shown(wrong)}; leave it out."
        )


def check_languages(languages: Sequence[str]) -> None:
    """Languages must be codes of ISO 639.

    Raises:
        ValueError: for anything else.
    """
    wrong = [code for code in languages if not _LANGUAGE.fullmatch(code)]
    if wrong or not languages:
        raise ValueError(
            f"`languages` must be codes of ISO 639 such as `en`, or None, found {shown(wrong[0] if wrong else [])}."
        )


def check_units(names: Sequence[str]) -> None:
    """Action Units must be told apart by name.

    Raises:
        ValueError: for names that are empty or alike.
    """
    twice = _alike(names)
    if twice or not all(name.strip() for name in names):
        raise ValueError(f"`action_units` must hold different names, found {', '.join(twice) or 'an empty one'}.")


def shown(value: Any) -> str:
    """A value as messages show it, however long it is."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _number(key: Any) -> int | None:
    """0 from 0 and "0"."""
    return int(key) if str(key).isdecimal() and str(key).isascii() and not isinstance(key, bool) else None


def _alike(names: Iterable[str]) -> list[str]:
    """Names that occur before, in other letters or blanks perhaps."""
    known: set[str] = set()
    again = []
    for name in names:
        plain = unicodedata.normalize("NFKC", name).strip().casefold()
        again += [name] if plain in known else []
        known.add(plain)
    return again


__all__ = ["check_labels", "check_languages", "check_units", "shown"]
