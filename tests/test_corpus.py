"""A small corpus in MELD's layout all the way: features, training, evaluation, ablation, by the commands."""

import json
import shutil
from pathlib import Path

import pytest
import tiny
import torch
from safetensors import safe_open
from transformers import AutoModel

from m2fnet_hf.cli import main

RUN = """
encoders: {{text: {text}, audio: {audio}}}
model:
  visual_config: {{visual_features: appearance, num_appearance_features: 8, hidden_size: 8}}
  hidden_size: 16
  num_hidden_layers: 1
  num_fusion_layers: 1
  num_attention_heads: 2
  intermediate_size: 24
processor: {{context: past}}
training: {{num_train_epochs: 2, per_device_train_batch_size: 4, learning_rate: 3.0e-3, use_cpu: true,
  disable_tqdm: true, eval_strategy: epoch, save_strategy: epoch, load_best_model_at_end: true,
  metric_for_best_model: weighted_f1}}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("skimage", "cv2"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    from make_corpus import make_corpus

    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, {"train": 6, "dev": 2, "test": 2}, seed=0)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    for name, config in (("text", tiny.text_config("bert")), ("audio", tiny.audio_config())):
        AutoModel.from_config(config).save_pretrained(folder / name)
    tiny.tokenizer().save_pretrained(folder / "text")
    path = folder / "tiny.yaml"
    path.write_text(RUN.format(text=folder / "text", audio=folder / "audio"))
    return path


def ran(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.mark.slow
def test_from_clips_to_an_ablation(corpus: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features, trained = tmp_path / "features", tmp_path / "trained"
    ran("extract", run, "--meld", corpus, "--output", features)
    said = capsys.readouterr()
    assert "train:" in said.out
    assert "no such clip" not in said.out
    (shard, *_) = sorted((features / "test").glob("*.safetensors"))
    with safe_open(shard, "np") as arrays:
        assert {name.rpartition("/")[2] for name in arrays.keys()} >= {"audio_features", "appearance"}  # noqa: SIM118

    ran("train", run, "--features", features, "--output", trained)
    assert (trained / "appearance_pca.safetensors").is_file(), "the model can look at recordings"
    results, predictions = tmp_path / "results.json", tmp_path / "predictions.jsonl"
    measured = ("evaluate", "--model", trained, "--output", results)
    ran(*measured, "--features", features, "--predictions", predictions)
    by_features = json.loads(results.read_text())
    ran(*measured, "--meld", corpus)
    by_clips = json.loads(results.read_text())
    assert by_clips["modalities"] == by_features["modalities"]
    assert by_clips["confusion"] == by_features["confusion"]
    assert len(predictions.read_text().splitlines()) == sum(by_clips["support"].values())

    words = ["train", run, "model.freeze_text_encoder=false", "--features", features, "--output", tmp_path / "no"]
    assert main([str(word) for word in words]) == 1
    assert "train on the data itself" in capsys.readouterr().err

    ran("calibrate", "--features", features, "--model", trained)
    assert "softmax_temperature" in json.loads((trained / "config.json").read_text())

    grid = tmp_path / "grid.yaml"
    grid.write_text("modalities:\n  - {modalities: [text]}\n  - {modalities: [text, audio, visual]}\n")
    ran(
        "ablate",
        run,
        "training.num_train_epochs=1",
        "--features",
        features,
        "--grid",
        grid,
        "--seeds",
        1,
        "--output",
        tmp_path / "ablation",
    )
    rows = json.loads((tmp_path / "ablation" / "ablation.json").read_text())["tables"]["modalities"]
    assert [row["overrides"]["modalities"] for row in rows] == [["text"], ["text", "audio", "visual"]]
    assert rows[0]["difference"]["test"]["weighted_f1"]["mean"] == 0


@pytest.mark.slow
def test_end_to_end_on_the_clips(corpus: Path, run: Path, tmp_path: Path) -> None:
    words = ["model.visual_config=null", "model.freeze_audio_encoder=false", "training.num_train_epochs=1"]
    ran("train", run, *words, "training.gradient_checkpointing=true", "--meld", corpus, "--output", tmp_path)
    ran("evaluate", "--meld", corpus, "--model", tmp_path, "--split", "dev", "--output", tmp_path / "dev.json")
    assert json.loads((tmp_path / "dev.json").read_text())["modalities"]["audio"] > 0


def test_wrong_data_is_one_sentence(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.jsonl").write_text('{"id": 1, "utterances": [{"text": "Hi.", "label": "bliss"}]}\n')
    for words, message in (
        (["--meld", tmp_path / "nowhere"], "train_sent_emo.csv"),
        (["--iemocap", tmp_path / "nowhere"], "Session1"),
        (["--data", tmp_path], "must have a split dev"),
        (["--features", tmp_path / "nowhere"], "nowhere"),
        (["--data", tmp_path, "--target", "sentiment"], "--target chooses"),
    ):
        assert main([str(word) for word in ("train", run, *words, "--output", tmp_path / "out")]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1, error
    (tmp_path / "dev.jsonl").write_text('{"id": 2, "utterances": [{"text": "Hi.", "label": "joy"}]}\n')
    assert main(["train", str(run), "--data", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "found 'bliss'" in capsys.readouterr().err
