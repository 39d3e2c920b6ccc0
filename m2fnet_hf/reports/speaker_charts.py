"""How much of each speaker's talk has which emotion, over the time of a conversation."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..utils.times import clock
from .formatting import speaker_name
from .timeline_layout import is_timed

PARTS = 24  # of the conversation
MOST = 6  # speakers
SHORTEST = 0.1  # seconds that an utterance weighs


class Line(NamedTuple):
    """An emotion of a speaker.

    Args:
        share: of all that the speaker says.
        over_time: its share [PARTS] of what the speaker says in each part.
        most: where it has the highest share, in words.
    """

    label: str
    share: float
    over_time: np.ndarray
    most: str


class Chart(NamedTuple):
    """A speaker with the emotions found, the most frequent first."""

    speaker: str
    utterances: int
    lines: list[Line]


def speaker_charts(utterances: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Of the speakers with the most utterances; by time, or by number where no utterance has times."""
    timed = [utterance for utterance in utterances if is_timed(utterance)]
    spans = [(one["start"], one["end"]) for one in timed] or [(n, n + 1) for n in range(len(utterances))]
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    weights: dict[str, dict[str, np.ndarray]] = {}
    counts: dict[str, int] = {}
    for utterance, (start, end) in zip(timed or utterances, spans, strict=True):
        speaker = speaker_name(utterance)
        counts[speaker] = counts.get(speaker, 0) + 1
        of_label = weights.setdefault(speaker, {}).setdefault(utterance["label"], np.zeros(PARTS))
        middle = ((start + end) / 2 - first) / max(last - first, SHORTEST)
        of_label[min(int(middle * PARTS), PARTS - 1)] += max(end - start, SHORTEST)
    marks = [
        clock(first + part / PARTS * (last - first)) if timed else str(int(part / PARTS * len(spans)) + 1)
        for part in range(PARTS)
    ]
    speakers = sorted(counts, key=counts.__getitem__, reverse=True)[:MOST]
    return [Chart(speaker, counts[speaker], _lines(weights[speaker], marks)) for speaker in speakers]


def _lines(weights: Mapping[str, np.ndarray], marks: Sequence[str]) -> list[Line]:
    total = np.sum(list(weights.values()), axis=0)
    shares = {label: of_label / np.maximum(total, SHORTEST / 2) for label, of_label in weights.items()}
    lines = [
        Line(label, float(weights[label].sum() / total.sum()), share, marks[int(share.argmax())])
        for label, share in shares.items()
    ]
    return sorted(lines, key=lambda line: line.share, reverse=True)
