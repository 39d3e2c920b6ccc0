import csv
from pathlib import Path

from sample_results import LABELS, result, utterance

from m2fnet_hf.data.transcripts import read_transcript
from m2fnet_hf.reports.spreadsheet import write_csv


def test_a_row_per_utterance(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    faces = {"modalities": ["text", "audio"], "missing": {"visual": "no face was found", "audio": "no sound"}}
    given = [utterance('She said "no",\nÉlodie', **faces), utterance(None, start=None, end=None, speaker=None)]
    write_csv(result(given), path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == ["start", "end", "speaker", "text", "label", "score", *LABELS, "modalities", "missing"]
    assert first["text"] == 'She said "no",\nÉlodie'
    assert (first["modalities"], first["missing"]) == ("text, audio", "visual: no face was found; audio: no sound")
    assert [float(first[label]) for label in LABELS] == [given[0]["scores"][label] for label in LABELS]
    assert [second[name] for name in ("start", "end", "speaker", "text")] == ["", "", "", ""]


def test_our_reader_reads_it_back(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write_csv(result([utterance(), utterance("Oh.", "anger", speaker=None)]), path)
    read = read_transcript(path).utterances
    assert [(one.start, one.end, one.speaker, one.text, one.label) for one in read] == [
        (1.0, 2.5, "ANN", "You came!", "joy"),
        (1.0, 2.5, None, "Oh.", "anger"),
    ]


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'=x", "''-x", "'tis", "\uff1dx"]


def test_nothing_is_computed_and_all_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write_csv(result([utterance(text, speaker=f"{text}a") for text in FORMULAS]), path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [row[name] for row in csv.DictReader(file) for name in ("text", "speaker")]
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r\uff1d"]
    read = read_transcript(path)
    assert [one.text for one in read] == [text.strip() for text in FORMULAS]
    assert [one.speaker for one in read] == [f"{text}a".strip() for text in FORMULAS]
