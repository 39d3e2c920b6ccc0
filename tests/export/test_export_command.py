"""`m2fnet export onnx`, and that the other commands run what it wrote."""

import argparse
from pathlib import Path

import pytest
import tiny
import torch
from test_cli import MELD_HEADER, MELD_ROWS

from m2fnet_hf import M2FNetForEmotionClassification
from m2fnet_hf.commands import export
from m2fnet_hf.hub.load import load_pipeline

pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def run(*arguments: object) -> None:
    parser = argparse.ArgumentParser()
    export.add(parser.add_subparsers())
    options = parser.parse_args(["export", *map(str, arguments)])
    options.command(options)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A model that reads text."""
    torch.manual_seed(0)
    config = tiny.config(audio=None, visual=False, num_hidden_layers=1)
    M2FNetForEmotionClassification(config).save_pretrained(tmp_path / "model")
    tiny.processor(context="past").save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_it_prints_what_int8_saves_and_costs(
    capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "dev_sent_emo.csv").write_text("\n".join([MELD_HEADER, *MELD_ROWS]))
    output = tmp_path / "exported" / "onnx"
    run("onnx", "--model", checkpoint, "--output", output, "--int8", "--meld", tmp_path)
    shown = capsys.readouterr().out
    for words in (
        "largest difference to torch's logits",
        "text_encoder.onnx: 0.3 MB in single precision",
        "time: ",
        "MELD dev, single precision: weighted F1",
        "MELD dev, 8 bits: weighted F1",
        f"Written to {output}: fusion.onnx, text_encoder.onnx",
    ):
        assert words in shown
    assert [path.name for path in output.parent.iterdir()] == ["onnx"]
    dialogue = tiny.dialogue(3)
    for answer, expected in zip(
        load_pipeline(str(output))(dialogue), load_pipeline(str(checkpoint))(dialogue), strict=True
    ):
        assert answer["scores"] == pytest.approx(expected["scores"], abs=0.1)


def test_meld_without_int8_is_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run("onnx", "--output", tmp_path / "onnx", "--meld", tmp_path)
    assert "--meld measures what --int8 costs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
