"""What would be uploaded of a run, and the card that is rendered from it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from hub_server import metadata_errors
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from m2fnet_hf import M2FNetForEmotionClassification
from m2fnet_hf.context_m2fnet import CONTEXTS
from m2fnet_hf.hub.card import MARKER
from m2fnet_hf.hub.card_fields import describe_model
from m2fnet_hf.hub.push import prepare_run
from m2fnet_hf.hub.run_files import weights_sha256
from m2fnet_hf.registration import CHECKPOINTS

MELD_MINI = CHECKPOINTS / "meld-mini"

LABELS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
RESULTS: dict[str, Any] = {
    "model": "run",
    "dataset": "MELD",
    "split": "test",
    "weighted_f1": 0.123456,
    "accuracy": 0.234567,
    "macro_f1": 0.345678,
    "per_class": {name: {"f1": 0.01 * number} for number, name in enumerate(LABELS)},
    "support": dict.fromkeys(LABELS, 11),
    "modalities": {"text": 77, "audio": 77, "visual": 0},
}
SETTINGS = {
    "encoders": {"text": "facebook/bart-large", "audio": "/home/somebody/wav2vec2"},
    "processor": {"context": "past", "appearance": "./features"},
    "training": {"num_train_epochs": 3, "seed": 7, "teachers": ["~/teacher", "org/teacher"]},
    "media": {"cache": "C:\\cache"},
}


@pytest.fixture
def run(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """What a training leaves behind."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_checkpoint, folder)
    write(folder / "run.json", SETTINGS)
    write(folder / "results.json", RESULTS)
    write(folder / "dev_results.json", {"eval_weighted_f1": 0.5, "eval_accuracy": 0.6, "eval_macro_f1": 0.7})
    (folder / "training_args.bin").write_bytes(b"a pickle")
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "optimizer.pt").write_bytes(b"a pickle")
    return folder


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def prepared(run: Path, **options: Any) -> Path:
    folder = run.parent / "prepared"
    shutil.rmtree(folder, ignore_errors=True)
    prepare_run(run, folder, "org/m2fnet-meld", **options)
    return folder


def test_nothing_of_the_machine_is_published(run: Path) -> None:
    folder = prepared(run)
    names = {path.name for path in folder.iterdir() if path.suffix != ".py"}
    assert names == {
        "README.md",
        "config.json",
        "dev_results.json",
        "model.safetensors",
        "processor_config.json",
        "results.json",
        "run.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    settings = json.loads((folder / "run.json").read_text())
    assert settings.pop("weights") == weights_sha256(run)
    assert settings == {
        "encoders": {"text": "facebook/bart-large"},
        "processor": {"context": "past"},
        "training": {"num_train_epochs": 3, "seed": 7, "teachers": ["org/teacher"]},
        "media": {},
    }
    assert json.loads((folder / "results.json").read_text())["model"] == "m2fnet-meld"


def test_no_secret_is_published(run: Path) -> None:
    secrets = {"hub_token": "abc", "password": "def", "where": "https://ann:ghi@host/x", "key": "hf_" + "jkl" * 8}
    write(run / "run.json", {**SETTINGS, "training": {"seed": 7, **secrets}, "processor": {"pad_token": "<pad>"}})
    settings = json.loads((prepared(run) / "run.json").read_text())
    assert (settings["training"], settings["processor"]) == ({"seed": 7}, {"pad_token": "<pad>"})


@pytest.mark.parametrize("name", ["model-secret.safetensors", "LICENSE", "tokenizer.json"])
def test_no_link_out_of_the_run_is_followed(run: Path, name: str) -> None:
    (run.parent / "secret").write_text("secret")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(run.parent / "secret")
    with pytest.raises(ValueError, match=f"{name} must lie in the run, found a link to .*secret; copy or remove it"):
        prepared(run)
    (run / name).unlink()
    (run.parent / "link").symlink_to(run)
    if name != "tokenizer.json":
        assert "model.safetensors" in {path.name for path in prepared(run.parent / "link").iterdir()}


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        (
            "run.json",
            lambda path: path.write_text('{"training": [1]}'),
            r"run\.json must have a mapping as",
        ),
        ("README.md", lambda path: path.write_bytes(b"---\n{}\n---\n\xff"), r"README\.md must be a card in UTF-8"),
        ("README.md", lambda path: path.write_text("---\na: [\n---\n"), r"README\.md must be a card in UTF-8"),
        ("README.md", lambda path: path.write_text("---\n3\n---\n"), r"README\.md must be a card in UTF-8"),
        ("more", os.mkfifo, "more must be a file, found"),
        ("more", lambda path: path.symlink_to("more"), "more must be a file, found a link that leads nowhere"),
    ],
)
def test_what_cannot_be_published_is_named(run: Path, tmp_path: Path, name: str, make: Any, said: str) -> None:
    (run / name).unlink(missing_ok=True)
    make(run / name)
    with pytest.raises(ValueError, match=said) as caught:
        prepare_run(run, tmp_path / "out", "org/name")
    assert "\n" not in str(caught.value)


