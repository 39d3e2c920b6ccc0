"""Settings that are broken in any way: of a run, a model, a processor. They are refused in one sentence, or legal."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken_files import ANYTHING, broken, few, within_bounds
from hypothesis import given, settings
from hypothesis import strategies as st

from m2fnet_hf import M2FNetConfig, M2FNetProcessor
from m2fnet_hf.saved_config import SavedConfig

pytest.importorskip("omegaconf", reason="the extra `train` is not installed")

from m2fnet_hf.training.ablation import load_grid
from m2fnet_hf.training.search import load_space
from m2fnet_hf.training.settings import RunConfig

YAML = {
    RunConfig.load: b"model: {hidden_size: 16, labels: [joy, 1, no], fusion: gated}\nencoders:\n  text: a/b\n"
    b"processor:\n  context: both\ntraining: {num_train_epochs: 4, bf16: true, learning_rate: 1e-4}\n",
    load_grid: b"modalities:\n- modalities: [text]\n- {modalities: [text, audio]}\nfusion:\n- model.fusion: gated\n",
    load_space: b"training.learning_rate: {low: 1e-5, high: 1e-3, log: true}\nmodel.fusion: {choices: [gated, x]}\n",
}


@pytest.mark.parametrize("load", YAML)
def test_yaml(tmp_path: Path, load: Callable[[Path], Any]) -> None:
    path = tmp_path / "a.yaml"

    @settings(few, max_examples=30)
    @given(broken(YAML[load]) | ANYTHING.map(lambda value: json.dumps({"model": value}).encode()))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        with within_bounds():
            load(path)

    check()


@pytest.mark.parametrize(
    ("load", "file"),
    [
        (M2FNetConfig.from_pretrained, "config.json"),
        (SavedConfig, "config.json"),
        (M2FNetProcessor.from_pretrained, "processor_config.json"),
    ],
)
def test_files_of_a_model(tiny_checkpoint: Path, tmp_path: Path, load: Callable[[Path], Any], file: str) -> None:
    folder = tmp_path / "a.model"
    shutil.copytree(tiny_checkpoint, folder)
    whole = (folder / file).read_bytes()
    values = json.loads(whole)

    def with_field(field: tuple[str, Any]) -> bytes:
        return json.dumps(values | dict([field])).encode()

    @few
    @given(broken(whole) | st.tuples(st.sampled_from(sorted(values)), ANYTHING).map(with_field))
    def check(content: bytes) -> None:
        (folder / file).write_bytes(content)
        with within_bounds(ValueError, OSError):
            load(folder)

    check()
