import time

import pytest
from sample_results import utterance

from m2fnet_hf.reports.timeline_layout import free_lanes, lay_out, milliseconds


def test_what_overlaps_is_in_lanes_of_its_speakers_row() -> None:
    spans = [(0, 4, "ANN"), (1, 2, "ANN"), (2, 3, "ANN"), (5, 6, "ANN"), (1, 5, "BEN")]
    layout = lay_out([utterance(start=s, end=e, speaker=name) for s, e, name in spans], shortest=0.01)
    assert layout.rows == {"ANN": 2, "BEN": 1}
    places = {bar.number: (bar.row, bar.lane) for bar in layout.bars}
    assert places == {0: (0, 0), 1: (0, 1), 2: (0, 1), 3: (0, 0), 4: (1, 0)}


def test_the_shortest_bar_can_be_seen() -> None:
    layout = lay_out([utterance(start=0, end=100), utterance(start=100, end=100)], shortest=0.01)
    assert [(bar.left, bar.right) for bar in layout.bars] == [(0, 100), (100, 101)]


def test_a_moment_alone_has_an_axis() -> None:
    layout = lay_out([utterance(start=3, end=3)], shortest=0.01)
    assert (layout.first, layout.last) == (3, 4)


def test_without_times_utterances_stand_in_order() -> None:
    layout = lay_out([utterance(start=None, end=None, speaker=name) for name in ("ANN", None, "ANN")], shortest=0.01)
    assert not layout.timed
    assert list(layout.rows) == ["ANN", "unknown"]
    assert sorted((bar.number, round((bar.left + bar.right) / 2)) for bar in layout.bars) == [(0, 1), (1, 2), (2, 3)]
    assert layout.ticks(layout.first, layout.last, most=8) == [1, 2, 3]
    assert layout.mark(2) == "2"


@pytest.mark.parametrize(
    ("left", "right", "ticks", "marks"),
    [
        (0, 4.5, [0, 1, 2, 3, 4], ["0:00", "0:01", "0:02", "0:03", "0:04"]),
        (61, 119, [70, 80, 90, 100, 110], ["1:10", "1:20", "1:30", "1:40", "1:50"]),
        (0, 7300, [0, 1800, 3600, 5400, 7200], ["0:00", "30:00", "1:00:00", "1:30:00", "2:00:00"]),
    ],
)
def test_ticks_are_round(left: float, right: float, ticks: list[int], marks: list[str]) -> None:
    layout = lay_out([utterance(start=left, end=right)], shortest=0.01)
    assert layout.ticks(left, right, most=6) == ticks
    assert [layout.mark(tick) for tick in ticks] == marks


def test_a_moment_lasts_a_millisecond() -> None:
    assert milliseconds(utterance(start=1.2345, end=1.2345)) == (1234, 1235)


def test_lanes_are_used_again() -> None:
    assert free_lanes([(0, 3), (1, 2), (2, 5), (3, 4)]) == [0, 1, 1, 0]


def test_many_overlapping_spans_have_a_lane_each() -> None:
    started = time.process_time()
    assert free_lanes([(n, 1e6) for n in range(50_000)]) == list(range(50_000))
    assert time.process_time() - started < 5, "a search of all lanes for each span takes minutes"
