"""Commands that are ended at any moment leave nothing half, and the next run ends with an undisturbed one's bytes."""

import importlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import tiny
from hub_server import TOKEN, running_hub
from huggingface_hub import constants

from m2fnet_hf import M2FNetForEmotionClassification
from m2fnet_hf.cli import main

pytest.importorskip("omegaconf", reason="the extra `train` is not installed")
pytest.importorskip("matplotlib", reason="the extra `reports` is not installed")

SRT = "1\n00:00:01,000 --> 00:00:02,500\nANN: You came!\n\n2\n00:00:03,000 --> 00:00:04,000\nBEN: Never again.\n"
RUN = """
model:
  text_config: {model_type: bert, vocab_size: 400, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2,
    intermediate_size: 24}
  labels: [joy, anger]
  hidden_size: 16
  num_hidden_layers: 1
  num_attention_heads: 2
  intermediate_size: 24
training: {num_train_epochs: 4, disable_tqdm: true, eval_strategy: epoch, save_strategy: epoch,
  metric_for_best_model: weighted_f1, load_best_model_at_end: true, save_total_limit: 1}
"""
# The model reads features alone, so that there is one graph to write.
EXPORTED = {
    "text": None,
    "audio": None,
    "visual": False,
    "audio_feature_size": 8,
    "num_hidden_layers": 1,
    "num_fusion_layers": 1,
}
MODULES = (
    "m2fnet_hf.features.extract",
    "m2fnet_hf.hub.push",
    "m2fnet_hf.pipeline_m2fnet",
    "m2fnet_hf.reports.overlay",
    "m2fnet_hf.reports.writers",
    "m2fnet_hf.training.trainer",
    "rich.progress",
    "transformers.models.bart.modeling_bart",
    "transformers.models.bert.modeling_bert",
    "transformers.models.wav2vec2.modeling_wav2vec2",
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def start(words: Sequence[object], errors: Path, room: int = resource.RLIM_INFINITY) -> multiprocessing.Process:
    """A command in a process of its own; forked, because starting anew takes seconds.

    Args:
        words: of the command line.
        errors: file for what it says.
        room: bytes that a file may have.
    """

    def command() -> None:
        for number in SIGNALS[1:]:  # that come before it has begun
            signal.signal(number, lambda number, _: os._exit(128 + number))
        sys.stdout = sys.stderr = errors.open("w", buffering=1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        os._exit(main([str(word) for word in words]))

    process = multiprocessing.get_context("fork").Process(target=command)
    process.start()
    return process


def ended(words: Sequence[object], errors: Path) -> float:
    """The seconds that a command takes."""
    begun = time.monotonic()
    process = start(words, errors)
    process.join()
    assert process.exitcode == 0, errors.read_text()
    return time.monotonic() - begun


def content(folder: Path) -> dict[str, bytes]:
    """All files by name. Those of checkpoints hold the time that steps took, and are for the run alone."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): b"" if "checkpoint-" in str(path) else path.read_bytes() for path in paths
    }


def check_killed(command: Callable[[Path], Sequence[object]], folder: Path, kills: int, seed: int) -> None:
    """Run a command undisturbed, then again with kills, and compare what it wrote.

    Args:
        command: its words, for an output.
        folder: of this test.
        kills: at random moments, each of a run that goes on.
        seed: of the moments.
    """
    moments, errors, killed = random.Random(seed), folder / "errors.txt", folder / "killed"
    took = ended(command(folder / "whole" / "out"), errors)
    whole = content(folder / "whole")
    while kills:
        begun = time.monotonic()
        process = start(command(killed / "out"), errors)
        process.join(took * moments.random())
        number = SIGNALS[kills % len(SIGNALS)]
        if process.is_alive():
            os.kill(process.pid, number)
        process.join()
        if process.exitcode == 0:  # it was faster
            took = min(took, time.monotonic() - begun)
            assert content(killed) == whole
            shutil.rmtree(killed)
            continue
        kills -= 1
        assert process.exitcode == (-number if number == signal.SIGKILL else 128 + number), errors.read_text()
        said = errors.read_text()
        assert "Traceback" not in said
        assert not said or said.endswith("m2fnet: interrupted.\n") or number == signal.SIGKILL, said
        # An index is of what is there, and a checkpoint is whole when its last file is.
        unfinished = (".part", ".sqlite", "checkpoint-")
        for name, value in content(killed).items():
            assert value == whole.get(name) or any(word in name for word in unfinished), name
    ended(command(killed / "out"), errors)
    assert content(killed) == whole


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """What the commands import, once for all of the processes that are forked."""
    for module in MODULES:
        importlib.import_module(module)


@pytest.fixture
def models(tmp_path: Path, tiny_checkpoint: Path) -> Path:
    """A folder of a transcript, data, a run and its tokenizer."""
    (tmp_path / "talk.srt").write_text(SRT)
    tiny.tokenizer().save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "run.yaml").write_text(f"{RUN}processor: {{tokenizer: {tmp_path / 'tokenizer'}}}\n")
    (tmp_path / "data").mkdir()
    for split, count in (("train", 40), ("dev", 6)):
        said = [{"text": "yes", "speaker": "Ann", "label": label} for label in ("joy", "anger", "joy")]
        rows = [{"id": number, "utterances": said} for number in range(count)]
        (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


@pytest.mark.slow
def test_predict(models: Path, tiny_checkpoint: Path, recording: Path) -> None:
    def command(output: Path) -> list[object]:
        words = ["predict", recording, "--transcript", models / "talk.srt", "--model", tiny_checkpoint]
        words += ["--faces", "none", "--report", "all", "--annotate"]
        return [*words, "--cache", output.parent / "cache", "--output", output]

    check_killed(command, models, 5, seed=1)


@pytest.mark.slow
def test_annotate(models: Path, tiny_checkpoint: Path, recording: Path) -> None:
    words = ["predict", recording, "--transcript", models / "talk.srt", "--model", tiny_checkpoint]
    ended([*words, "--faces", "none", "--no-cache", "--output", models / "results"], models / "errors.txt")
    (result,) = (models / "results").glob("*.json")
    check_killed(lambda output: ["annotate", result, "--output", output.with_suffix(".mp4")], models, 3, seed=2)


@pytest.mark.slow
def test_extract_and_train(models: Path) -> None:
    for folder in ("extract", "train"):
        (models / folder).mkdir()
    run = models / "run.yaml"
    data = ["--data", models / "data"]
    check_killed(lambda output: ["extract", run, *data, "--output", output], models / "extract", 4, seed=3)
    check_killed(lambda output: ["train", run, *data, "--output", output], models / "train", 4, seed=4)


@pytest.mark.slow
def test_export(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    importlib.import_module("m2fnet_hf.export.onnx")
    model = tmp_path / "model"
    M2FNetForEmotionClassification(tiny.config(**EXPORTED)).save_pretrained(model)
    tiny.processor().save_pretrained(model)
    check_killed(lambda output: ["export", "onnx", "--model", model, "--output", output], tmp_path, 2, seed=5)


@pytest.mark.slow
def test_push(models: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (models / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(models / "tmp"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    errors = models / "errors.txt"
    with running_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        address = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        took = ended(["push", tiny_checkpoint, "one/tiny"], errors)
        moments, kills = random.Random(6), 2
        while kills:
            process = start(["push", tiny_checkpoint, "two/tiny"], errors)
            process.join(took * moments.random())
            process.kill()
            process.join()
            kills -= process.exitcode != 0
        ended(["push", tiny_checkpoint, "two/tiny"], errors)
        pushed = [hub.repositories[f"{name}/tiny"].files() for name in ("one", "two")]
    whole, killed = ({name: file.content for name, file in files.items()} for files in pushed)
    assert {name: value.replace(b"two/tiny", b"one/tiny") for name, value in killed.items()} == whole
    assert list((models / "tmp").iterdir()) == []


@pytest.mark.slow
def test_a_full_disk_is_one_sentence(models: Path, tiny_checkpoint: Path, recording: Path) -> None:
    errors, output = models / "errors.txt", models / "output"
    words = ["predict", recording, "--transcript", models / "talk.srt", "--model", tiny_checkpoint]
    words += ["--faces", "none", "--no-cache", "--report", "all", "--annotate"]
    ended([*words, "--output", models / "results"], errors)
    data = [models / "run.yaml", "--data", models / "data"]
    commands: dict[int, list[object]] = {
        4_000: [*words, "--output", output],
        3_000: ["annotate", models / "results" / f"{recording.stem}.json", "--output", output],
        10_000: ["extract", *data, "--output", output],
        20_000: ["train", *data, "--output", output],
        20_001: ["push", tiny_checkpoint, "org/tiny", "--output", output],
    }
    for room, command in commands.items():
        process = start(command, errors, room)
        process.join()
        assert process.exitcode == 1, command
        assert errors.read_text().splitlines()[-1].startswith("m2fnet: "), command
        assert "make room and run again." in errors.read_text(), command
        assert "Traceback" not in errors.read_text(), command
        assert not list(models.rglob("*.part")), command
        shutil.rmtree(output, ignore_errors=True)