def test_only_what_is_stated_is_published(run: Path) -> None:
    for name in ("LICENSE_KEY", "LICENSE.txt", ".env", "notes.md"):
        (run / name).write_text("secret")
    names = {path.name for path in prepared(run).iterdir()}
    assert names & {"LICENSE_KEY", "LICENSE.txt", ".env", "notes.md"} == {"LICENSE.txt"}


def test_the_card_says_what_config_and_results_say(run: Path) -> None:
    card = ModelCard.load(prepared(run, license="apache-2.0") / "README.md")
    assert metadata_errors(card.data.to_dict()) == []
    data = card.data
    assert data.widget[0] == {"text": "Wait, why is it already open?!"}
    assert (data.library_name, data.pipeline_tag) == ("transformers", "video-classification")
    assert (data.license, data.language, data.datasets) == ("apache-2.0", "en", ["declare-lab/MELD"])
    assert (data.base_model, data.metrics) == (["facebook/bart-large"], ["accuracy", "f1"])
    metrics = {(one.dataset_split, one.metric_name): one.metric_value for one in data.eval_results}
    assert metrics == {
        ("test", "Weighted F1"): 0.123456,
        ("test", "Accuracy"): 0.234567,
        ("test", "Macro F1"): 0.345678,
        ("validation", "Weighted F1"): 0.5,
        ("validation", "Accuracy"): 0.6,
        ("validation", "Macro F1"): 0.7,
    }
    for words in (
        "# m2fnet-meld",
        "It reads text, sound and faces.",
        "each utterance behind as many as fit before it, with the speakers' names",
        f"{tiny.ACTION_UNITS} Action Units",
        "attention in 2 modules",
        "epochs: 3",
        "seed: 7",
        "| test | 12.35 | 23.46 | 34.57 |",
        "| dev | 50.00 | 60.00 | 70.00 |",
        "| anger | 6.00 | 11 |",
        "GPL-3.0",
        "not calibrated",
        "US 12333794 B2",
        "AI Act",
    ):
        assert words in card.text, words
    assert "None" not in card.content
    assert "\n\n\n" not in card.content


def test_what_is_unknown_is_left_out(run: Path) -> None:
    for name in ("run.json", "results.json", "dev_results.json"):
        (run / name).unlink()
    card = ModelCard.load(prepared(run) / "README.md")
    assert set(card.data.to_dict()) == {"library_name", "pipeline_tag", "tags", "widget"}
    for heading in ("## Training", "## Results", "GPL", "None", "published under"):
        assert heading not in card.text


def test_data_without_a_name_have_one_only_where_somebody_gives_it(run: Path) -> None:
    write(run / "results.json", {**RESULTS, "dataset": None})
    card = ModelCard.load(prepared(run) / "README.md")
    assert card.data.eval_results is None
    assert "| test | 12.35" in card.text
    card = ModelCard.load(prepared(run, dataset="org/talks") / "README.md")
    assert card.data.datasets == ["org/talks"]
    assert card.data.eval_results[0].dataset_type == "org/talks"


