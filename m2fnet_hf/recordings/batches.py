"""Measurements of a recording in batches that are kept as soon as they are made."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from .cache import Cache

Table = dict[str, np.ndarray]


class Batches:
    """What is measured at places of a recording, such as frames at their times.

    A batch is measured, kept and lost as a whole, and always has the same members: a run that was killed and goes on
    gives to the last bit what an undisturbed one gives.

    Args:
        places: times or spans, sorted as they come out of the recording.
        size: places of a batch.
        measure: the places of a batch at which there was something, and what there was, to a table of columns whose
            rows follow the places.
        cache: where tables are kept.
        key: all else that changes a table.
    """

    def __init__(
        self,
        places: Sequence[Any],
        size: int,
        measure: Callable[[list[Any], list[Any]], Table],
        cache: Cache,
        key: Mapping[str, Any],
    ) -> None:
        self.places = list(places)
        self._measure = measure
        self._cache = cache
        self._key = dict(key)
        self._batches = [self.places[first : first + size] for first in range(0, len(self.places), size)]
        self._tables = [cache.load(places=batch, **self._key) for batch in self._batches]
        self._number = {place: number for number, batch in enumerate(self._batches) for place in batch}
        self._held: dict[int, dict[Hashable, Any]] = {}

    @property
    def missing(self) -> list[Any]:
        """Places that are not measured yet."""
        return [place for place in self.places if self._tables[self._number[place]] is None]

    def add(self, place: Hashable, value: Any) -> None:
        """What there is at a place; the last one of a batch has it measured, if it was missing."""
        number = self._number[place]
        if self._tables[number] is not None:
            return
        held = self._held.setdefault(number, {})
        held[place] = value
        if len(held) == len(self._batches[number]):
            self._close(number)

    def finish(self) -> None:
        """Measure what is left: nothing more will come, because the recording ends before some places."""
        for number, table in enumerate(self._tables):
            if table is None:
                self._close(number)

    def table(self) -> Table:
        """All rows."""
        tables = [table for table in self._tables if table is not None]
        names = dict.fromkeys(name for table in tables for name in table)
        return {name: np.concatenate([table[name] for table in tables if name in table]) for name in names}

    def _close(self, number: int) -> None:
        held = self._held.pop(number, {})
        places = [place for place in self._batches[number] if place in held]
        table = self._measure(places, [held[place] for place in places])
        self._tables[number] = table
        self._cache.save(table, places=self._batches[number], **self._key)
