"""The licence of a model's weights: read from its card, said once a run, written into results, passed on."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny

from m2fnet_hf import M2FNetForEmotionClassification
from m2fnet_hf.cli import main
from m2fnet_hf.hub.license import CODE_LICENSE, ModelLicense, read_license
from m2fnet_hf.hub.load import model_license
from m2fnet_hf.hub.push import prepare_run
from m2fnet_hf.registration import DEFAULT_CHECKPOINT

pytest_plugins = ["environments"]
SRT = "1\n00:00:01,000 --> 00:00:02,500\nANN: You came!\n\n2\n00:00:03,000 --> 00:00:04,000\nBEN: Never again.\n"
CARD = "---\nlicense: cc-by-nc-sa-4.0\ndatasets:\n- RAVDESS\n- EmoDB\n---\n# A model\n"
SENTENCE = "m2fnet: the model voices is licensed cc-by-nc-sa-4.0 (RAVDESS, EmoDB).\n"


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    folder = tmp_path / "voices"
    M2FNetForEmotionClassification(tiny.config(audio=None, visual=False, num_hidden_layers=1)).save_pretrained(folder)
    tiny.processor().save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    (folder / "LICENSE").write_text("Attribution-NonCommercial-ShareAlike 4.0 International")
    return folder


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    path = tmp_path / "talk.srt"
    path.write_text(SRT)
    return path


@pytest.mark.parametrize(
    ("card", "license"),
    [
        (CARD, ModelLicense("cc-by-nc-sa-4.0", ("RAVDESS", "EmoDB"))),
        ("---\nlicense: mit\ndatasets: MELD\n---\n", ModelLicense("mit", ("MELD",))),
        ("---\nlicense: other\nlicense_name: eula\n---\n", ModelLicense("eula")),
        ("---\nlicense: other\n---\n", ModelLicense("other")),
        ("---\ntags: [a]\n---\n", None),
        ("# No metadata\n", None),
        ("---\nlicense: [\n---\n", None),
        (None, None),
    ],
)
def test_a_card_states_it(tmp_path: Path, card: str | None, license: ModelLicense | None) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert read_license(str(tmp_path)) == license


def test_a_run_says_it_once_and_its_result_and_page_have_it(
    voices: Path, transcript: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", str(voices), "--output", str(tmp_path / "out"), "--report", "json,html"]
    assert main(["predict", str(transcript), *options]) == 0
    assert capsys.readouterr().err.count(SENTENCE) == 1
    result = json.loads((tmp_path / "out" / "talk.json").read_text())
    assert result["model_license"] == "cc-by-nc-sa-4.0"
    assert not any("licensed" in warning for warning in result["warnings"])
    assert "Model: voices (licence: cc-by-nc-sa-4.0)." in (tmp_path / "out" / "talk.html").read_text()


def test_live_says_it_too(voices: Path, transcript: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "out")
    assert main(["live", str(transcript), "--model", str(voices), "--speed", "1000", "--output", output]) == 0
    assert SENTENCE in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "talk.json").read_text())["model_license"] == "cc-by-nc-sa-4.0"


def test_that_of_the_code_is_not_said(
    transcript: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path
) -> None:
    assert model_license("meld-mini") == CODE_LICENSE
    assert model_license(str(tiny_checkpoint)) is None
    assert main(["predict", str(transcript), "--model", "meld-mini", "--output", str(tmp_path / "out")]) == 0
    assert "licensed" not in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "talk.json").read_text())["model_license"] == CODE_LICENSE


def test_what_is_made_of_a_model_keeps_it(
    voices: Path, transcript: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_run(voices, tmp_path / "pushed", "org/voices")
    assert (tmp_path / "pushed" / "LICENSE").read_text() == (voices / "LICENSE").read_text()
    assert read_license(str(tmp_path / "pushed")) == read_license(str(voices))
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    exported = tmp_path / "exported" / "voices"
    assert main(["export", "onnx", "--model", str(voices), "--output", str(exported)]) == 0
    assert capsys.readouterr().err.count(SENTENCE) == 1
    assert (exported / "LICENSE").read_text() == (voices / "LICENSE").read_text()
    assert main(["predict", str(transcript), "--model", str(exported)]) == 0
    assert SENTENCE in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_on_the_hub_states_it_too(voices: Path, transcript: Path, with_package: Any) -> None:
    code = f"""
import io, json
from contextlib import redirect_stderr, redirect_stdout
from huggingface_hub import HfApi
from m2fnet_hf.cli import main
with redirect_stderr(io.StringIO()) as said, redirect_stdout(io.StringIO()):
    statuses = [main(["push", {str(voices)!r}, "org/voices"])]
    statuses.append(main(["predict", {str(transcript)!r}, "--model", "org/voices"]))
print(json.dumps([statuses, said.getvalue()]))
"""
    statuses, said = with_package(code)
    assert statuses == [0, 0]
    assert said.count(SENTENCE) == 1


def test_the_default_model_states_its_own() -> None:
    assert model_license(None) == read_license(str(DEFAULT_CHECKPOINT)).name
