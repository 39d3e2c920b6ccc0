import numpy as np
import pytest

from m2fnet_hf.evaluation.metrics import emotion_metrics, headline


def test_by_hand() -> None:
    figures = emotion_metrics([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0], ["a", "b", "c", "d"])
    # a: precision 2/4, recall 2/3; b: 1/2, 1/2; c: never found; d: never there
    assert figures["accuracy"] == pytest.approx(3 / 6)
    assert figures["per_class"]["a"] == pytest.approx({"precision": 0.5, "recall": 2 / 3, "f1": 4 / 7})
    assert figures["weighted_f1"] == pytest.approx((3 * 4 / 7 + 2 * 0.5) / 6)
    assert figures["macro_f1"] == pytest.approx((4 / 7 + 0.5) / 4)
    assert figures["support"] == {"a": 3, "b": 2, "c": 1, "d": 0}
    assert figures["confusion"] == [[2, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_as_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    labels, predictions = np.random.default_rng(0).choice(7, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05, 0], size=(2, 300))
    figures = emotion_metrics(labels, predictions, "abcdefg")
    options = {"labels": range(7), "zero_division": 0.0}
    table = sklearn.precision_recall_fscore_support(labels, predictions, **options)
    for key, expected in zip(("precision", "recall", "f1"), table[:3], strict=True):
        assert [figure[key] for figure in figures["per_class"].values()] == pytest.approx(expected.tolist())
    assert list(figures["support"].values()) == table[3].tolist()
    assert figures["confusion"] == sklearn.confusion_matrix(labels, predictions, labels=range(7)).tolist()
    assert figures["accuracy"] == pytest.approx(sklearn.accuracy_score(labels, predictions))
    for average in ("weighted", "macro"):
        expected = sklearn.f1_score(labels, predictions, average=average, **options)
        assert figures[f"{average}_f1"] == pytest.approx(expected)


def test_many_at_once_are_as_one_by_one() -> None:
    matrices = np.random.default_rng(0).integers(9, size=(2, 4, 3, 3))
    for name, figures in headline(matrices).items():
        assert figures.shape == (2, 4)
        assert figures[1, 2] == headline(matrices[1, 2])[name]


@pytest.mark.parametrize(("labels", "predictions"), [([], []), ([1], [1, 0])])
def test_needs_as_many_predictions_as_labels(labels: list, predictions: list) -> None:
    with pytest.raises(ValueError, match="as many predictions as labels"):
        emotion_metrics(labels, predictions, ["a", "b"])
