"""Exported sound encoders that read mel spectrograms."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from m2fnet_hf import Dialogue, M2FNetForEmotionClassification, Utterance

pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from m2fnet_hf.export.onnx import TOLERANCE, export_onnx
from m2fnet_hf.export.runner import OnnxEmotionModel
from m2fnet_hf.export.verify import ragged_inputs

KINDS = [tiny.MEL_ENCODERS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in tiny.MEL_ENCODERS[1:])]


@pytest.mark.parametrize("kind", KINDS)
def test_the_graphs_give_torchs_logits(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    final_norm = kind != "whisper"
    config = tiny.config(
        text=None,
        visual=False,
        audio_config=tiny.mel_config(kind),
        audio_pooling="mean_std",
        num_hidden_layers=1,
        num_fusion_layers=1,
        audio_final_norm=final_norm,
    )
    model, processor = M2FNetForEmotionClassification(config).eval(), tiny.mel_processor(kind)
    assert export_onnx(model, processor, tmp_path / "onnx") <= TOLERANCE
    runner = OnnxEmotionModel(tmp_path / "onnx")
    assert runner.encoders["audio"].session.shapes["input_features"][:2] == ["utterances", "places"]
    for seed, lengths in enumerate([(1,), (2, 5, 1)]):
        inputs = ragged_inputs(model, lengths, seed=seed + 1)
        with torch.no_grad():
            torch.testing.assert_close(runner(**inputs).logits, model(**inputs).logits, atol=TOLERANCE, rtol=0)

    # From 10 ms to what is read in pieces.
    random = np.random.default_rng(0)
    sounds = [random.standard_normal(round(16_000 * seconds)) for seconds in (0.01, 0.5, 1.3, 7.7)]
    dialogue = Dialogue([Utterance(audio=0.1 * sound, sampling_rate=16_000) for sound in sounds])
    inputs = processor(dialogue)
    names = ("input_features", "audio_attention_mask")
    with torch.no_grad():
        expected = model.model.get_audio_features(**{name: inputs[name] for name in names}).pooler_output
        found = runner.get_audio_features(**{name: inputs[name] for name in names}).pooler_output
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)
