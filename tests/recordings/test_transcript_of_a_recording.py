import wave
from pathlib import Path

import pytest

from m2fnet_hf.recordings.open import open_source


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 1000))
    return path


@pytest.mark.parametrize(("start", "expected"), [(250, 250.0), (250_000, 250.0)])
def test_the_length_of_the_recording_tells_seconds_from_milliseconds(
    recording: Path, start: int, expected: float
) -> None:
    transcript = recording.with_suffix(".csv")
    transcript.write_text(f"start,text\n{start},Smoke\n{3 * start},Fire\n")
    dialogue, opened = open_source({"recording": recording, "transcript": transcript})
    assert opened == recording
    assert [one.start for one in dialogue] == [expected, 3 * expected]


def test_what_was_not_used_of_a_transcript_is_warned_of(recording: Path) -> None:
    transcript = recording.with_suffix(".csv")
    transcript.write_text("start,text,valence\n0.5,Smoke,1\n")
    with pytest.warns(UserWarning, match=r"^talk\.csv: the column valence was not used\.$"):
        open_source({"recording": recording, "transcript": transcript})
