import time
from dataclasses import replace

import numpy as np
import pytest
from sample_predictions import dialogues, record, records_of

from m2fnet_hf.evaluation.bootstrap import bootstrap_intervals, compare
from m2fnet_hf.evaluation.columns import PredictionColumns
from m2fnet_hf.evaluation.metrics import HEADLINE


def test_intervals_are_those_of_drawing_dialogues() -> None:
    records = dialogues(40, 10)
    intervals = bootstrap_intervals(PredictionColumns(records), resamples=4000)
    assert intervals is not None
    right = np.reshape([one.label == one.prediction for one in records], (40, 10)).mean(1)
    drawn = np.random.default_rng(7).choice(right, size=(20_000, 40)).mean(1)
    assert intervals["accuracy"] == pytest.approx(np.percentile(drawn, [2.5, 97.5]).tolist(), abs=0.006)
    for name in HEADLINE:
        assert 0 < intervals[name][0] < intervals[name][1] < 1
    assert list(intervals["f1"]) == ["neutral", "joy", "anger"]


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(100):
        intervals = bootstrap_intervals(PredictionColumns(dialogues(40, 5, seed=seed)), resamples=200)
        assert intervals is not None
        low, high = intervals["accuracy"]
        covered += low <= 0.7 <= high
    assert 88 <= covered <= 99


def test_dialogues_are_drawn_whole() -> None:
    """All of a dialogue is right or all is wrong: 20 dialogues say as much as 20 utterances."""
    short = [record(0, int(d % 2 == 0), dialogue=d) for d in range(20)]
    long = [replace(one, position=position) for one in short for position in range(1, 11)]
    intervals = [bootstrap_intervals(PredictionColumns(records)) for records in (long, short)]
    assert intervals[0] is not None
    assert intervals[1] is not None
    for name in HEADLINE:
        assert intervals[0][name] == pytest.approx(intervals[1][name])


def test_a_seed_gives_the_same_intervals() -> None:
    records = dialogues(20, 5)
    assert bootstrap_intervals(PredictionColumns(records), seed=3) == bootstrap_intervals(
        PredictionColumns(records), seed=3
    )
    assert bootstrap_intervals(PredictionColumns(records), seed=3) != bootstrap_intervals(
        PredictionColumns(records), seed=4
    )


def test_a_single_dialogue_has_no_interval() -> None:
    assert bootstrap_intervals(PredictionColumns(records_of([0, 1], [0, 0]))) is None


def test_a_test_split_takes_a_second_at_most() -> None:
    predictions = PredictionColumns(dialogues(280, 9))
    started = time.process_time()
    bootstrap_intervals(predictions)
    assert time.process_time() - started < 1


def test_equal_predictions_differ_by_nothing() -> None:
    records = dialogues(20, 5)
    for metrics in compare(PredictionColumns(records), PredictionColumns(records[::-1])).values():
        assert metrics == {"difference": 0.0, "interval": [0.0, 0.0], "share_better": 0.0}


def test_the_better_model_is_seen_as_better() -> None:
    labels = dialogues(50, 8)
    good, bad = (
        [
            replace(one, prediction=one.label if chance < right else "joy")
            for one, chance in zip(labels, drawn, strict=True)
        ]
        for right, drawn in ((0.9, np.random.default_rng(1).random(400)), (0.5, np.random.default_rng(2).random(400)))
    )
    metrics = compare(PredictionColumns(good), PredictionColumns(bad))
    assert set(metrics) == set(HEADLINE)
    mean = {id(records): np.mean([one.label == one.prediction for one in records]) for records in (good, bad)}
    assert metrics["accuracy"]["difference"] == pytest.approx(mean[id(good)] - mean[id(bad)])
    low, high = metrics["accuracy"]["interval"]
    assert 0 < low < metrics["accuracy"]["difference"] < high
    assert metrics["weighted_f1"]["share_better"] == 1
    assert compare(PredictionColumns(bad), PredictionColumns(good))["accuracy"]["interval"] == pytest.approx(
        [-high, -low]
    )


def test_a_pair_is_told_apart_where_single_intervals_overlap() -> None:
    """The same dialogues are drawn for both: what is hard for both does not blur the difference."""
    random = np.random.default_rng(0)
    ease = random.random(60)
    worse = [record(0, int(random.random() > ease[d]), dialogue=d, position=u) for d in range(60) for u in range(10)]
    better = [replace(one, prediction="neutral") if random.random() < 0.2 else one for one in worse]
    single = [bootstrap_intervals(PredictionColumns(records)) for records in (better, worse)]
    assert single[0] is not None
    assert single[1] is not None
    assert single[0]["accuracy"][0] < single[1]["accuracy"][1]
    assert compare(PredictionColumns(better), PredictionColumns(worse))["accuracy"]["interval"][0] > 0


def test_other_utterances_cannot_be_compared() -> None:
    records = dialogues(3, 4)
    for other in (
        records[:-1],
        [replace(records[0], label="joy" if records[0].label != "joy" else "anger"), *records[1:]],
    ):
        with pytest.raises(ValueError, match=r"the same labelled utterances, .* evaluate both on the same split"):
            compare(PredictionColumns(records), PredictionColumns(other))
    with pytest.raises(ValueError, match="two at least"):
        compare(PredictionColumns(records[:4]), PredictionColumns(records[:4]))
