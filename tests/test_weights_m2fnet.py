"""Weights that are not the model's, by every way of loading: one sentence that names the file and the weight."""

import ast
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from conftest import ROOT
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForTokenClassification, BertModel, pipeline

from m2fnet_hf import M2FNetConfig, M2FNetForEmotionClassification, M2FNetModel
from m2fnet_hf.cli import main
from m2fnet_hf.encoders_m2fnet import M2FNetVisualEncoder
from m2fnet_hf.registration import TASK
from m2fnet_hf.weights_m2fnet import WeightsError

FILE = "model.safetensors"
# One of text, one of an encoder inside, one of the fusion.
NAME = "model.fusion_layers.1.merge.weight"
Weights = dict[str, torch.Tensor]


def changed(change: Callable[[Weights], Any]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        weights = {name: tensor.clone() for name, tensor in load_file(path).items()}
        change(weights)
        save_file(weights, path, {"format": "pt"})

    return damage


def rename(weights: Weights) -> None:
    weights["model.fusion_layers.1.joined.weight"] = weights.pop(NAME)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def pickled(path: Path) -> None:
    torch.save(load_file(path), path.with_name("pytorch_model.bin"))
    path.unlink()


def replaced(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (changed(lambda weights: weights.pop(NAME)), rf"{FILE} must hold all .* found \S*merge\.weight missing"),
    "renamed": (changed(rename), r"merge\.weight missing, and \S*joined\.weight that it has no place for"),
    "many missing": (
        changed(lambda weights: [weights.pop(name) for name in list(weights) if "text_encoder" in name]),
        r"found (\S*text_encoder\S*, ){2}\S*text_encoder\S* and \d+ more missing",
    ),
    "misshapen": (
        changed(lambda weights: weights.update({NAME: torch.ones(16, 47)})),
        r"merge\.weight \[16, 47\] for \[16, 48\]",
    ),
    "transposed": (changed(lambda weights: weights.update({NAME: weights[NAME].T.contiguous()})), r"\[48, 16\] for"),
    "NaN": (changed(lambda weights: weights[NAME][3].fill_(torch.nan)), r"NaN or infinite values in \S*merge\.weight"),
    "infinite": (changed(lambda weights: weights[NAME][3].fill_(-torch.inf)), "NaN or infinite values"),
    "NaN in an encoder": (
        changed(lambda weights: weights["model.audio_encoder.encoder.layers.1.attention.k_proj.bias"].fill_(torch.nan)),
        r"NaN or infinite values in \S*k_proj\.bias",
    ),
    "too large for its type": (
        changed(lambda weights: weights.update({NAME: weights[NAME].double().mul(1e300)})),
        "NaN or infinite values",
    ),
    "zeros": (changed(lambda weights: weights[NAME].zero_()), r"nothing but zeros in \S*merge\.weight"),
    "cut off": (cut_off, "found one that is cut off or damaged"),
    "bytes of zero": (lambda path: path.write_bytes(bytes(5000)), "cut off or damaged"),
    "noise": (lambda path: path.write_bytes(b"\x93\x01noise" * 300), "cut off or damaged"),
    "empty": (lambda path: path.write_bytes(b""), "found an empty file"),
    "LFS pointer": (lambda path: path.write_text(LFS), "found a pointer of Git LFS"),
    "web page": (lambda path: path.write_text("<!doctype html>\n<title>Sign in</title>"), "found a web page"),
    "pickle by another name": (lambda path: torch.save({}, path), "found a pickle, which can run code"),
    "absent": (Path.unlink, rf"must hold its weights as {FILE}, found none in"),
    "folder": (replaced(Path.mkdir), "found none in"),
    "pipe": (replaced(os.mkfifo), "found none in"),
    "link to nothing": (replaced(lambda path: path.symlink_to("gone")), "found none in"),
    "pickle": (pickled, rf"as {FILE}, found pytorch_model\.bin in .* which can run code"),
}


def build_pipeline(folder: Path) -> Any:
    return pipeline(TASK, model=str(folder), device="cpu")


MORE_WAYS: dict[str, Callable[[Path], Any]] = {
    "base": M2FNetModel.from_pretrained,
    "AutoModelForTokenClassification": AutoModelForTokenClassification.from_pretrained,
    "AutoModel": AutoModel.from_pretrained,
    "half": lambda folder: M2FNetForEmotionClassification.from_pretrained(folder, dtype=torch.float16),
    "device_map": lambda folder: M2FNetForEmotionClassification.from_pretrained(folder, device_map="cpu"),
}


def refusal(load: Callable[[Path], Any], folder: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    assert said.count(". ") == 0
    assert str(folder) in said
    return said


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint, tmp_path / "model")


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_refused(checkpoint: Path, damage: str) -> None:
    spoil, sentence = DAMAGES[damage]
    spoil(checkpoint / FILE)
    for load in (M2FNetForEmotionClassification.from_pretrained, build_pipeline):
        said = refusal(load, checkpoint)
        assert re.search(sentence, said), said


@pytest.mark.parametrize("damage", ["renamed", "NaN", "misshapen", "cut off", "pickle"])
@pytest.mark.parametrize("way", MORE_WAYS)
def test_by_every_way_of_loading(checkpoint: Path, damage: str, way: str) -> None:
    spoil, sentence = DAMAGES[damage]
    spoil(checkpoint / FILE)
    said = refusal(MORE_WAYS[way], checkpoint)
    assert re.search(sentence.replace("fusion", ".*"), said), said


@pytest.mark.parametrize("damage", ["renamed", "NaN", "cut off", "empty", "pickle", "misshapen"])
def test_a_command_refuses_them_in_one_line(
    checkpoint: Path, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    DAMAGES[damage][0](checkpoint / FILE)
    (tmp_path / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nYou came!\n")
    assert main(["predict", str(tmp_path / "talk.srt"), "--model", str(checkpoint)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert str(checkpoint) in said.err


@pytest.fixture
def sharded(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    model = M2FNetForEmotionClassification.from_pretrained(tiny_checkpoint)
    model.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    return tmp_path / "shards"


def edit_index(folder: Path, edit: Callable[[dict], Any]) -> None:
    path = folder / f"{FILE}.index.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(edit(content) or content))


SHARDS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a shard is not there": (lambda folder: sorted(folder.glob("*-of-*"))[1].unlink(), "00002.* found none"),
    "a shard is cut off": (lambda folder: cut_off(sorted(folder.glob("*-of-*"))[1]), "00002.* cut off or damaged"),
    "a shard lacks a weight": (
        lambda folder: changed(lambda weights: weights.popitem())(sorted(folder.glob("*-of-*"))[1]),
        r"index\.json must hold all weights of the model",
    ),
    "no map": (lambda folder: edit_index(folder, lambda index: {"metadata": {}}), "`weight_map`"),
    "no object": (lambda folder: edit_index(folder, lambda index: [1]), "found a list"),
    "map of numbers": (lambda folder: edit_index(folder, lambda index: {"weight_map": {"a": 3}}), "found none"),
    "a shard elsewhere": (
        lambda folder: edit_index(folder, lambda index: {"weight_map": {"a": f"../{FILE}"}}),
        r"must name files beside it, found \.\./model",
    ),
    "no JSON": (lambda folder: (folder / f"{FILE}.index.json").write_text("{"), "must hold a JSON object"),
}


@pytest.mark.parametrize("damage", SHARDS)
def test_damaged_shards_are_refused(sharded: Path, damage: str) -> None:
    M2FNetForEmotionClassification.from_pretrained(sharded)
    spoil, sentence = SHARDS[damage]
    spoil(sharded)
    said = refusal(M2FNetForEmotionClassification.from_pretrained, sharded)
    assert re.search(sentence, said), said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda config: config["audio_config"].update(conv_kernel=[10**12, 8, 4]), "that a model can be made of"),
        (lambda config: config["text_config"].update(activation_function="x"), "none can be built of it"),
        (lambda config: config.update(config["visual_config"]), "must be an M2FNet model with its weights"),
    ],
)
def test_a_pipeline_says_why_a_model_cannot_be_built(checkpoint: Path, change: Any, sentence: str) -> None:
    """The library's own error shows the stack traces of all that it tried."""
    config = json.loads((checkpoint / "config.json").read_text())
    change(config)
    (checkpoint / "config.json").write_text(json.dumps(config))
    assert sentence in refusal(build_pipeline, checkpoint)


def test_surplus_weights_are_said_in_one_line(checkpoint: Path) -> None:
    changed(lambda weights: weights.update({"model.later.weight": torch.ones(2)}))(checkpoint / FILE)
    with pytest.warns(
        UserWarning, match=r"model\.safetensors holds \S*later\.weight, which the model has no place for"
    ):
        M2FNetForEmotionClassification.from_pretrained(checkpoint)


def test_a_new_head_is_started_where_it_is_asked_for(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"classifier\.output\.weight \[7, 16\] for \[3, 16\].*ignore_mismatched_sizes"
    ):
        M2FNetForEmotionClassification.from_pretrained(checkpoint, num_labels=3)
    model = M2FNetForEmotionClassification.from_pretrained(checkpoint, num_labels=3, ignore_mismatched_sizes=True)
    assert model.classifier.output.weight.shape == (3, 16)
    M2FNetModel.from_pretrained(checkpoint).save_pretrained(tmp_path / "base")
    with pytest.raises(WeightsError, match=r"classifier\.first\.bias, .* and 3 more missing"):
        M2FNetForEmotionClassification.from_pretrained(tmp_path / "base")
    M2FNetForEmotionClassification.from_pretrained(tmp_path / "base", ignore_mismatched_sizes=True)
    changed(lambda weights: weights.popitem())(tmp_path / "base" / FILE)
    with pytest.raises(WeightsError, match="missing"):  # another part than the head
        M2FNetForEmotionClassification.from_pretrained(tmp_path / "base", ignore_mismatched_sizes=True)


def test_a_pickle_is_not_asked_for(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="use_safetensors=False"):
        M2FNetForEmotionClassification.from_pretrained(checkpoint, use_safetensors=False)


@pytest.mark.parametrize("damage", ["missing", "NaN", "cut off", "pickle"])
def test_damaged_encoders_are_refused(tmp_path: Path, damage: str) -> None:
    BertModel(tiny.text_config("bert")).save_pretrained(tmp_path / "bert")
    load = lambda folder: M2FNetForEmotionClassification.from_encoders(text=str(folder))  # noqa: E731
    load(tmp_path / "bert")
    name = "encoder.layer.1.output.dense.weight"
    spoil = {
        "missing": changed(lambda weights: weights.pop(name)),
        "NaN": changed(lambda weights: weights[name][0].fill_(torch.nan)),
    }.get(damage, DAMAGES[damage][0])
    spoil(tmp_path / "bert" / FILE)
    refusal(load, tmp_path / "bert")


def test_an_encoders_unused_parts_may_be_missing(tmp_path: Path) -> None:
    """A sound encoder of a published model often lacks what training alone reads, and a decoder is not used."""
    M2FNetForEmotionClassification.from_encoders(text=str(_bart(tmp_path)))
    changed(lambda weights: weights.pop("decoder.layers.0.fc1.weight"))(tmp_path / "bart" / FILE)
    M2FNetForEmotionClassification.from_encoders(text=str(tmp_path / "bart"))
    changed(lambda weights: weights.pop("encoder.layers.0.fc1.weight"))(tmp_path / "bart" / FILE)
    with pytest.raises(WeightsError, match=r"encoder\.layers\.0\.fc1\.weight missing"):
        M2FNetForEmotionClassification.from_encoders(text=str(tmp_path / "bart"))


def _bart(folder: Path) -> Path:
    AutoModel.from_config(tiny.text_config("bart")).save_pretrained(folder / "bart")
    return folder / "bart"


def test_a_damaged_visual_encoder_is_refused(tmp_path: Path) -> None:
    config: Any = M2FNetConfig(visual_config={"hidden_size": 8}).visual_config
    M2FNetVisualEncoder(config).save_pretrained(tmp_path)
    changed(lambda weights: weights.pop("score.weight"))(tmp_path / FILE)
    for load in (M2FNetVisualEncoder.from_pretrained, AutoModel.from_pretrained):
        assert "score.weight missing" in refusal(load, tmp_path)


def test_nothing_unpickles() -> None:
    """No `torch.load`, `pickle`, or `np.load` with pickles, in the whole source."""
    unpicklers = {"torch.load", "torch.hub.load", "pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    found = []
    for folder in ("m2fnet_hf", "research", "examples", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
                if isinstance(node, ast.Call):
                    names.append(ast.unparse(node.func))
                    allowed = [word.value for word in node.keywords if word.arg == "allow_pickle"]
                    if any(not (isinstance(value, ast.Constant) and value.value is False) for value in allowed):
                        names.append("pickle")
                found += [
                    f"{path}:{node.lineno}" for name in names if name.split(".")[0] in unpicklers or name in unpicklers
                ]
    assert found == []
