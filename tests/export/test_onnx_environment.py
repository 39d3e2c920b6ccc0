"""The environment of `requirements-onnx.txt`: small, without torch, and enough for an exported model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch

from m2fnet_hf import M2FNetForEmotionClassification

pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

ROOT = Path(__file__).parents[2]
LARGEST = 500e6  # bytes, the embedded models among them; torch alone takes more


@pytest.mark.slow
def test_an_exported_model_runs_in_it(tmp_path: Path) -> None:
    from m2fnet_hf.export.onnx import export_onnx

    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, "-r", ROOT / "requirements-onnx.txt"], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"the packages cannot be had: {installed.stderr.strip().splitlines()[-1]}")
    package = subprocess.run([*pip, "--no-deps", ROOT], capture_output=True, text=True)
    assert package.returncode == 0, package.stderr

    (folder,) = environment.glob("lib/python*/site-packages")
    assert not [path for path in folder.iterdir() if path.name.startswith(("torch", "transformers"))]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < LARGEST, f"{size / 1e6:.0f} MB"

    torch.manual_seed(0)
    model = M2FNetForEmotionClassification(tiny.config(audio=None, visual=False, num_hidden_layers=1)).eval()
    export_onnx(model, tiny.processor(), tmp_path / "exported")
    (tmp_path / "talk.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nAnn: go home now\n")
    command = ["predict", tmp_path / "talk.srt", "--model", tmp_path / "exported", "--output", tmp_path / "out"]
    ran = subprocess.run([environment / "bin" / "m2fnet", *command], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    (answer,) = json.loads((tmp_path / "out" / "talk.json").read_text())["utterances"]
    assert answer["modalities"] == ["text"]
