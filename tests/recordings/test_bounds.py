"""What is read of a recording is bounded by what is there, whatever a transcript, an option or a header says."""

import struct
from pathlib import Path

import numpy as np
import pytest

from m2fnet_hf.dialogue_m2fnet import Dialogue, Utterance
from m2fnet_hf.media.clip import Clip
from m2fnet_hf.recordings.reader import RecordingReader, spans_of


def wav(path: Path, seconds: float = 2.0, rate: int = 16_000, announced: float | None = None) -> Path:
    """A tone, whose header may announce another length."""
    samples = (3000 * np.sin(np.arange(round(seconds * rate)))).astype("<i2").tobytes()
    length = len(samples) if announced is None else round(announced * rate) * 2
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16) + b"data" + struct.pack("<I", length)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(head) + len(samples)) + head + samples)
    return path


def said(*times: tuple[float | None, float | None]) -> list[Utterance]:
    return [Utterance(text="Hi.", start=start, end=end) for start, end in times]


def test_times_are_clamped_to_the_recording(tmp_path: Path) -> None:
    clip = Clip(wav(tmp_path / "talk.wav"))
    assert spans_of(said((0.5, 1e6), (1.5, None), (1e6, 2e6), (None, None)), clip) == [
        (0.5, 2.0),
        (1.5, 2.0),
        (1e6, 1e6),
        None,
    ]


def test_sound_of_an_utterance_without_end_is_as_long_as_the_recording(tmp_path: Path) -> None:
    path = wav(tmp_path / "talk.wav")
    read, _ = RecordingReader(reads_audio=True)(Dialogue(said((0.5, 3e6), (2e6, 3e6))), path)
    assert read[0].audio is not None
    assert len(read[0].audio) == 24_000
    assert read[1].missing == {"audio": "talk.wav ends at 2.0 s, before it"}


@pytest.mark.parametrize("announced", [0.5, 60_000.0])
def test_a_header_that_lies_takes_and_gives_nothing(tmp_path: Path, announced: float) -> None:
    path = wav(tmp_path / "talk.wav", announced=announced)
    clip = Clip(path)
    heard = spans_of(said((0.0, 3e6)), clip)[0]
    assert heard is not None
    assert heard[1] <= 2.0
    assert clip.duration is not None
    assert clip.duration <= 2.0


def test_more_at_once_than_people_can_say_is_refused(tmp_path: Path) -> None:
    clip = Clip(wav(tmp_path / "talk.wav"))
    assert len(spans_of(said(*[(0.0, 2.0)] * 100), clip)) == 100
    with pytest.raises(ValueError, match=r"At most 100 utterances may be said at once, found ones that last 200 times"):
        spans_of(said(*[(0.0, 2.0)] * 200), clip)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e12, float("inf"), float("nan")])
def test_frames_that_no_recording_shows_are_not_asked_for(rate: float) -> None:
    with pytest.raises(ValueError, match="looked at a second must be above 0 and at most 120, found"):
        RecordingReader(frame_rate=rate)
