import numpy as np
import pytest
from sample_results import utterance

from m2fnet_hf.reports.speaker_charts import MOST, PARTS, speaker_charts


def test_the_emotions_of_each_speaker_over_time() -> None:
    said = [
        utterance(label="joy", start=0, end=1),
        utterance(label="anger", start=94, end=96),
        utterance(label="joy", start=95, end=96),
        utterance(label="fear", start=96, end=96, speaker="BEN"),
    ]
    ann, ben = speaker_charts(said)
    assert (ann.speaker, ann.utterances) == ("ANN", 3)
    assert [(line.label, line.share) for line in ann.lines] == [("joy", 0.5), ("anger", 0.5)]
    joy, anger = (line.over_time for line in ann.lines)
    assert np.flatnonzero(joy).tolist() == [0, PARTS - 1]
    assert joy[0] == 1
    assert (joy[-1], anger[-1]) == pytest.approx((1 / 3, 2 / 3)), "of what is said in that part"
    assert [(line.label, line.share, line.most) for line in ben.lines] == [("fear", 1, "1:32.0")]


def test_without_times_they_are_counted() -> None:
    (chart,) = speaker_charts([utterance(start=None, end=None, label=label) for label in ("joy", "joy", "fear")])
    assert [(line.label, round(line.share, 2)) for line in chart.lines] == [("joy", 0.67), ("fear", 0.33)]


def test_of_many_speakers_those_who_say_most() -> None:
    said = [utterance(speaker=f"S{n}") for n in range(2000) for _ in range(1 + (n > 1990))]
    charts = speaker_charts(said)
    assert len(charts) == MOST
    assert {chart.utterances for chart in charts} == {2}
