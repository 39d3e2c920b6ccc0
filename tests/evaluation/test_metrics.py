import numpy as np
import pytest

from m2fnet_hf.evaluation.metrics import HEADLINE, class_metrics, confusion_matrix, emotion_metrics, headline


def test_by_hand() -> None:
    metrics = emotion_metrics([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0], ["a", "b", "c", "d"])
    # a: precision 2/4, recall 2/3; b: 1/2, 1/2; c: never found; d: never there
    assert metrics["accuracy"] == pytest.approx(3 / 6)
    assert metrics["per_class"]["a"] == pytest.approx({"precision": 0.5, "recall": 2 / 3, "f1": 4 / 7})
    assert metrics["weighted_f1"] == pytest.approx((3 * 4 / 7 + 2 * 0.5) / 6)
    assert metrics["macro_f1"] == pytest.approx((4 / 7 + 0.5) / 4)
    assert metrics["support"] == {"a": 3, "b": 2, "c": 1, "d": 0}
    assert metrics["confusion"] == [[2, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_as_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    labels, predictions = np.random.default_rng(0).choice(7, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05, 0], size=(2, 300))
    metrics = emotion_metrics(labels, predictions, "abcdefg")
    options = {"labels": range(7), "zero_division": 0.0}
    table = sklearn.precision_recall_fscore_support(labels, predictions, **options)
    for key, expected in zip(("precision", "recall", "f1"), table[:3], strict=True):
        assert [figure[key] for figure in metrics["per_class"].values()] == pytest.approx(expected.tolist())
    assert list(metrics["support"].values()) == table[3].tolist()
    assert metrics["confusion"] == sklearn.confusion_matrix(labels, predictions, labels=range(7)).tolist()
    assert metrics["accuracy"] == pytest.approx(sklearn.accuracy_score(labels, predictions))
    for average in ("weighted", "macro"):
        expected = sklearn.f1_score(labels, predictions, average=average, **options)
        assert metrics[f"{average}_f1"] == pytest.approx(expected)


def test_confusion_matrices_give_what_the_metric_gives() -> None:
    random = np.random.default_rng(1)
    for labels, predictions in random.integers(6, size=(20, 2, 40)):
        expected = emotion_metrics(labels, predictions, "abcdefg")  # the last neither occurs nor is predicted
        confusion = confusion_matrix(labels, predictions, 7)
        assert confusion.tolist() == expected["confusion"]
        assert headline(confusion) == pytest.approx({name: expected[name] for name in HEADLINE})
        for key, values in class_metrics(confusion).items():
            assert values == pytest.approx([one[key] for one in expected["per_class"].values()])


def test_many_at_once_are_as_one_by_one() -> None:
    matrices = np.random.default_rng(0).integers(9, size=(2, 4, 3, 3))
    for name, metrics in headline(matrices).items():
        assert metrics.shape == (2, 4)
        assert metrics[1, 2] == headline(matrices[1, 2])[name]


@pytest.mark.parametrize(("labels", "predictions"), [([], []), ([1], [1, 0])])
def test_needs_as_many_predictions_as_labels(labels: list, predictions: list) -> None:
    with pytest.raises(ValueError, match="as many predictions as labels"):
        emotion_metrics(labels, predictions, ["a", "b"])
