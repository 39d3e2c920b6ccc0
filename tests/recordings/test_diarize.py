"""Speakers by the times in which they speak. pyannote's own models cannot be run here: they come from the Hub."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from m2fnet_hf import Dialogue, Utterance
from m2fnet_hf.recordings.diarize import Turn, find_turns, name_speakers

TURNS = [Turn(0.0, 2.0, "A"), Turn(1.5, 4.0, "B"), Turn(6.0, 6.4, "A")]


@pytest.mark.parametrize(
    ("times", "speaker"),
    [((0.0, 1.9), "A"), ((1.0, 3.5), "B"), ((5.0, 7.0), "A"), ((4.5, 5.5), None), ((None, None), None)],
)
def test_who_speaks_longest_in_an_utterance_says_it(times: tuple, speaker: str | None) -> None:
    start, end = times
    named = name_speakers(Dialogue([Utterance(text="Oh.", start=start, end=end)], id=3), TURNS)
    assert (named[0].speaker, named.id) == (speaker, 3)


def test_a_speaker_that_is_known_stays() -> None:
    known = Dialogue([Utterance(text="Oh.", speaker="Ann", start=0.0, end=1.0)])
    assert name_speakers(known, TURNS)[0].speaker == "Ann"
    assert name_speakers(Dialogue([Utterance(text="Oh.", start=0.0, end=1.0)]), [])[0].speaker is None


@pytest.mark.skipif(find_spec("pyannote") is not None, reason="pyannote.audio is installed")
def test_without_pyannote_it_says_what_to_install(recording: Path) -> None:
    with pytest.raises(ImportError, match=r"needs pyannote: pip install 'm2fnet-hf\[speakers\]'"):
        find_turns(recording)
