"""Cues of subtitles: captions that roll, and from cues to what is said."""

import html
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from .draft import Draft, Said, drop_repeats, number
from .speakers import VOICE, split_turns, with_heads, words

# Captions follow each other this closely where they are one that rolls on, in seconds.
LONGEST_BREAK = 0.5
SHORTEST = 0.02  # YouTube shows a line for a moment again before the next one
LEAST_ROLLING = 2  # cues
MANY = 0.5  # of the cues
# A caption shows no more words than that at once.
WORDS_SHOWN = 200
_HIGHLIGHT = re.compile(r"<u>[^<>]*</u>")


class Cue(NamedTuple):
    """A subtitle: times in seconds, text with its lines and tags, and the speaker where the format names it."""

    start: float
    end: float
    text: str
    place: str
    speaker: str | None = None


def draft_cues(cues: Sequence[Cue], unread: list[str], remarks: Sequence[str] = ()) -> Draft:
    """What is said in cues, by the speakers that they name."""
    kept = [cues[place] for place in drop_repeats([(cue.start, cue.end, cue.speaker, cue.text) for cue in cues])]
    said_twice = len(cues) - len(kept)
    merged = merge_rolling(sorted(kept, key=lambda cue: cue.start))
    turns, notes = split_turns(["\n".join(some) for some in with_heads([cue.text.split("\n") for cue in merged])])
    said = [
        Said(cue.place, text, cue.speaker or speaker, cue.start, cue.end)
        for cue, some in zip(merged, turns, strict=True)
        for speaker, text in some
        if text
    ]
    if said_twice:
        notes.append(f"{number(said_twice, 'cue')} left out that came before with the same times and words")
    return Draft(said, [*remarks, *notes], unread, is_timed=True)


def merge_rolling(cues: Sequence[Cue]) -> list[Cue]:
    """Cues of captions that roll, each word once at the time at which it appears; others as they are.

    YouTube shows a line and then again above the next one; Whisper marks word after word of the same line.
    """
    shown = [_Shown(cue) for cue in cues]
    kept = [_overlap(before, after) for before, after in pairwise(shown)]
    rolling = sum(count > 0 for count in kept)
    if rolling < max(LEAST_ROLLING, MANY * len(kept)):
        return list(cues)
    adds_words = any(0 < count < len(one.words) for count, one in zip(kept, shown[1:], strict=True))
    if not adds_words and not any(_HIGHLIGHT.search(cue.text) for cue in cues):
        return list(cues)
    merged: list[_Growing] = []
    for one, count in zip(shown, [0, *kept], strict=True):
        if count == 0 or count in one.line_starts:
            merged.append(_Growing(one.cue, one.words[count:], one.cue.end))
        else:
            merged[-1].words.extend(one.words[count:])
            if one.cue.end - one.cue.start > SHORTEST:
                merged[-1].end = one.cue.end
    return [one.as_cue() for one in merged]


class _Shown:
    """What a cue shows."""

    def __init__(self, cue: Cue) -> None:
        self.cue = cue
        lines = [words(line).split() for line in cue.text.split("\n")]
        self.words = [word for line in lines for word in line]
        # How many words there are before each line but the first.
        self.line_starts = {sum(map(len, lines[:place])) for place in range(1, min(len(lines), 8)) if lines[place]} - {
            0
        }
        match = _HIGHLIGHT.search(cue.text)
        self.highlight = None if match is None else len(words(cue.text[: match.start()]).split())


class _Growing:
    """An utterance whose words appear one after the other."""

    def __init__(self, cue: Cue, some: list[str], end: float) -> None:
        self.cue, self.words, self.end = cue, list(some), end

    def as_cue(self) -> Cue:
        return self.cue._replace(text=html.escape(" ".join(self.words), quote=False), end=self.end)


def _overlap(before: _Shown, after: _Shown) -> int:
    """How many words of a cue the one before it shows already."""
    if not before.cue.start <= after.cue.start <= before.cue.end + LONGEST_BREAK or VOICE.search(after.cue.text):
        return 0
    if before.highlight is not None and after.highlight is not None and after.highlight <= before.highlight:
        return 0
    old, new = before.words[-WORDS_SHOWN:], after.words[:WORDS_SHOWN]
    count = _longest_shared(new, old)
    # Two words alike at the end of one and the start of the next are no caption that rolls on.
    whole_line = count in after.line_starts or count == len(new)
    return count if count and (count >= 3 or count == len(before.words) or whole_line) else 0


def _longest_shared(new: list[str], old: list[str]) -> int:
    """Length of the longest start of one list that ends the other, in one pass (Knuth, Morris and Pratt)."""
    borders: list[int] = []
    length = 0
    joined: list[str | None] = [*new, None, *old]
    for place, word in enumerate(joined):
        while place and length and word != joined[length]:
            length = borders[length - 1]
        length += place > 0 and word == joined[length]
        borders.append(length)
    return borders[-1] if new and old else 0
