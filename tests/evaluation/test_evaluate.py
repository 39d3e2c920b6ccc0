import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from sample_predictions import conversation, dialogues
from transformers import pipeline

from m2fnet_hf import MultimodalEmotionPipeline
from m2fnet_hf.evaluation.columns import PredictionColumns
from m2fnet_hf.evaluation.evaluate import compute_metrics, evaluate
from m2fnet_hf.registration import TASK
from m2fnet_hf.reports.console_tables import metrics_table


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(tiny_checkpoint), device="cpu")


def test_progress_counts_dialogues(pipe: MultimodalEmotionPipeline) -> None:
    told = []

    def progress(items: Any, description: str, total: int) -> Any:
        told.append((description, total))
        return items

    evaluate(pipe, [conversation("joy"), conversation("anger")], progress)
    assert told == [("Dialogues", 2)]


def test_all_metrics_are_one_json_object(pipe: MultimodalEmotionPipeline) -> None:
    figures = evaluate(pipe, [conversation("joy", None, "anger"), conversation("sadness", "fear")])
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert np.sum(figures["confusion"]) == sum(figures["support"].values()) == 4
    assert figures["modalities"] == {"text": 4, "audio": 4, "visual": 4}
    parts = {
        name: {part: of["utterances"] for part, of in figures[f"by_{name}"].items()}
        for name in ("speaker", "position", "modalities")
    }
    assert parts == {
        "speaker": {"(others)": 4},
        "position": {"1": 2, "2-3": 2},
        "modalities": {"text+audio+visual": 4},
    }
    assert set(figures["calibration"]) == {"ece", "nll", "brier", "reliability"}
    assert figures["intervals"]["weighted_f1"][0] <= figures["intervals"]["weighted_f1"][1]


def test_labels_are_needed(pipe: MultimodalEmotionPipeline) -> None:
    with pytest.raises(ValueError, match="needs labelled utterances, found none"):
        evaluate(pipe, [conversation(None)])
    with pytest.raises(ValueError, match="found 'bored'"):
        evaluate(pipe, [conversation("joy", "bored")])
    with pytest.raises(ValueError, match="one prediction at least"):
        compute_metrics(PredictionColumns([]))


def shown(figures: dict) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(metrics_table(figures))
    return console.file.getvalue()


def test_the_table_shows_metrics_with_their_intervals() -> None:
    figures = compute_metrics(PredictionColumns(dialogues(20, 5)))
    rows = {line[:18].strip(): line[18:].split() for line in shown(figures).splitlines()}
    low, high = figures["intervals"]["weighted_f1"]
    assert rows["weighted f1"] == [f"{100 * figures['weighted_f1']:.2f}", f"{100 * low:.1f}-{100 * high:.1f}", "100"]
    assert rows["calibration error"] == [f"{100 * figures['calibration']['ece']:.2f}", "100"]
    assert rows["joy"][-1] == str(figures["support"]["joy"])
    alone = compute_metrics(PredictionColumns(dialogues(1, 50)))
    assert f"{100 * alone['macro_f1']:.2f}" in shown(alone)
