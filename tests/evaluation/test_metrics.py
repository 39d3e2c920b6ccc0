import pytest

from m2fnet_hf.evaluation.metrics import emotion_metrics


def test_by_hand() -> None:
    figures = emotion_metrics([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0], ["a", "b", "c", "d"])
    # a: precision 2/4, recall 2/3; b: 1/2, 1/2; c: never found; d: never there
    assert figures["accuracy"] == pytest.approx(3 / 6)
    assert figures["per_class"]["a"] == pytest.approx({"precision": 0.5, "recall": 2 / 3, "f1": 4 / 7})
    assert figures["weighted_f1"] == pytest.approx((3 * 4 / 7 + 2 * 0.5) / 6)
    assert figures["macro_f1"] == pytest.approx((4 / 7 + 0.5) / 4)
    assert figures["support"] == {"a": 3, "b": 2, "c": 1, "d": 0}


@pytest.mark.parametrize(("labels", "predictions"), [([], []), ([1], [1, 0])])
def test_needs_as_many_predictions_as_labels(labels: list, predictions: list) -> None:
    with pytest.raises(ValueError, match="as many predictions as labels"):
        emotion_metrics(labels, predictions, ["a", "b"])
