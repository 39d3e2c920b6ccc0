"""Speech recognition with a real Whisper, tiny.en, on what espeak-ng says."""

import json
import os
import re
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from m2fnet_hf.cli import main
from m2fnet_hf.media.clip import Clip

pytestmark = pytest.mark.slow
WHISPER = Path(os.environ.get("M2FNET_WHISPER", ROOT / "build" / "whisper-tiny.en"))
RATE = 16_000
# Voice, words and the silence after them in seconds.
TURNS = (
    ("en-us", "You came back to the house, and I am so happy to see you again.", 0.15),
    ("en-us+f2", "I nearly missed the last train, because nobody told me the time.", 1.5),
    ("en-us", "Please sit down and have a cup of tea with me.", 0.5),
)


@pytest.fixture(scope="module")
def whisper() -> Path:
    if not (WHISPER / "model.safetensors").is_file():
        pytest.skip(f"Whisper tiny.en is not in {WHISPER}: `make whisper` puts it there where a package index has it")
    return WHISPER


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[float, float]]]:
    """A recording of the turns, and when each begins and ends."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng, whose voice it is, is not installed")
    folder = tmp_path_factory.mktemp("talk")
    sound, times = np.zeros(0, np.float32), []
    for voice, said, silence in TURNS:
        spoken = folder / "spoken.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "140", "-w", spoken, said], check=True, timeout=60)
        samples = Clip(spoken).sound(sampling_rate=RATE)
        loud = np.flatnonzero(np.abs(samples) > 0.01)
        times.append(((len(sound) + loud[0]) / RATE, (len(sound) + loud[-1]) / RATE))
        sound = np.concatenate([sound, samples, np.zeros(int(silence * RATE), np.float32)])
    path = folder / "talk.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path, times


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.casefold())


def test_a_recording_without_transcript(
    whisper: Path, talk: tuple[Path, list[tuple[float, float]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, times = talk
    options = ["--model", "meld-mini", "--no-cache", "--output", str(tmp_path)]
    assert main(["predict", str(path), "--asr", str(whisper), *options]) == 0
    assert "Traceback" not in capsys.readouterr().err
    utterances = json.loads((tmp_path / "talk.json").read_text())["utterances"]
    assert len(utterances) == len(TURNS), "each turn is an utterance"
    for one, (_, text, _), (start, end) in zip(utterances, TURNS, times, strict=True):
        heard, said = words(one["text"]), words(text)
        assert sum(word in heard for word in said) >= 0.8 * len(said)
        assert len(heard) <= 1.2 * len(said)
        assert (one["start"], one["end"]) == pytest.approx((start, end), abs=0.3)


def test_the_folder_is_one_of_the_librarys(whisper: Path) -> None:
    """What the conversion must not lose: the tokens that never come, and the time stamps."""
    settings = json.loads((whisper / "generation_config.json").read_text())
    assert settings["is_multilingual"] is False
    assert settings["no_timestamps_token_id"] == 50362
    assert settings["suppress_tokens"]
    assert len(settings["alignment_heads"]) == 8
