"""m2fnet-mini, the default: it reads words, hears and sees, and the demo says what sound added."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from safetensors import safe_open
from transformers import pipeline

from m2fnet_hf import MultimodalEmotionPipeline, read_transcript
from m2fnet_hf.cli import main
from m2fnet_hf.names_m2fnet import PYFEAT_ACTION_UNITS
from m2fnet_hf.registration import DEFAULT_CHECKPOINT, TASK

SAMPLE = ROOT / "examples" / "sample_dialogue" / "conversation.mp4"
SRT = SAMPLE.with_suffix(".srt")
# By name, what OpenFace measures of a broad smile, 0 to 5.
SMILE = {"AU06_r": 3.0, "AU12_r": 3.5, "AU25_r": 2.5, "AU07_r": 1.5}


@pytest.fixture(scope="module")
def pipe() -> MultimodalEmotionPipeline:
    return pipeline(TASK, device="cpu")


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments)])


def test_it_is_small_half_precision_and_holds_no_path() -> None:
    assert DEFAULT_CHECKPOINT.name == "m2fnet-mini"
    assert (DEFAULT_CHECKPOINT / "model.safetensors").stat().st_size < 65_000_000
    with safe_open(DEFAULT_CHECKPOINT / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}  # noqa: SIM118
    for path in DEFAULT_CHECKPOINT.glob("*.json"):
        if path.name != "tokenizer.json":
            assert not re.search(r'"/\w', path.read_text()), path.name


def test_the_default_pipeline_reads_three_modalities_in_single_precision(pipe: MultimodalEmotionPipeline) -> None:
    assert pipe.model.config.modalities == ("text", "audio", "visual")
    assert pipe.model.config.languages == ["en"]
    assert pipe.model.dtype == torch.float32


def test_words_alone_tell_joy_from_anger(pipe: MultimodalEmotionPipeline) -> None:
    answers = pipe(
        [
            {"speaker": "Ann", "text": "Oh my God, this is the best day of my life! I love you!"},
            {"speaker": "Ben", "text": "Get out! I hate you! How dare you do this to me!"},
            {"speaker": "Ann", "text": "The meeting is at three."},
        ]
    )
    assert [answer["label"] for answer in answers] == ["joy", "anger", "neutral"]
    assert all(answer["modalities"] == ["text"] for answer in answers)


def test_a_smile_beside_neutral_words_makes_joy_likelier(pipe: MultimodalEmotionPipeline) -> None:
    units = np.full((1, 1, 20), np.nan, np.float32)
    rest = pipe.processor.au_feature_extractor.arrange(np.zeros((1, 17), np.float32), OPENFACE, PYFEAT_ACTION_UNITS)
    smile = np.array([[SMILE.get(name, 0.0) for name in OPENFACE]], np.float32)
    smiling = pipe.processor.au_feature_extractor.arrange(smile, OPENFACE, PYFEAT_ACTION_UNITS)
    faces = {name: np.broadcast_to(values, units.shape).copy() for name, values in (("rest", rest), ("smile", smiling))}
    talk = [{"speaker": "Ann", "text": "The meeting is at three.", "action_units": faces["rest"]} for _ in range(4)]
    before = pipe(talk)[-1]
    talk[-1] = {**talk[-1], "action_units": faces["smile"]}
    after = pipe(talk)[-1]
    assert after["modalities"] == ["text", "visual"]
    assert after["scores"]["joy"] > before["scores"]["joy"] + 0.05


def test_the_demo_hears_the_sample_and_says_what_sound_added(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    assert predict(SAMPLE, "--transcript", SRT, "--output", output, "--report", "all", "--faces", "none") == 0
    captured = capsys.readouterr()
    assert re.search(r"Without sound, \d+ of 10 utterances would have another label", captured.err)
    assert "predicted without faces" in captured.err
    for utterance in read_transcript(SRT):
        assert utterance.speaker in captured.out
    result = json.loads((output / "conversation.json").read_text())
    assert all(one["modalities"] == ["text", "audio"] for one in result["utterances"])
    assert all(set(one["modality_scores"]["alone"]) == {"text", "audio"} for one in result["utterances"])
    assert len(list(output.iterdir())) == 7


def test_faces_of_a_file_make_three_modalities(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = ["frame, face_id, timestamp, confidence, success, " + ", ".join(OPENFACE)]
    for frame in range(300):
        values = ", ".join(f"{SMILE.get(name, 0.0) * (frame > 230):.2f}" for name in OPENFACE)
        rows.append(f"{frame + 1}, 0, {frame / 10:.3f}, 0.98, 1, {values}")
    (tmp_path / "faces.csv").write_text("\n".join(rows) + "\n")
    faces = tmp_path / "faces.csv"
    assert predict(SAMPLE, "--transcript", SRT, "--faces", faces, "--output", tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "conversation.json").read_text())
    assert all(one["modalities"] == ["text", "audio", "visual"] for one in result["utterances"])
    assert "Without faces" in capsys.readouterr().err


OPENFACE = tuple(f"AU{n:02d}_r" for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45))
