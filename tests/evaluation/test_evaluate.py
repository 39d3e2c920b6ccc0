import json
from collections.abc import Callable
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from predictions import dialogues
from rich.console import Console
from transformers import pipeline

from m2fnet_hf import Dialogue, MultimodalEmotionPipeline
from m2fnet_hf.evaluation.evaluate import evaluate, figures_of
from m2fnet_hf.evaluation.records import predict_records, read_records, write_records
from m2fnet_hf.registration import TASK
from m2fnet_hf.reports.table import figures_table


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(tiny_checkpoint), device="cpu")


def conversation(*labels: str | None, **values: Any) -> Dialogue:
    said = zip(tiny.dialogue(len(labels)), labels, strict=True)
    return Dialogue([one.replace(label=label, id=10 * u) for u, (one, label) in enumerate(said)], **values)


def test_records_are_what_the_pipeline_says(pipe: MultimodalEmotionPipeline) -> None:
    dialogue = conversation("joy", None, "anger", id="first")
    answers = pipe(dialogue)
    records = predict_records(pipe, [dialogue])
    assert [(one.dialogue, one.position, one.utterance, one.speaker, one.label) for one in records] == [
        ("first", 1, 0, "Ann", "joy"),
        ("first", 3, 20, "Ann", "anger"),
    ]
    for one, answer in zip(records, (answers[0], answers[2]), strict=True):
        assert one.prediction == answer["label"]
        assert one.modalities == answer["modalities"] == ["text", "audio", "visual"]
        assert one.probabilities == pytest.approx(answer["scores"])
        assert list(one.probabilities) == pipe.model.config.label_names


@pytest.mark.parametrize(("ids", "keys"), [((7, "x"), [7, "x"]), ((7, None), [0, 1]), ((7, 7), [0, 1])])
def test_dialogues_are_told_apart(pipe: MultimodalEmotionPipeline, ids: tuple, keys: list) -> None:
    records = predict_records(pipe, [conversation("joy", id=key) for key in ids])
    assert [one.dialogue for one in records] == keys


def test_progress_counts_dialogues(pipe: MultimodalEmotionPipeline) -> None:
    told = []

    def progress(items: Any, description: str, total: int) -> Any:
        told.append((description, total))
        return items

    evaluate(pipe, [conversation("joy"), conversation("anger")], progress)
    assert told == [("Dialogues", 2)]


def test_all_figures_are_one_json_object(pipe: MultimodalEmotionPipeline) -> None:
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
        figures_of([])


def test_figures_can_be_computed_again_from_the_file(pipe: MultimodalEmotionPipeline, tmp_path: Path) -> None:
    path = tmp_path / "new" / "predictions.jsonl"
    records = predict_records(pipe, [conversation("joy", "anger", id="á"), conversation("fear", id="b")])
    write_records(records, path)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3
    assert [asdict(one) for one in read_records(path)] == [asdict(one) for one in records]
    assert figures_of(read_records(path)) == figures_of(records)


@pytest.mark.parametrize(
    "change",
    [lambda line: "{", lambda line: "[1]", lambda line: '{"speed": 3}', lambda line: line.replace("position", "place")],
)
def test_another_file_is_refused(tmp_path: Path, change: Callable[[str], str]) -> None:
    path = tmp_path / "predictions.jsonl"
    write_records(dialogues(1, 1), path)
    path.write_text(path.read_text() + change(path.read_text()))
    with pytest.raises(ValueError, match=r"predictions\.jsonl, line 2: expected a prediction"):
        read_records(path)


def shown(figures: dict) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(figures_table(figures))
    return console.file.getvalue()


def test_the_table_shows_figures_with_their_intervals() -> None:
    figures = figures_of(dialogues(20, 5))
    rows = {line[:18].strip(): line[18:].split() for line in shown(figures).splitlines()}
    low, high = figures["intervals"]["weighted_f1"]
    assert rows["weighted f1"] == [f"{100 * figures['weighted_f1']:.2f}", f"{100 * low:.1f}-{100 * high:.1f}", "100"]
    assert rows["calibration error"] == [f"{100 * figures['calibration']['ece']:.2f}", "100"]
    assert rows["joy"][-1] == str(figures["support"]["joy"])
    alone = figures_of(dialogues(1, 50))
    assert f"{100 * alone['macro_f1']:.2f}" in shown(alone)
