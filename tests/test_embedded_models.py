"""The models that come with the package go by their names."""

import json
from pathlib import Path

import pytest
from transformers import pipeline

import m2fnet_hf
from m2fnet_hf import M2FNetForEmotionClassification, embedded
from m2fnet_hf.cli import main
from m2fnet_hf.embedded_models import embedded_names
from m2fnet_hf.hub.load import find_model, load_pipeline, model_name
from m2fnet_hf.registration import DEFAULT_CHECKPOINT, TASK

SRT = "1\n00:00:01,000 --> 00:00:02,500\nANN: You came!\n"
NAMES = ", ".join(embedded_names())


def test_every_folder_of_a_model_is_a_name() -> None:
    assert {"meld-mini", DEFAULT_CHECKPOINT.name} <= set(embedded_names())
    for name in embedded_names():
        assert Path(embedded(name)) == Path(m2fnet_hf.__file__).parent / "checkpoints" / name
        assert (find_model(name), model_name(name)) == (embedded(name), name)
    assert find_model(None) == embedded(DEFAULT_CHECKPOINT.name)
    with pytest.raises(ValueError, match=f"must be one of {NAMES}, found 'melt-mini'"):
        embedded("melt-mini")


def test_the_librarys_own_loaders_take_its_folder() -> None:
    utterances = [{"speaker": "Ann", "text": "You came!"}]
    model = M2FNetForEmotionClassification.from_pretrained(embedded("meld-mini"))
    answers = pipeline(TASK, model=embedded("meld-mini"), device="cpu")(utterances)
    assert [answer["label"] for answer in answers] == [
        answer["label"] for answer in load_pipeline("meld-mini", device="cpu")(utterances)
    ]
    assert list(answers[0]["scores"]) != []
    assert set(answers[0]["scores"]) == set(model.config.label_names)


def test_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("meld-mini").mkdir()
    assert find_model("meld-mini") == "meld-mini"
    with pytest.raises(FileNotFoundError, match=r"A checkpoint must hold its config\.json, found none in meld-mini"):
        load_pipeline("meld-mini")


@pytest.mark.parametrize("name", ["melt-mini", "./runs/mine", "a/b/c"])
def test_what_is_no_model_is_refused_with_the_names_that_there_are(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"must be a folder, one of the embedded models .{NAMES}. or"):
        find_model(name)
    assert find_model("org/name") == "org/name"


def test_commands_take_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    transcript, output = tmp_path / "talk.srt", tmp_path / "out"
    transcript.write_text(SRT)
    assert main(["predict", str(transcript), "--model", "meld-mini", "--output", str(output)]) == 0
    assert json.loads((output / "talk.json").read_text())["model"] == "meld-mini"
    assert main(["push", "meld-mini", "org/mine", "--output", str(tmp_path / "pushed")]) == 0
    assert (tmp_path / "pushed" / "model.safetensors").is_file()
    capsys.readouterr()
    assert main(["predict", str(transcript), "--model", "melt-mini"]) == 1
    assert NAMES in capsys.readouterr().err
    own = tmp_path / "dialogues.csv"
    own.write_text("dialogue,split,text,label\n1,dev,You came!,joy\n")
    assert main(["calibrate", "--data", str(tmp_path), "--model", "meld-mini"]) == 1
    assert "The model that is changed must be a folder, found none at meld-mini" in capsys.readouterr().err
