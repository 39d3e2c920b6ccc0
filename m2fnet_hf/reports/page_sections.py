"""The utterances of a page in sections that fold, each with its timeline and its rows."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from ..utils.times import clock
from .console_tables import UNREAD
from .formatting import abbreviations, emotion, one_line, speaker_name, text_width
from .timeline_layout import Bar, Layout, is_timed, lay_out

UTTERANCES = 50  # of a section
# Pixels; a timeline scrolls where its utterances have no room.
PER_UTTERANCE, SHORTEST_BAR, NARROWEST = 44, 22, 640
LETTER, BAR_EDGES = 7, 4


class Section(NamedTuple):
    """Utterances that stand together.

    Args:
        title: the time that they take, or their numbers.
        ticks: places in per cent, and what stands there.
    """

    title: str
    rows: list[dict[str, Any]]
    speakers: dict[str, int]
    bars: list[dict[str, Any]]
    ticks: list[tuple[float, str]]
    width: int
    layout: Layout


def sections(utterances: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Iterator[Section]:
    """All utterances in their order, at most 50 to a section."""
    short = abbreviations(labels)
    for first in range(0, len(utterances), UTTERANCES):
        yield _section(utterances[first : first + UTTERANCES], first, short)


def _section(utterances: Sequence[Mapping[str, Any]], first: int, short: Mapping[str, str]) -> Section:
    width = max(NARROWEST, PER_UTTERANCE * len(utterances))
    layout = lay_out(utterances, shortest=SHORTEST_BAR / width, first=first + 1)
    ticks = layout.ticks(layout.first, layout.last, most=max(4, width // 100))
    tops = list(accumulate(layout.rows.values(), initial=0))
    return Section(
        _title(layout, first + 1, first + len(utterances)),
        [_row(first + n, utterance) for n, utterance in enumerate(utterances)],
        layout.rows,
        [
            _bar(bar, tops[bar.row] + bar.lane, first, utterances[bar.number], layout, width, short)
            for bar in sorted(layout.bars, key=lambda bar: bar.left)
        ],
        [(_percent(tick, layout), layout.mark(tick)) for tick in ticks],
        width,
        layout,
    )


def _title(layout: Layout, first: int, last: int) -> str:
    return f"{clock(layout.first)} to {clock(layout.last)}" if layout.timed else f"{first} to {last}"


def _row(index: int, utterance: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "utterance": utterance,
        "speaker": speaker_name(utterance),
        "place": _place(index, utterance),
        "sources": _by_modality(utterance),
    }


def _bar(
    bar: Bar,
    top: int,
    first: int,
    utterance: Mapping[str, Any],
    layout: Layout,
    width: int,
    short: Mapping[str, str],
) -> dict[str, Any]:
    """A bar's place, across in per cent and down in lanes."""
    left = _percent(bar.left, layout)
    share = _percent(bar.right, layout) - left
    place, label = _place(first + bar.number, utterance), utterance["label"]
    said = f": {utterance['text']}" if utterance["text"] else ""
    room = (share * width / 100 - BAR_EDGES) // LETTER
    return {
        "index": first + bar.number,
        "utterance": utterance,
        "title": f"{place} {speaker_name(utterance)}, {emotion(utterance)}{said}",
        "word": label if text_width(one_line(label)) <= room else short[label],
        "left": left,
        "width": share,
        "top": top,
    }


def _percent(position: float, layout: Layout) -> float:
    return 100 * (position - layout.first) / (layout.last - layout.first)


def _by_modality(utterance: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """From what an answer was made, the emotion and its probability: each modality alone, and all but each."""
    said = utterance.get("modality_scores", {"alone": {}, "without": {}})
    # Of two modalities, without the one is the other alone.
    kinds = {"{} alone": said["alone"], "without {}": said["without"] if len(said["without"]) > 2 else {}}
    found = [(kind.format(UNREAD[name]), scores) for kind, each in kinds.items() for name, scores in each.items()]
    best = [(source, max(scores, key=scores.__getitem__), max(scores.values())) for source, scores in found]
    return best if len(said["alone"]) > 1 else []


def _place(index: int, utterance: Mapping[str, Any]) -> str:
    """Where an utterance stands: its start, or its number where that is not known."""
    return clock(utterance["start"]) if is_timed(utterance) else str(index + 1)
