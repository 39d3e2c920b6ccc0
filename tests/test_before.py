"""What the version before wrote is read: features, predictions and results."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from m2fnet_hf import M2FNetConfig
from m2fnet_hf.cli import main
from m2fnet_hf.data.folder import read_dialogues
from m2fnet_hf.embedded_models import embedded
from m2fnet_hf.evaluation.columns import PredictionColumns
from m2fnet_hf.evaluation.evaluate import compute_metrics
from m2fnet_hf.evaluation.metrics import HEADLINE
from m2fnet_hf.evaluation.predictions import read_predictions
from m2fnet_hf.features.index import INDEX
from m2fnet_hf.features.store import claim, open_features
from m2fnet_hf.hub.push import prepare_run
from m2fnet_hf.hub.run_files import RESULTS, read_run_file
from m2fnet_hf.training.distillation import with_teacher_probabilities

BEFORE = Path(__file__).parent / "before"


@pytest.mark.parametrize("index", ["kept", "lost"])
def test_features(tmp_path: Path, index: str) -> None:
    folder = shutil.copytree(BEFORE / "features", tmp_path / "features")
    if index == "lost":
        (folder / "train" / INDEX).unlink()
    claim(folder, {"audio": {"size": 3}})  # an extraction that goes on
    first, second = open_features(folder).dialogues("train")
    assert (first.id, second.id) == (7, "a/b")
    said, unseen, unheard = first
    assert (said.speaker, said.text, said.label, said.start, said.end) == ("Ann", "You came!", "joy", 0.5, 1.5)
    assert said.text_features == pytest.approx(np.random.default_rng(0).random(4, dtype=np.float32))
    assert said.face_areas.ravel().tolist() == pytest.approx([0.125, np.nan], nan_ok=True)
    assert unseen.missing == {"visual": "no face was found"}
    assert unheard.missing == {"audio": "b.mp4 has no sound"}


def test_predictions_give_the_results_beside_them() -> None:
    results = read_run_file(BEFORE, RESULTS)
    metrics = json.loads(json.dumps(compute_metrics(PredictionColumns(read_predictions(BEFORE / "predictions.jsonl")))))
    assert set(metrics) == set(results) - {"model", "dataset", "split", "weights"}
    for name in HEADLINE:  # which scikit-learn adds up in another order
        assert metrics.pop(name) == pytest.approx(results[name])
    assert metrics == {name: results[name] for name in metrics}


def test_a_model_learns_from_predictions(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = {}
    for one in read_predictions(BEFORE / "predictions.jsonl"):
        said = {"id": one.utterance, "speaker": one.speaker, "text": "hm", "label": one.label}
        lines.setdefault(one.dialogue, []).append(said)
    content = [json.dumps({"id": name, "utterances": said}) for name, said in lines.items()]
    (data / "train.jsonl").write_text("\n".join(content))
    dialogues = read_dialogues(data)["train"]
    config = M2FNetConfig.from_pretrained(embedded("meld-mini"))
    learned = with_teacher_probabilities(dialogues, [BEFORE / "predictions.jsonl"], config)
    assert all(one.label_probabilities.sum() == pytest.approx(1) for dialogue in learned for one in dialogue)


def test_results_are_pushed(tmp_path: Path) -> None:
    run = shutil.copytree(embedded("meld-mini"), tmp_path / "meld-mini")
    results = {**json.loads((BEFORE / RESULTS).read_text()), "dataset": "talks"}
    (run / RESULTS).write_text(json.dumps(results))
    (run / "README.md").unlink()
    prepare_run(run, tmp_path / "pushed", "org/model")
    card = (tmp_path / "pushed" / "README.md").read_text(encoding="utf-8")
    assert f"| {100 * results['weighted_f1']:.2f} |" in card


@pytest.mark.slow
def test_evaluation_still_writes_them(tmp_path: Path) -> None:
    """The same keys, and the same numbers of the same model on the same dialogues."""
    lines = {}
    for one in read_predictions(BEFORE / "predictions.jsonl"):
        lines.setdefault(one.dialogue, []).append(one)
    said = {("a", 1): "You ruined it!", ("a", 2): "I'm so sorry.", ("a", 3): "All right.", ("b", 1): "You came!",
            ("b", 2): "I nearly missed the train.", (3, 1): "It is on Monday."}  # fmt: skip
    dialogues = [
        {"id": name, "utterances": [
            {"id": one.utterance, "speaker": one.speaker, "text": said[name, one.position], "label": one.label}
            for one in turns
        ] + ([{"id": 2, "speaker": "Ann", "text": "What?"}] if name == "b" else [])}
        for name, turns in lines.items()
    ]  # fmt: skip
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, dialogues)))
    output = tmp_path / "out" / "results.json"
    options = ["--model", "meld-mini", "--output", str(output)]
    assert main(["evaluate", "--data", str(tmp_path), *options]) == 0
    found, before = json.loads(output.read_text()), json.loads((BEFORE / RESULTS).read_text())
    assert found.keys() - {"model_license"} == before.keys()
    for name in ("weighted_f1", "macro_f1", "accuracy"):
        assert found[name] == pytest.approx(before[name], abs=1e-6)
    assert found["calibration"]["nll"] == pytest.approx(before["calibration"]["nll"], abs=1e-4)
