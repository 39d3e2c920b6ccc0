import json
from pathlib import Path

import numpy as np
import pytest
import tiny
from sample_predictions import NAMES
from transformers import pipeline

from m2fnet_hf import Dialogue, M2FNetConfig, MultimodalEmotionPipeline
from m2fnet_hf.evaluation.calibration import (
    calibrate,
    calibration_metrics,
    fit_temperature,
    set_temperature,
    softmax,
)
from m2fnet_hf.registration import TASK


def drawn(temperature: float, count: int = 20_000, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that follow the probabilities of these logits divided by a temperature."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(count, classes)) * 2
    noise = random.gumbel(size=logits.shape)
    return logits, (logits / temperature + noise).argmax(1)


def test_by_hand() -> None:
    probabilities = np.array([[0.7, 0.3], [0.7, 0.3], [0.1, 0.9], [0.55, 0.45]])
    metrics = calibration_metrics(probabilities, np.array([0, 1, 1, 0]))
    assert metrics["reliability"] == [
        pytest.approx({"low": 8 / 15, "high": 9 / 15, "utterances": 1, "confidence": 0.55, "accuracy": 1}),
        pytest.approx({"low": 10 / 15, "high": 11 / 15, "utterances": 2, "confidence": 0.7, "accuracy": 0.5}),
        pytest.approx({"low": 13 / 15, "high": 14 / 15, "utterances": 1, "confidence": 0.9, "accuracy": 1}),
    ]
    assert metrics["ece"] == pytest.approx((0.45 + 2 * 0.2 + 0.1) / 4)
    assert metrics["nll"] == pytest.approx(-np.log([0.7, 0.3, 0.9, 0.55]).mean())
    assert metrics["brier"] == pytest.approx(2 * np.mean([0.3**2, 0.7**2, 0.1**2, 0.45**2]))


def test_probabilities_that_come_true_have_no_error() -> None:
    logits, labels = drawn(1.0)
    assert calibration_metrics(softmax(logits), labels)["ece"] < 0.01


def test_one_who_is_always_sure_is_as_wrong_as_he_errs() -> None:
    labels = np.arange(100) % 4
    metrics = calibration_metrics(np.tile([1.0, 0.0, 0.0, 0.0], (100, 1)), labels)
    assert metrics["ece"] == pytest.approx(0.75)
    assert metrics["brier"] == pytest.approx(2 * 0.75)
    assert np.isfinite(metrics["nll"])
    assert [row["utterances"] for row in metrics["reliability"]] == [100]


@pytest.mark.parametrize("true", [0.1, 0.5, 1.0, 2.5, 10.0])
def test_the_temperature_is_found(true: float) -> None:
    logits, labels = drawn(true)
    assert fit_temperature(logits, labels) == pytest.approx(true, rel=0.1)
    shifted = logits - logits.max(1, keepdims=True)
    assert fit_temperature(shifted, labels) == pytest.approx(fit_temperature(logits, labels))


def test_no_temperature_is_better() -> None:
    logits, labels = drawn(2.5, count=500)
    fitted = fit_temperature(logits, labels)
    best = calibration_metrics(softmax(logits / fitted), labels)["nll"]
    for other in np.geomspace(0.05, 20, 200):
        assert best <= calibration_metrics(softmax(logits / other), labels)["nll"]


def test_it_stays_within_its_bounds() -> None:
    logits = np.eye(3)
    assert fit_temperature(logits, np.arange(3)) == pytest.approx(0.05, rel=1e-3)
    assert fit_temperature(logits, np.array([1, 2, 0])) == pytest.approx(20, rel=1e-3)
    assert fit_temperature(1e4 * logits, np.array([0, 1, 0])) == pytest.approx(20, rel=1e-3)


def test_the_error_falls_on_dialogues_it_has_not_seen() -> None:
    logits, labels = drawn(3.0)
    fitted = fit_temperature(logits[:10_000], labels[:10_000])
    before, after = (
        calibration_metrics(softmax(logits[10_000:] / temperature), labels[10_000:]) for temperature in (1.0, fitted)
    )
    assert before["ece"] > 0.2
    assert after["ece"] < 0.02
    assert after["nll"] < before["nll"]


def labelled(count: int) -> list[Dialogue]:
    return [
        Dialogue([one.replace(label=NAMES[(d + u) % 3]) for u, one in enumerate(tiny.dialogue(4, seed=d))])
        for d in range(count)
    ]


def load(folder: Path) -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(folder), device="cpu")


def test_a_checkpoint_is_calibrated(tiny_checkpoint: Path, tmp_path: Path) -> None:
    pipe, dialogues = load(tiny_checkpoint), labelled(4)
    result = calibrate(pipe, dialogues)
    assert result["after"]["nll"] < result["before"]["nll"]
    assert pipe.model.config.softmax_temperature == 1

    before = pipe(dialogues[0])
    pipe.save_pretrained(tmp_path)
    set_temperature(tmp_path, result["temperature"])
    calibrated = load(tmp_path)
    for old, new in zip(before, calibrated(dialogues[0]), strict=True):
        assert new["label"] == old["label"]
        raised = {name: score ** (1 / result["temperature"]) for name, score in old["scores"].items()}
        expected = {name: score / sum(raised.values()) for name, score in raised.items()}
        assert new["scores"] == pytest.approx(expected, abs=1e-5)

    again = calibrate(calibrated, dialogues)
    assert again["temperature"] == pytest.approx(result["temperature"], rel=1e-3)
    assert again["before"]["nll"] == pytest.approx(result["after"]["nll"], abs=1e-5)


def test_nothing_else_of_the_config_changes(tmp_path: Path) -> None:
    config = tiny.config(class_weights=[1, 3, 15, 6, 3, 15, 4])
    config.save_pretrained(tmp_path)
    before = (tmp_path / "config.json").read_text()
    set_temperature(tmp_path, 1.75)
    assert M2FNetConfig.from_pretrained(tmp_path).softmax_temperature == 1.75
    assert (tmp_path / "config.json").read_text() == before.replace(
        '"softmax_temperature": 1.0', '"softmax_temperature": 1.75'
    )
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_an_older_config_gets_its_temperature(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    tiny.config().save_pretrained(tmp_path)
    settings = json.loads(path.read_text())
    del settings["softmax_temperature"]
    path.write_text(json.dumps(settings))
    assert M2FNetConfig.from_pretrained(tmp_path).softmax_temperature == 1
    set_temperature(tmp_path, 0.5)
    assert json.loads(path.read_text()) == {**settings, "softmax_temperature": 0.5}


def test_what_is_no_temperature_is_refused(tmp_path: Path) -> None:
    for wrong in (0, -1.0, 1e-40, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"must be a number from 0\.01 to 100\.0"):
            set_temperature(tmp_path, wrong)
        with pytest.raises(ValueError, match=r"`softmax_temperature` must be a number from 0\.01 to 100\.0"):
            M2FNetConfig(softmax_temperature=wrong)
    with pytest.raises(FileNotFoundError, match=r"must hold its config\.json"):
        set_temperature(tmp_path, 2.0)