def test_a_config_that_changed_changes_the_card(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    write(run / "config.json", {**config, "softmax_temperature": 1.25, "fusion": "attention", "causal": True})
    text = (prepared(run) / "README.md").read_text()
    assert "temperature 1.250" in text
    assert "an utterance sees its past only" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"per_class": {"happy": {"f1": 1.0}}}, "its labels are happy"),
        ({"weights": "0" * 64}, "its weights were others"),
    ],
)
def test_results_of_another_model_are_refused(run: Path, change: dict, words: str) -> None:
    write(run / "results.json", {**RESULTS, **change})
    with pytest.raises(ValueError, match=words):
        prepared(run)


def test_results_that_used_what_the_model_lacks_are_refused(run: Path) -> None:
    M2FNetForEmotionClassification(tiny.config(audio=None, visual=False)).save_pretrained(run)
    with pytest.raises(ValueError, match="it used audio"):
        prepared(run)


def test_results_that_name_another_model_are_told_of(run: Path) -> None:
    write(run / "results.json", {**RESULTS, "model": "runs/another"})
    with pytest.warns(UserWarning, match="names the model another, expected run"):
        prepared(run)


def test_published_results_do_not_fit_new_weights(run: Path) -> None:
    folder = prepared(run)
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="its weights were others"):
        prepare_run(folder, run.parent / "twice", "org/twice")


def test_what_somebody_wrote_stays_and_must_agree(run: Path) -> None:
    written = "---\nlicense: mit\ntags: [mine]\nmodel-index: []\n---\n\n# Mine\n\nWeighted F1 12.3 %, accuracy 0.235.\n"
    (run / "README.md").write_text(written)
    folder = prepared(run)
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "mit"
    assert card.data.tags == ["mine", "m2fnet", "emotion-recognition-in-conversation"]
    assert card.data.eval_results[0].metric_value == RESULTS["weighted_f1"]
    assert card.text.startswith("\n# Mine") or card.text.startswith("# Mine")
    for words in ("## Use", "## Limits and misuse", "US 12333794 B2"):
        assert card.text.count(words) == 1
    assert "## Model" not in card.text

    again = run.parent / "again"
    prepare_run(folder, again, "org/other")
    assert (again / "README.md").read_text() == card.content.replace("m2fnet-meld", "other")

    (run / "README.md").write_text(written.replace("0.235", "0.9"))
    with pytest.raises(ValueError, match=r"names the accuracy, but not the 23\.46 % on test"):
        prepared(run)
    for name in ("results.json", "dev_results.json"):
        (run / name).unlink()
    (run / "README.md").write_text("| test | 99.9 |")
    with pytest.raises(ValueError, match="has numbers, but no"):
        prepared(run)


def test_the_embedded_model_can_be_pushed(tmp_path: Path) -> None:
    prepare_run(MELD_MINI, tmp_path, "org/m2fnet-meld")
    card = ModelCard.load(tmp_path / "README.md")
    assert metadata_errors(card.data.to_dict()) == []
    assert card.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert "](../" not in card.text
    assert card.text.index("# meld-mini") < card.text.index(MARKER)
    assert (tmp_path / "model.safetensors").read_bytes() == (MELD_MINI / "model.safetensors").read_bytes()


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_context_is_described(context: str) -> None:
    processor = tiny.processor(context=context, speaker_prefix="name").to_dict()
    facts = describe_model(tiny.config(num_hidden_layers=0), processor)
    assert sum(fact.startswith("Context: ") for fact in facts) == 1
    assert "Dialogue: no encoders of its own, 16 wide." in facts


def test_a_run_that_is_not_finished_is_refused(run: Path, tmp_path: Path) -> None:
    (run / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"found none in .*run; finish the run, or name .*checkpoint-5"):
        prepared(run)
    with pytest.raises(FileNotFoundError, match="name the folder of a finished run"):
        prepare_run(tmp_path / "nowhere", tmp_path / "out", "org/name")
