"""Which sound of a recording the model hears, and that digital silence is none."""

from pathlib import Path

import numpy as np
import pytest
from tracks import write_tracks
from transformers import pipeline

from m2fnet_hf import Dialogue
from m2fnet_hf.recordings.cache import Cache
from m2fnet_hf.recordings.reader import RecordingReader
from m2fnet_hf.recordings.streaming_reader import StreamingReader
from m2fnet_hf.recordings.transcribe import transcribe
from m2fnet_hf.registration import TASK

RATE = 16_000
DIALOGUE = Dialogue([{"text": "You came!", "start": 0.0, "end": 1.0}, {"text": "I did.", "start": 1.0, "end": 2.0}])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A silent track, one whose second half is silent, and a whole one."""
    tone = 0.5 * np.sin(np.arange(2 * RATE) / 20)
    half = np.where(np.arange(2 * RATE) < RATE, tone, 0)
    return write_tracks(tmp_path / "talk.mkv", [np.zeros(2 * RATE), half, tone / 2])


def loudest(sounds: list[np.ndarray]) -> np.ndarray:
    return np.array([[np.abs(sound).max()] for sound in sounds], np.float32)


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_silent_utterance_has_no_sound(recording: Path, tmp_path: Path, encoded: bool, again: bool) -> None:
    reader = RecordingReader(reads_audio=True, encode_audio=loudest if encoded else None, cache=Cache(tmp_path))
    dialogue, problems = reader(DIALOGUE, recording)
    if again:
        dialogue, problems = reader(DIALOGUE, recording)
    first, second = dialogue
    assert (first.audio is None, first.audio_features is None) == (encoded, not encoded)
    assert second.audio is None
    assert second.audio_features is None
    assert second.missing == {"audio": "talk.mkv is silent there"}
    assert [problem.partition(",")[0] for problem in problems] == ["talk.mkv has 3 sound tracks"]


def test_the_cache_knows_the_tracks_apart(recording: Path, tmp_path: Path) -> None:
    heard = []
    for track in (2, 3, None, 3, 2):
        reader = RecordingReader(reads_audio=True, encode_audio=loudest, cache=Cache(tmp_path), audio_track=track)
        dialogue, _ = reader(DIALOGUE, recording)
        heard.append(float(dialogue[0].audio_features[0]))
    assert heard == pytest.approx([0.5, 0.25, 0.5, 0.25, 0.5], abs=1e-3)
    dialogue, problems = RecordingReader(reads_audio=True, cache=Cache(tmp_path), audio_track=9)(DIALOGUE, recording)
    assert dialogue[0].missing == {"audio": "talk.mkv has no sound track 9"}
    assert "must have the sound track 9" in problems[0]


@pytest.mark.parametrize("encoded", [False, True])
def test_as_it_is_played(recording: Path, encoded: bool) -> None:
    reader = RecordingReader(reads_audio=True, encode_audio=loudest if encoded else None)
    streaming = StreamingReader(reader, DIALOGUE, recording)
    read = [streaming(utterance)[0] for utterance in DIALOGUE]
    assert (read[0].audio is None, read[0].audio_features is None) == (encoded, not encoded)
    assert read[1].missing == {"audio": "talk.mkv is silent there"}


def test_the_pipeline_hears_the_track(recording: Path, tiny_checkpoint: Path) -> None:
    pipe = pipeline(TASK, model=str(tiny_checkpoint), device="cpu")
    source = {"recording": recording, "utterances": list(DIALOGUE)}
    problems: list[str] = []
    chosen = pipe(source, faces="none", audio_track=3, on_problem=problems.append)
    assert problems == []
    assert [answer["modalities"] for answer in chosen] == [["text", "audio"]] * 2
    default = pipe(source, faces="none", on_problem=problems.append)
    assert len(problems) == 1
    assert [answer["modalities"] for answer in default] == [["text", "audio"], ["text"]]
    with pytest.raises(ValueError, match="`audio_track` must be a track's number, from 1 on, found 0"):
        pipe(source, audio_track=0)


def test_nothing_is_recognised_in_silence(recording: Path) -> None:
    silent = write_tracks(recording.with_name("silent.mkv"), [np.zeros(RATE)])
    recognizer = type("Recognizer", (), {"feature_extractor": type("Rate", (), {"sampling_rate": RATE})})
    recognizer.model = type("Model", (), {"name_or_path": "any"})
    with pytest.raises(ValueError, match=r"needs sound, found none: silent\.mkv is silent; give a `transcript`"):
        transcribe(silent, recognizer)
