"""`--acted`: acted speech with sound and Action Units beside it, through extraction, training and evaluation."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest
import tiny

from m2fnet_hf.cli import main
from m2fnet_hf.names_m2fnet import PYFEAT_ACTION_UNITS

pytest.importorskip("omegaconf", reason="the extra `train` is not installed")
BOX = "FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,FaceScore,frame,approx_time"
RATE = 16_000
RUN = """
model:
  text_config: {model_type: bert, vocab_size: 400, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2,
    intermediate_size: 24}
  audio_config: {model_type: wav2vec2, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2,
    intermediate_size: 24, conv_dim: [16, 16, 16], conv_stride: [5, 4, 4], conv_kernel: [10, 8, 4],
    num_conv_pos_embeddings: 8, num_conv_pos_embedding_groups: 2}
  visual_config: {hidden_size: 8}
  hidden_size: 16
  num_hidden_layers: 1
  num_fusion_layers: 1
  num_attention_heads: 2
  intermediate_size: 24
training: {num_train_epochs: 1, disable_tqdm: true, save_strategy: no}
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """RAVDESS's names: two clips of each of four actors, half a second of a tone, with py-feat's Action Units."""
    root = tmp_path / "ravdess"
    for actor in range(1, 5):
        folder = root / f"Actor_{actor:02d}"
        folder.mkdir(parents=True)
        for emotion in (3, 5):
            path = folder / f"03-01-{emotion:02d}-01-01-01-{actor:02d}.wav"
            tone = np.sin(np.arange(RATE // 2) * (0.1 + 0.01 * actor + 0.03 * emotion))
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes((9000 * tone).astype("<i2").tobytes())
            units = ",".join(["0.5"] * len(PYFEAT_ACTION_UNITS))
            rows = [f"10,10,50,50,0.9,{frame},00:{frame // 10:02d},{units}" for frame in range(20)]
            path.with_suffix(".csv").write_text("\n".join([f"{BOX},{','.join(PYFEAT_ACTION_UNITS)}", *rows]))
    return root


def run(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def test_extract_train_and_evaluate(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.tokenizer().save_pretrained(tmp_path / "tokenizer")
    config = tmp_path / "run.yaml"
    config.write_text(f"{RUN}processor: {{tokenizer: {tmp_path / 'tokenizer'}}}\n")
    run("extract", config, "--acted", corpus, "--output", tmp_path / "features")
    counts = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)
    for split, utterances in (("train", 4), ("dev", 2), ("test", 2)):
        assert f"{utterances} utterances, {utterances} text, {utterances} audio, {utterances} visual" in counts[split]
    run("train", config, "--features", tmp_path / "features", "--output", tmp_path / "on-features")
    run("train", config, "--acted", corpus, "--output", tmp_path / "model")
    results, predictions = tmp_path / "results.json", tmp_path / "predictions.jsonl"
    run("evaluate", "--acted", corpus, "--model", tmp_path / "model", "--output", results, "--predictions", predictions)
    measured = json.loads(results.read_text())
    assert measured["dataset"] == "ravdess"
    assert measured["modalities"] == {"text": 2, "audio": 2, "visual": 2}
    assert measured["support"]["joy"] == measured["support"]["anger"] == 1
    (speaker,) = {json.loads(line)["speaker"] for line in predictions.read_text().splitlines()}
    assert speaker.startswith("ravdess-")
    for arguments, utterances, faces in (
        (["--split", "all"], 8, 8),
        (["--faces", "none"], 2, 0),
        (["--report-split", 1], 2, 2),
    ):
        run("evaluate", "--acted", corpus, "--model", tmp_path / "model", "--output", results, *arguments)
        counted = json.loads(results.read_text())["modalities"]
        assert (counted["audio"], counted["visual"]) == (utterances, faces)
