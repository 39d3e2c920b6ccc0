"""Rare classes are favoured as far as F1 on predictions out of fold rises, and the released weights say so."""

from pathlib import Path

import numpy as np
import pytest
import release_checkpoint
import tiny
import torch
from safetensors.torch import load_file

from m2fnet_hf import M2FNetForEmotionClassification
from m2fnet_hf.evaluation.columns import PredictionColumns
from m2fnet_hf.evaluation.metrics import emotion_metrics
from m2fnet_hf.evaluation.predictions import UtterancePrediction

NAMES = ["common", "rare"]


def predictions(rows: list[tuple[str, float]]) -> PredictionColumns:
    """Of label and what the rare class was given."""
    return PredictionColumns(
        UtterancePrediction(
            dialogue=number,
            dialogue_number=number,
            position=1,
            utterance=0,
            speaker=None,
            label=label,
            prediction=NAMES[rare > 0.5],
            probabilities={"common": 1 - rare, "rare": rare},
            modalities=["text"],
        )
        for number, (label, rare) in enumerate(rows)
    )


def test_a_rare_class_is_favoured_until_weighted_f1_falls() -> None:
    found = predictions(
        [("common", 0.05)] * 70 + [("common", 0.2)] * 12 + [("common", 0.45)] * 6 + [("rare", 0.45)] * 12
    )
    offsets = release_checkpoint.class_offsets(found)
    assert offsets["rare"] > offsets["common"] > 0
    scores = np.log(found.probabilities) + [offsets[name] for name in NAMES]
    assert (scores.argmax(1) == (found.probabilities[:, 1] > 0.4)).all()
    before, after = (emotion_metrics(found.labels, one, NAMES) for one in (found.predicted, scores.argmax(1)))
    assert after["weighted_f1"] > before["weighted_f1"]


def test_nothing_is_added_where_that_would_not_help() -> None:
    found = predictions([("common", 0.05)] * 70 + [("common", 0.45)] * 20 + [("rare", 0.55)] * 10)
    assert set(release_checkpoint.class_offsets(found).values()) == {0.0}


def test_the_mean_of_weights_carries_the_offsets(tmp_path: Path) -> None:
    config = tiny.config(audio=None, visual=False, id2label=dict(enumerate(NAMES)), label2id={"common": 0, "rare": 1})
    runs = [tmp_path / name for name in ("one", "two")]
    biases = []
    for seed, run in enumerate(runs):
        torch.manual_seed(seed)
        model = M2FNetForEmotionClassification(config)
        model.classifier.output.bias.data.normal_()
        biases.append(model.classifier.output.bias.detach())
        model.save_pretrained(run)
        tiny.processor().save_pretrained(run)
    release_checkpoint.save(runs, tmp_path / "release", {"rare": 0.5, "common": 0.1})
    weights = load_file(tmp_path / "release" / "model.safetensors")
    expected = (biases[0] + biases[1]) / 2 + torch.tensor([0.1, 0.5])
    assert weights["classifier.output.bias"] == pytest.approx(expected, abs=2e-3)
    assert {value.dtype for value in weights.values()} == {torch.float16}
