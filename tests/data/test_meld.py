from pathlib import Path

import pytest

from m2fnet_hf.data.meld import load_meld_split, read_meld_csv

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"


def write(path: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path.write_bytes("\n".join([header, *rows]).encode(encoding))
    return path


def test_rows_are_keyed_and_sorted_never_indexed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        '1,"Later, later",Joey,joy,positive,7,5,1,1,"00:00:09,000","00:00:10,500"',
        '2,First,Ross,Anger,negative,7,2,1,1,"01:00:01,250","01:00:02,000"',
        '3,Other,Joey,neutral,neutral,3,0,1,1,"00:00:01,000","00:00:02,000"',
    )
    other, dialogue = read_meld_csv(path)
    assert (other.id, dialogue.id) == (3, 7)
    assert [utterance.id for utterance in dialogue] == [2, 5]
    first, second = dialogue
    assert (first.text, first.speaker, first.label, first.start, first.end) == ("First", "Ross", "anger", 3601.25, 3602)
    assert second.text == "Later, later"


def test_cp1252_debris_is_made_readable(tmp_path: Path) -> None:
    row = '1,It\x92s me,Joey,joy,positive,7,5,1,1,"00:00:09,000","00:00:10,500"'
    for encoding in ("latin-1", "utf-8"):
        (dialogue,) = read_meld_csv(write(tmp_path / "x.csv", row, encoding=encoding))
        assert dialogue[0].text == "It\u2019s me"


def test_reversed_times_cost_the_times_and_not_the_row(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", '1,Hi,Joey,joy,positive,7,5,1,1,"00:00:09,000","00:00:08,000"')
    with pytest.warns(UserWarning, match="dialogue 7, utterance 5 ends before it starts"):
        (dialogue,) = read_meld_csv(path)
    assert (dialogue[0].text, dialogue[0].start, dialogue[0].end) == ("Hi", None, None)


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("Utterance,Speaker", "Hi,Joey", "found no Emotion, Dialogue_ID"),
        (HEADER, "1,Hi,Joey,joy,positive,x,5,1,1,00:00:09,00:00:10", "x.csv, line 2: "),
        (HEADER, "1,Hi,Joey,joy,positive,7,5,1,1,now,00:00:10", "x.csv, line 2: "),
        (HEADER, "1,Hi,Joey", "x.csv, line 2: "),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, header: str, row: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_meld_csv(write(tmp_path / "x.csv", row, header=header))


def test_a_repeated_key_is_refused(tmp_path: Path) -> None:
    row = '1,Hi,Joey,joy,positive,7,5,1,1,"00:00:09,000","00:00:10,000"'
    with pytest.raises(ValueError, match=r"line 3: dialogue 7 holds utterance 5 twice"):
        read_meld_csv(write(tmp_path / "x.csv", row, row))


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"must hold dev_sent_emo\.csv"):
        load_meld_split(tmp_path, "dev")
    with pytest.raises(ValueError, match="one of train, dev, test"):
        load_meld_split(tmp_path, "validation")


@pytest.mark.parametrize(
    ("split", "dialogues", "utterances", "longest"),
    [("train", 1038, 9989, 24), ("dev", 114, 1109, 23), ("test", 280, 2610, 33)],
)
def test_all_of_meld_is_read(meld_root: Path, split: str, dialogues: int, utterances: int, longest: int) -> None:
    loaded = load_meld_split(meld_root, split)
    lengths = [len(dialogue) for dialogue in loaded]
    assert (len(loaded), sum(lengths), max(lengths)) == (dialogues, utterances, longest)
    assert all(utterance.label and utterance.text for dialogue in loaded for utterance in dialogue)
