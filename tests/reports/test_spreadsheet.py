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
