from pathlib import Path

import pysubs2
import pytest
import webvtt
from sample_results import result, utterance

from m2fnet_hf.data.transcripts import read_transcript
from m2fnet_hf.reports.subtitles import write_srt, write_vtt

WRITERS = {".srt": write_srt, ".vtt": write_vtt}
HOSTILE = [
    r"a <b>bold</b> C:\New man",
    "Tom & Jerry &amp; AT&T",
    "1 --> 2",
    "two\nlines\n\n3",
    "x < y > z",
    "</v><v BEN>no",
    "12",
    "NOTE: well",
]


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    "speaker", ["ANN", None, "ann", "SPEAKER_00", "Dr. Smith", "Ann (mother)", "Note", "R&D <x>", "Élodie", "A B C D E"]
)
def test_our_reader_gives_the_speaker_and_the_words_back(tmp_path: Path, suffix: str, speaker: str | None) -> None:
    path = tmp_path / f"out{suffix}"
    given = [utterance(text, speaker=speaker, start=n, end=n + 0.5) for n, text in enumerate(HOSTILE)]
    WRITERS[suffix](result(given), path)
    read = read_transcript(path).utterances
    assert [one.speaker for one in read] == [speaker] * len(HOSTILE)
    assert [one.text for one in read] == [f"[joy 61%] {' '.join(text.split())}" for text in HOSTILE]
    assert [(one.start, one.end) for one in read] == [(n, n + 0.5) for n in range(len(HOSTILE))]


def test_srt_as_players_read_it(tmp_path: Path) -> None:
    write_srt(result([utterance(r"{\an8}Tom & I < 3", end=1.0), utterance(None, "anger", 0.999)]), tmp_path / "out.srt")
    cues = pysubs2.load(str(tmp_path / "out.srt"), keep_unknown_html_tags=True)
    assert [(cue.start, cue.end, cue.text) for cue in cues] == [
        (1000, 1001, "ANN: [joy 61%] {&#92;an8}Tom & I < 3"),
        (1000, 2500, "ANN: [anger 100%]"),
    ]


def test_vtt_as_browsers_read_it(tmp_path: Path) -> None:
    write_vtt(result([utterance("R&D")], labels=["joy", "mixed feelings"]), tmp_path / "out.vtt")
    captions = webvtt.read(str(tmp_path / "out.vtt"))
    assert [(cue.start, cue.end, cue.raw_text) for cue in captions] == [
        ("00:00:01.000", "00:00:02.500", "<v.joy ANN>[joy 61%] R&amp;D</v>")
    ]
    assert [style.text.split("{")[0] for style in captions.styles] == ["::cue(.joy) ", "::cue(.mixed-feelings) "]


@pytest.mark.parametrize("suffix", WRITERS)
def test_cues_are_sorted_and_those_without_times_are_left_out(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    times = [(5.0, 6.0), (None, None), (7.0, None), (1.0, 2.0)]
    WRITERS[suffix](result([utterance(start=start, end=end) for start, end in times]), path)
    assert [(one.start, one.end) for one in read_transcript(path).utterances] == [(1.0, 2.0), (5.0, 6.0)]
