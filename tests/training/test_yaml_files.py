"""Runs, grids and spaces from YAML: nothing is looked up in them, and what is wrong is named with file and key."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from conftest import ROOT

from m2fnet_hf.cli import main
from m2fnet_hf.training.ablation import load_grid
from m2fnet_hf.training.contrastive.settings import ExtractorConfig
from m2fnet_hf.training.search import load_space
from m2fnet_hf.training.settings import RunConfig
from m2fnet_hf.training.trainer import build_model, build_processor

REFERENCES = (
    "${oc.env:SECRET}",
    "${oc.env:SECRET,none}",
    "x-${oc.env:SECRET}-y",
    "${oc.decode:${oc.env:SECRET}}",
    "${model.hidden_size}",
    "${.hidden_size}",
    "${oc.create:[1]}",
    "${env:SECRET}",
    "${",
    "$${oc.env:SECRET}",
    "\\${oc.env:SECRET}",
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECRET", "hunter2")
    return tmp_path / "run.yaml"


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("load", [RunConfig.load, ExtractorConfig.load, load_grid, load_space])
def test_references_are_off(run: Path, reference: str, load: Any) -> None:
    for content in ({"processor": {"tokenizer": reference}}, {"media": {"a": [reference]}}, {reference: 1}):
        run.write_text(json.dumps(content))  # which is YAML, too
        with pytest.raises(ValueError, match=r"run\.yaml") as caught:
            load(run)
        assert "hunter2" not in str(caught.value)


def test_overrides_refer_to_nothing(run: Path) -> None:
    run.write_text("model: {hidden_size: 8}")
    with pytest.raises(ValueError, match=r"run\.yaml: `processor\.tokenizer` must be a plain value"):
        RunConfig.load(run, ["processor.tokenizer=${oc.env:SECRET}"])


def test_secrets_do_not_belong_into_a_run(run: Path, tmp_path: Path) -> None:
    run.write_text("training: {hub_token: hf_abc}")
    made = RunConfig(training={"hub_token": "x"})
    for load in (lambda: RunConfig.load(run), lambda: made.training_arguments(tmp_path)):
        with pytest.raises(ValueError, match=r"`training\.hub_token` must not be in a run"):
            load()


BAD = {
    "model: 3": "`model` must be a mapping of settings, found 3",
    "training: []": "`training` must be a mapping",
    "encoders: bert": "`encoders` must be a mapping",
    "model: {hiden_size: 3}": "`model` has no setting `hiden_size`; did you mean `hidden_size`",
    "model: {1: 3}": "`model` has no setting `1`",
    "model: {hidden_size: wide}": "`model.hidden_size` must be a whole number, found 'wide'",
    "model: {hidden_size: 8.0}": "`model.hidden_size` must be a whole number, found 8.0",
    "model: {hidden_size: true}": "`model.hidden_size` must be a whole number, found True",
    "model: {fusion: sum}": "`model.fusion` must be one of attention, gated, concat, found 'sum'",
    "model: {text_config: bert}": "`model.text_config` must be a mapping or None, found 'bert'",
    "model: {labels: calm}": "`model.labels` must be a list",
    "model: {causal: 'no'}": "`model.causal` must be true or false",
    "processor: {contxt: past}": "`processor` has no setting `contxt`; did you mean `context`",
    "processor: {max_length: long}": "`processor.max_length` must be a whole number",
    "processor: {past_utterances: 1.5}": "`processor.past_utterances` must be a whole number or None",
    "training: {learning_rate: fast}": "`training.learning_rate` must be a number",
    "training: {learning_rat: 1}": "`training` has no argument|`training` has no setting `learning_rat`",
    "training: {seed: '0'}": "`training.seed` must be a whole number",
    "training: {seed: -1}": r"`training\.seed` must be a number from 0 to",
    "training: {learning_rate: .nan}": r"`training\.learning_rate` must be a number from 0 to 1000, found nan",
    "training: {num_train_epochs: 0}": r"`training\.num_train_epochs` must be a number from 0\.01 to",
    "training: {per_device_train_batch_size: 0}": r"batch_size` must be a number from 1 to",
    "training: {num_train_epochs: null}": "`training.num_train_epochs` must be a number",
    "training: {teachers: a}": "`training.teachers` must be a list",
    "media: {frame_rate: many}": "`media.frame_rate` must be a number",
    "media: {frames: 2}": "`media` has no setting `frames`",
    "encoders: {text: 3}": "`encoders.text` must be a string or None",
    "encoders: {sound: x}": "`encoders` has no setting `sound`",
    "a: &a [1]\nb: *a": "must have sections among",
    "model: !!python/object/apply:os.system [ls]": "must be a YAML file: could not determine a constructor",
    "model: {a: 1, a: 2}": "must be a YAML file: .*duplicate",
    "just text": "must have sections among .*, found just text",
    "- 1": "must hold a mapping, found a list",
    "model: " + "[" * 5000: "must be a YAML file",
    "model: {hidden_size: " + "9" * 5000 + "}": "must be a YAML file",
    "model: {hidden_size: .nan}": "`model.hidden_size` must be a whole number",
    "\x00": "must be a YAML file",
}


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_what_cannot_be_is_named(run: Path, content: str) -> None:
    run.write_text(content)
    with pytest.raises(ValueError, match=BAD[content]) as caught:
        RunConfig.load(run)
    said = str(caught.value)
    assert str(run) in said
    assert "\n" not in said
    assert said.endswith((".", "?"))


@pytest.mark.parametrize("content", [b"model: {a: \xff}", "model: {a: b}".encode("utf-16"), b"\x80\x04\x95pickle"])
def test_what_is_no_text_is_named(run: Path, content: bytes) -> None:
    run.write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.yaml.* must be a YAML file|has no setting"):
        RunConfig.load(run)


def test_aliases_do_not_fill_the_memory(run: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    for content in ("\n".join(lines), "model: &a [*a]"):
        run.write_text(content)
        with pytest.raises(ValueError, match="of at most 100000 values"):
            RunConfig.load(run)


def test_a_command_says_it_in_one_line(run: Path, capsys: pytest.CaptureFixture) -> None:
    run.write_text("training: {output_dir: x, logging_dir: '${oc.env:SECRET}'}")
    assert main(["train", str(run), "--data", str(run.parent), "--output", str(run.parent / "out")]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "hunter2" not in said


@pytest.mark.parametrize("preset", sorted((ROOT / "m2fnet_hf" / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_right(preset: Path) -> None:
    load: Any = {"ablation": load_grid, "search": load_space, "extractor-audio": ExtractorConfig.load}
    assert load.get(preset.stem, RunConfig.load)(preset)


def test_the_model_of_a_run_takes_an_encoders_config(run: Path) -> None:
    config = tiny.config().to_dict()
    run.write_text(json.dumps({"model": {"text_config": config["text_config"], "labels": ["a", "b"]}}))
    assert RunConfig.load(run).label_names == ["a", "b"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"optim": "x"}, r"`training` must hold what transformers takes, found: x is not a valid OptimizerNames.*\.$"),
        ({"eval_strategy": "x"}, "`training` must hold what transformers takes, found: x is not"),
        ({"early_stopping_patience": 2}, r"found no `training\.metric_for_best_model`; name it"),
    ],
)
def test_what_the_library_refuses_is_said_of_the_section(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RunConfig(training=settings).training_arguments(tmp_path)


@pytest.mark.parametrize(
    "run",
    [
        *(RunConfig(processor={"tokenizer": name}) for name in ("", "nobody/nothing", "/etc")),
        *(RunConfig(encoders={kind: "/etc"}) for kind in ("text", "audio", "visual")),
    ],
)
def test_what_cannot_be_loaded_is_named(run: RunConfig) -> None:
    with pytest.raises(ValueError, match=r"must be a folder or a name on the Hub of one .*; check the name and"):
        build_model(run, build_processor(run))
