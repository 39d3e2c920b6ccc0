"""Utterances in as they arrive, predictions out; and the command that shows them."""

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from transformers import pipeline

from m2fnet_hf import Dialogue, Faces, Frame, M2FNetForEmotionClassification, MultimodalEmotionPipeline, Utterance
from m2fnet_hf.commands import live as command
from m2fnet_hf.media.clip import Clip
from m2fnet_hf.online import live as live_module
from m2fnet_hf.online.live import in_real_time, live
from m2fnet_hf.recordings.reader import RecordingReader
from m2fnet_hf.recordings.streaming_reader import StreamingReader
from m2fnet_hf.registration import TASK

SRT = "1\n00:00:01,000 --> 00:00:02,500\nANN: You came!\n\n2\n00:00:03,000 --> 00:00:04,000\nBEN: Never again.\n"


def build(**architecture: Any) -> MultimodalEmotionPipeline:
    torch.manual_seed(0)
    model = M2FNetForEmotionClassification(tiny.config(**architecture)).eval()
    return pipeline(TASK, model=model, processor=tiny.processor(context="past"), device="cpu")


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_each_utterance_comes_when_it_has_been_said() -> None:
    clock = Clock()
    said = [{"text": "a", "start": 1, "end": 3}, {"text": "b"}, {"text": "c", "start": 4}, {"text": "d", "end": 2.0}]
    times = [clock.now - 100 for _ in in_real_time(said, speed=2.0, clock=clock)]
    assert times == [1.5, 1.5, 2.0, 2.0]
    for speed in (0, -1, math.nan, 1e-300):
        with pytest.raises(ValueError, match=rf"`speed` must be at least 0\.01, found {speed}"):
            list(in_real_time(said, speed=speed))


def test_a_causal_model_answers_once_and_before_the_next() -> None:
    pipe = build(causal=True, attention_window=2)
    dialogue = tiny.dialogue(6)
    asked = []

    def arriving() -> Iterator[Utterance]:
        for number, utterance in enumerate(dialogue):
            asked.append(number)
            yield utterance

    answers = []
    for position, prediction in live(pipe, arriving()):
        assert asked[-1] == position
        answers.append(prediction)
    assert [one["label"] for one in answers] == [one["label"] for one in pipe(dialogue)]


def test_another_model_changes_its_mind_about_the_recent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "RECENT_UTTERANCES", 4)
    pipe = build(fusion="gated")
    dialogue = list(tiny.dialogue(9))
    labels: dict[int, str] = {}
    revisions = 0
    for position, prediction in live(pipe, dialogue):
        revisions += position in labels
        assert labels.get(position) != prediction["label"]
        assert prediction["text"] == dialogue[position].text
        labels[position] = prediction["label"]
    assert list(labels) == list(range(9))
    assert revisions
    assert [labels[number] for number in range(5, 9)] == [one["label"] for one in pipe(dialogue[5:])]


class Bright:
    """A backend that finds one face in each frame, whose Action Unit is the frame's brightness."""

    settings = {"name": "bright"}
    action_units = ("AU01",)

    def detect(self, frames: list[Frame]) -> list[Faces]:
        box, score = np.array([[8.0, 8, 24, 24]]), np.ones(1)
        return [Faces(box, score, action_units=np.full((1, 1), frame.image.mean())) for frame in frames]


def first_unit(units: np.ndarray) -> np.ndarray:
    return units[:, :1]


def test_a_recording_is_read_as_it_is_played(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [(1.0, 3.0), (2.5, 2.8), (2.5, 2.8), (4.0, None), (None, None), (9.0, 9.6), (30.0, 31.0)]
    dialogue = Dialogue([{"text": "a", "start": start, "end": end} for start, end in said])
    read = []
    reading = Clip.read

    def noted(*arguments: Any) -> Iterator[Any]:
        for item in reading(*arguments):
            read.append(item)
            yield item

    monkeypatch.setattr(Clip, "read", noted)
    reader = RecordingReader(faces=Bright(), units=first_unit, reads_audio=True)
    streaming = StreamingReader(reader, dialogue, recording)
    assert not read
    streamed = []
    for utterance in dialogue:
        streamed.append(streaming(utterance)[0])
        if utterance.end is not None and utterance.end < 9:
            assert max(item.time for item in read if isinstance(item, Frame)) < utterance.end + 2
    monkeypatch.undo()
    whole, problems = RecordingReader(faces=Bright(), units=first_unit, reads_audio=True)(dialogue, recording)
    assert problems == []
    for one, other in zip(streamed, whole, strict=True):
        for name in ("audio", "action_units", "face_ids", "face_boxes", "face_times"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert one.missing == other.missing


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    path = tmp_path / "talk.srt"
    path.write_text(SRT)
    return path


def run(*words: object) -> None:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    options = parser.parse_args(["live", *map(str, words)])
    options.command(options)


def test_the_command_shows_and_writes(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, transcript: Path, tmp_path: Path
) -> None:
    run(transcript, "--model", tiny_checkpoint, "--speed", 100, "--output", tmp_path / "out")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0:01.0-0:02.5 ANN: You came! [")
    assert any(line.startswith("0:03.0-0:04.0 BEN: Never again. [") for line in lines)
    written = json.loads((tmp_path / "out" / "talk.json").read_text())
    assert [one["text"] for one in written["utterances"]] == ["You came!", "Never again."]


def test_the_command_reads_a_recording(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, transcript: Path, recording: Path, tmp_path: Path
) -> None:
    words = ("--faces", "none", "--model", tiny_checkpoint, "--speed", 100, "--output", tmp_path)
    run(recording, "--transcript", transcript, *words)
    assert "ANN: You came!" in capsys.readouterr().out
    written = json.loads((tmp_path / f"{recording.stem}.json").read_text())
    assert [one["modalities"] for one in written["utterances"]] == [["text", "audio"]] * 2
    assert (tmp_path / written["recording"]).samefile(recording)


def test_what_was_predicted_is_kept_when_it_is_stopped(
    capsys: pytest.CaptureFixture[str],
    tiny_checkpoint: Path,
    transcript: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(utterances: Any, speed: float) -> Iterator[Utterance]:
        yield next(iter(utterances))
        raise KeyboardInterrupt

    monkeypatch.setattr(live_module, "in_real_time", interrupted)
    run(transcript, "--model", tiny_checkpoint, "--output", tmp_path)
    assert capsys.readouterr().err.strip().endswith("m2fnet: stopped after 1 of 2 utterances.")
    assert len(json.loads((tmp_path / "talk.json").read_text())["utterances"]) == 1
