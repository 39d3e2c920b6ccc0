import sys
from pathlib import Path

import pytest

from m2fnet_hf.evaluation import METRIC, metrics
from m2fnet_hf.evaluation.metrics import emotion_metrics

evaluate = pytest.importorskip("evaluate", reason="evaluate is not installed")


def test_it_loads_offline_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    metric = evaluate.load(METRIC, cache_dir=str(tmp_path / "cache"))
    labels, predictions, names = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0], ["joy", "anger", "fear", "disgust"]
    figures = metric.compute(predictions=predictions, references=labels, labels=names)
    expected = emotion_metrics(labels, predictions, names)
    per_class = {f"f1_{name}": expected["per_class"][name]["f1"] for name in names}
    assert figures == pytest.approx(
        {name: expected[name] for name in ("accuracy", "weighted_f1", "macro_f1")} | per_class
    )


def test_trainer_and_evaluation_ask_it(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    load = evaluate.load
    monkeypatch.setattr(evaluate, "load", lambda path, **options: loaded.append(path) or load(path, **options))
    metrics._metric.cache_clear()
    for _ in range(2):
        metrics.emotion_metrics([0, 1], [0, 0], ["joy", "anger"])
    assert loaded == [METRIC]


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evaluate", None)
    metrics._metric.cache_clear()
    with pytest.raises(ImportError, match=r"Metrics need evaluate: pip install 'm2fnet-hf\[train\]'"):
        metrics.emotion_metrics([0], [0], ["joy", "anger"])
