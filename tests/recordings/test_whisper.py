"""Speech recognition with a real Whisper, tiny.en, on what espeak-ng says."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

from m2fnet_hf.cli import main

pytestmark = pytest.mark.slow
WHISPER = Path(os.environ.get("M2FNET_WHISPER", ROOT / "build" / "whisper-tiny.en"))
SENTENCES = (
    "You came back to the house, and I am so happy to see you again.",
    "I nearly missed the last train, because nobody told me the time.",
    "Please sit down and have a cup of tea with me.",
)


@pytest.fixture(scope="module")
def whisper() -> Path:
    if not (WHISPER / "model.safetensors").is_file():
        pytest.skip(f"Whisper tiny.en is not in {WHISPER}: `make whisper` puts it there where a package index has it")
    return WHISPER


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng, whose voice it is, is not installed")
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    words = " ".join(SENTENCES)
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "140", "-w", path, words], check=True, timeout=60)
    return path


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.casefold())


def test_a_recording_without_transcript(
    whisper: Path, talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", "meld-mini", "--no-cache", "--output", str(tmp_path)]
    assert main(["predict", str(talk), "--asr", str(whisper), *options]) == 0
    assert "Traceback" not in capsys.readouterr().err
    utterances = json.loads((tmp_path / "talk.json").read_text())["utterances"]
    heard = [word for one in utterances for word in words(one["text"])]
    said = words(" ".join(SENTENCES))
    assert sum(word in heard for word in said) >= 0.8 * len(said)
    assert len(heard) <= 1.2 * len(said)
    times = [(one["start"], one["end"]) for one in utterances]
    assert times[0][0] < 1
    assert times == sorted(times)
    assert all(start < end for start, end in times)
    assert 8 < times[-1][1] < 20


def test_the_folder_is_one_of_the_librarys(whisper: Path) -> None:
    """What the conversion must not lose: the tokens that never come, and the time stamps."""
    settings = json.loads((whisper / "generation_config.json").read_text())
    assert settings["is_multilingual"] is False
    assert settings["no_timestamps_token_id"] == 50362
    assert settings["suppress_tokens"]
    assert len(settings["alignment_heads"]) == 8
