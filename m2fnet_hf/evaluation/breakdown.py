"""The same figures for parts of the utterances: by speaker, by place in the dialogue, by what the model was given.

Each part is a name with its number of `utterances`, `accuracy`, `weighted_f1` and `macro_f1`, the latter over the
emotions that occur or are predicted in that part. A part without utterances is absent.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .metrics import confusion_matrix, headline
from .records import Record, class_indices, label_names

OTHERS = "(others)"
_POSITIONS = {1: "1", 3: "2-3", 8: "4-8", math.inf: "9+"}  # by their last


def by_speaker(records: Sequence[Record], least: int = 30) -> dict[str, dict[str, Any]]:
    """Figures by name; speakers with fewer than `least` utterances, or without a name, are pooled as `(others)`."""
    counts = Counter(record.speaker for record in records)

    def name(record: Record) -> str:
        return OTHERS if record.speaker is None or counts[record.speaker] < least else record.speaker

    return _by(records, name)


def by_position(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Figures of the first utterance of dialogues, of the second and third, of 4 to 8, and of the later ones."""
    return _by(records, lambda record: next(name for last, name in _POSITIONS.items() if record.position <= last))


def by_modalities(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Figures by what the predictions used, such as `text+audio`, or `none`."""
    return _by(records, lambda record: "+".join(record.modalities) or "none")


def _by(records: Sequence[Record], name_of: Callable[[Record], str]) -> dict[str, dict[str, Any]]:
    parts = defaultdict(list)
    for record in records:
        parts[name_of(record)].append(record)
    return {name: _figures(parts[name]) for name in sorted(parts)}


def _figures(records: Sequence[Record]) -> dict[str, Any]:
    confusion = confusion_matrix(*class_indices(records), len(label_names(records)))
    seen = np.flatnonzero(confusion.sum(0) + confusion.sum(1))
    figures = headline(confusion[np.ix_(seen, seen)])
    return {"utterances": len(records), **{name: float(figure) for name, figure in figures.items()}}
