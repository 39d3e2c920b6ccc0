"""The utterances of a dialogue to rows of tokens: each with the text around it, and a mask of its own words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .label_checks_m2fnet import shown
from .names_m2fnet import LARGEST_SIZE, is_whole

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONTEXTS = ("none", "past", "both", "dialogue")
CONTEXTS_WITH_FUTURE = ("both", "dialogue")
SPEAKER_PREFIXES = ("name", "index", "none")

# Token ids of an utterance with its context, and which of them are its own words.
Row = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class ContextSettings:
    """What stands around an utterance; see [`M2FNetProcessor`], which has the same settings.

    Raises:
        ValueError: naming the setting, what was expected and what was found.
    """

    context: str
    past_utterances: int | None
    future_utterances: int | None
    max_length: int
    speaker_prefix: str

    def __post_init__(self) -> None:
        _require_choice("context", self.context, CONTEXTS)
        _require_choice("speaker_prefix", self.speaker_prefix, SPEAKER_PREFIXES)
        for name in ("past_utterances", "future_utterances"):
            if getattr(self, name) is not None:
                _require_number(name, getattr(self, name), 0)
        _require_number("max_length", self.max_length, 1)


class TextContext:
    """Puts utterances and their context into rows of tokens.

    Args:
        tokenizer: of the text encoder.
        settings: what stands around an utterance.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", settings: ContextSettings) -> None:
        self.tokenizer = tokenizer
        self.settings = settings
        self._start, self._between, self._end = _special_tokens(tokenizer)

    def rows(
        self, texts: Sequence[str | None], speakers: Sequence[str | None], speaker_ids: Sequence[int]
    ) -> list[Row]:
        """The row of each utterance of a dialogue; an empty one where it has no text."""
        prefixes = [self._tokens(prefix) for prefix in self._prefixes(speakers, speaker_ids)]
        words = [self._tokens(text or "", continues=bool(prefix)) for text, prefix in zip(texts, prefixes, strict=True)]
        if self.settings.context == "dialogue":
            return self._shared_rows(prefixes, words)
        spoken = [prefix + own if own else [] for prefix, own in zip(prefixes, words, strict=True)]
        lengths = [len(tokens) for tokens in spoken]
        return [self._row(u, prefixes[u], own, spoken, lengths) if own else _empty_row() for u, own in enumerate(words)]

    def _row(self, u: int, prefix: list[int], own: list[int], spoken: list[list[int]], lengths: list[int]) -> Row:
        special = len(self._start) + 2 * len(self._between) + len(self._end)
        past, future = self._nearest_that_fit(lengths, u, self.settings.max_length - special - lengths[u])
        before = [token for tokens in spoken[past] for token in tokens]
        after = [token for tokens in spoken[future] for token in tokens]
        left = self._start + (before + self._between if before else []) + prefix
        right = (self._between + after if after else []) + self._end
        ids = np.array(left + own + right, dtype=np.int64)
        mask = np.zeros(len(ids), dtype=bool)
        mask[len(left) : len(left) + len(own)] = True
        return ids, mask

    def _shared_rows(self, prefixes: list[list[int]], words: list[list[int]]) -> list[Row]:
        """Rows of many utterances, which all of them share."""
        start, between, end = self._start, self._between, self._end
        rows = [_empty_row()] * len(words)
        said = [u for u, own in enumerate(words) if own]
        lengths = [len(prefixes[u]) + len(words[u]) + len(between) for u in said]
        # The last utterance of a row is followed by no separator.
        room = self.settings.max_length - len(start) - len(end) + len(between)
        for first, new, stop in _stretches(lengths, room):
            tokens, own = list(start), {}
            for u in said[first:stop]:
                tokens += prefixes[u]
                own[u] = slice(len(tokens), len(tokens) + len(words[u]))
                tokens += words[u] + between
            ids = np.array(tokens[: len(tokens) - len(between)] + end, dtype=np.int64)
            for u in said[new:stop]:
                mask = np.zeros(len(ids), dtype=bool)
                mask[own[u]] = True
                rows[u] = ids, mask
        return rows

    def _nearest_that_fit(self, lengths: list[int], u: int, room: int) -> tuple[slice, slice]:
        """The past and future utterances beside the u-th that fit in `room` tokens, taken in turn from the nearest."""
        longest = {"past": u, "future": len(lengths) - u - 1}
        limits = {"past": self.settings.past_utterances, "future": self.settings.future_utterances}
        for side, available in longest.items():
            limit = limits[side] if self.settings.context in ("both", side) else 0
            longest[side] = available if limit is None else min(available, limit)
        taken = {"past": 0, "future": 0}
        open_sides = {"past": -1, "future": 1}
        while open_sides:
            for side, step in list(open_sides.items()):
                neighbour = u + step * (taken[side] + 1)
                if taken[side] == longest[side] or lengths[neighbour] > room:
                    del open_sides[side]
                    continue
                room -= lengths[neighbour]
                taken[side] += 1
        return slice(u - taken["past"], u), slice(u + 1, u + 1 + taken["future"])

    def _prefixes(self, speakers: Sequence[str | None], speaker_ids: Sequence[int]) -> list[str]:
        if self.settings.speaker_prefix == "name":
            return [f"{speaker}:" if speaker else "" for speaker in speakers]
        if self.settings.speaker_prefix == "index":
            return [f"Speaker {index + 1}:" if index >= 0 else "" for index in speaker_ids]
        return [""] * len(speakers)

    def _tokens(self, text: str, continues: bool = False) -> list[int]:
        if not text:
            return []
        # Byte-level tokenizers tell a word after a space from one at the start.
        text = f" {text}" if continues else text
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]


def _special_tokens(tokenizer: "PreTrainedTokenizerBase") -> tuple[list[int], list[int], list[int]]:
    """What the tokenizer puts before, between and behind two texts."""
    pair = tokenizer("a", "b", verbose=False)
    ids, sequence = pair["input_ids"], pair.sequence_ids(0)
    first = [position for position, number in enumerate(sequence) if number == 0]
    second = [position for position, number in enumerate(sequence) if number == 1]
    return ids[: first[0]], ids[first[-1] + 1 : second[0]], ids[second[-1] + 1 :]


def _empty_row() -> Row:
    return np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)


def _stretches(lengths: list[int], room: int) -> Iterator[tuple[int, int, int]]:
    """Cut a dialogue into stretches that fit in `room`: where the row begins, where it is new, and where it ends."""
    new = 0
    while new < len(lengths):
        first, stop, left = new, new + 1, room - lengths[new]
        past = min(left, room // 4)
        while first > 0 and lengths[first - 1] <= past:
            first -= 1
            past -= lengths[first]
            left -= lengths[first]
        while stop < len(lengths) and lengths[stop] <= left:
            left -= lengths[stop]
            stop += 1
        yield first, new, stop
        new = stop


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, found {value!r}.")


def _require_number(name: str, value: int, least: int) -> None:
    if not is_whole(value, least, LARGEST_SIZE):
        raise ValueError(f"`{name}` must be a whole number from {least} to {LARGEST_SIZE}, found {shown(value)}.")


__all__ = ["ContextSettings", "TextContext"]
