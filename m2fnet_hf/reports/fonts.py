"""The installed fonts that have the letters of a picture, whatever their script."""

import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import matplotlib
from matplotlib.font_manager import FontEntry, findfont, findSystemFonts, fontManager
from matplotlib.ft2font import FaceFlags, FT2Font

FIRST = "DejaVu Sans"  # which matplotlib brings along
_LAST_RESORT = "Last Resort"  # has a box for every letter there is
_INVISIBLE = ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Mc", "Me")  # Unicode's controls, spaces and marks
_SCRIPTS = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}


@contextmanager
def fonts_for(texts: Iterable[str]) -> Iterator[None]:
    """Draw with fonts that have the letters of the texts.

    Warns:
        UserWarning: once, naming the scripts that no installed font has.
    """
    families, missing = _families(_visible("".join(texts)))
    _warn_of(missing)
    with matplotlib.rc_context({"font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing")
        yield


def warn_of_missing(texts: Iterable[str]) -> None:
    """Name the scripts that no installed font has, in a UserWarning."""
    _warn_of(_families(_visible("".join(texts)))[1])


def fullest_font(text: str, first: str) -> tuple[str, int]:
    """The file of a font and its number there: `first`, which is a file, or else the one with most of the letters."""
    letters = _visible(text)
    if letters <= _letters(first, 0):
        return first, 0
    files = [(first, 0), *((entry.fname, entry.index) for entry in _further())]
    return max(files, key=lambda file: len(letters & _letters(*file)))


def _visible(text: str) -> frozenset[str]:
    return frozenset(letter for letter in set(text) if unicodedata.category(letter) not in _INVISIBLE)


def _warn_of(missing: set[str]) -> None:
    if not missing:
        return
    scripts = {_script(letter): letter for letter in sorted(missing, reverse=True)}
    named = ", ".join(f"{script} ({letter})" for script, letter in sorted(scripts.items()))
    warnings.warn(
        f"No installed font has the letters of {named}, which are boxes in the picture; install one that has them, "
        "such as those of Noto.",
        stacklevel=4,
    )


def _families(letters: frozenset[str]) -> tuple[list[str], set[str]]:
    """Names of fonts, the first of them matplotlib's own, and the letters that none has."""
    families, missing = [FIRST], set(letters - _letters(findfont(FIRST), 0))
    for entry in _further() if missing else ():
        found = missing & _letters(entry.fname, entry.index)
        if found:
            families.append(entry.name)
            missing -= found
        if not missing:
            break
    return families, missing


@cache
def _further() -> list[FontEntry]:
    """All fonts, also those installed since matplotlib listed them: upright ones without serifs first."""
    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        try:
            fontManager.addfont(path)
        except (OSError, RuntimeError):  # not a font that FreeType opens
            continue
    usable = [entry for entry in fontManager.ttflist if not entry.name.startswith(_LAST_RESORT)]
    return sorted(usable, key=lambda one: ("Sans" not in one.name, one.style != "normal", _heaviness(one), one.name))


def _heaviness(entry: FontEntry) -> int:
    """How far from a regular one it is."""
    weight = entry.weight if isinstance(entry.weight, int) else {"bold": 700}.get(entry.weight, 400)
    return abs(weight - 400)


@cache
def _letters(path: str, face: int) -> frozenset[str]:
    """What a font draws as outlines, which alone scale."""
    try:
        font = FT2Font(path, face_index=face)
    except (OSError, RuntimeError):
        return frozenset()
    flags = FaceFlags(font.face_flags)
    if FaceFlags.SCALABLE not in flags or FaceFlags.COLOR in flags:
        return frozenset()
    return frozenset(map(chr, font.get_charmap()))


def _script(letter: str) -> str:
    """What Unicode's name of a letter begins with: `ARABIC`, but `emoji and symbols` for those."""
    if unicodedata.category(letter)[0] != "L":
        return "emoji and symbols"
    word = unicodedata.name(letter, "an unknown script").split()[0]
    return _SCRIPTS.get(word, word.capitalize())
