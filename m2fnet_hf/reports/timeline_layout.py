"""Where each utterance stands on an axis of time."""

import math
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import chain, count
from typing import Any, NamedTuple

from ..utils.times import clock
from .formatting import speaker_name

TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


class Bar(NamedTuple):
    """An utterance (its number, from 0) in a row, from `left` to `right`: seconds, or numbers of utterances.

    Those of one row that overlap are in different lanes of it.
    """

    number: int
    row: int
    left: float
    right: float
    lane: int


class Layout(NamedTuple):
    """A row per speaker with its number of lanes, a bar per utterance, all from `first` to `last`."""

    rows: dict[str, int]
    bars: list[Bar]
    timed: bool
    first: float
    last: float

    def ticks(self, left: float, right: float, most: int) -> list[int]:
        """At most about `most` round positions between two."""
        steps = chain(TIME_STEPS, (7200 * 2**n for n in count())) if self.timed else _decimal_steps()
        step = next(step for step in steps if (right - left) / step <= most)
        return list(range(math.ceil(left / step) * step, math.floor(right) + 1, step))

    def mark(self, tick: int) -> str:
        """A tick in words: `m:ss`, `h:mm:ss`, or the number of the utterance."""
        return clock(tick).removesuffix(".0") if self.timed else str(tick)


def lay_out(utterances: Sequence[Mapping[str, Any]], shortest: float, first: int = 1) -> Layout:
    """Rows by speaker, bars by time; where no utterance has times, by order.

    Args:
        shortest: least length of a bar, as a share of the axis. Utterances without both times have no bar where
            others have them.
        first: the number of the first utterance.
    """
    spans = {n: (u["start"], u["end"]) for n, u in enumerate(utterances) if is_timed(u)}
    timed = bool(spans)
    if timed:
        whole = max(end for _, end in spans.values()) - min(start for start, _ in spans.values())
        length = shortest * whole or 1.0  # a second where all is one moment
        spans = {n: (start, max(end, start + length)) for n, (start, end) in spans.items()}
    else:
        spans = {n: (first + n - 0.45, first + n + 0.45) for n in range(len(utterances))}
    by_speaker: dict[str, list[int]] = {}
    for index in sorted(spans, key=lambda n: spans[n]):
        by_speaker.setdefault(speaker_name(utterances[index]), []).append(index)
    rows, bars = {}, []
    for row, (name, indices) in enumerate(by_speaker.items()):
        lanes = free_lanes([spans[n] for n in indices])
        rows[name] = max(lanes) + 1
        bars += [Bar(n, row, *spans[n], lane) for n, lane in zip(indices, lanes, strict=True)]
    ends = min((bar.left for bar in bars), default=0.0), max((bar.right for bar in bars), default=1.0)
    return Layout(rows, bars, timed, *ends)


def is_timed(utterance: Mapping[str, Any]) -> bool:
    """Whether both times are known."""
    return utterance["start"] is not None and utterance["end"] is not None


def by_start(utterances: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The utterances that have both times, in order."""
    return sorted(filter(is_timed, utterances), key=lambda utterance: utterance["start"])


def milliseconds(utterance: Mapping[str, Any]) -> tuple[int, int]:
    """Start and end, one millisecond apart at least."""
    start = round(utterance["start"] * 1000)
    return start, max(round(utterance["end"] * 1000), start + 1)


def free_lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The lane of each span, sorted by start: the first in which it overlaps no other."""
    busy: list[tuple[float, int]] = []  # until when, and the lane
    free: list[int] = []
    lanes = []
    for start, end in spans:
        while busy and busy[0][0] <= start:
            heappush(free, heappop(busy)[1])
        lane = heappop(free) if free else len(busy)
        heappush(busy, (end, lane))
        lanes.append(lane)
    return lanes


def _decimal_steps() -> Iterable[int]:
    return (digit * 10**power for power in count() for digit in (1, 2, 5))
