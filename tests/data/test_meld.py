import warnings
from pathlib import Path

import pytest

from m2fnet_hf.data.meld import (
    CLIP_FOLDERS,
    MELD_SENTIMENTS,
    load_meld,
    load_meld_split,
    read_meld,
    read_meld_csv,
)
from m2fnet_hf.data.table import to_dialogues

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"


def write(path: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path.write_bytes("\n".join([header, *rows]).encode(encoding))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A MELD of three rows per split, among them those of broken clips."""
    for hour, (split, dialogue) in enumerate((("train", 125), ("dev", 110), ("test", 38))):
        row = f'1,{split} {{0}},Joey,joy,positive,{dialogue},{{0}},1,1,"0{hour}:0{{0}}:00,000","0{hour}:0{{0}}:01,000"'
        write(tmp_path / f"{split}_sent_emo.csv", *(row.format(number) for number in (3, 4, 7)))
    return tmp_path


def with_clips(root: Path, *names: str, inside: bool = False) -> None:
    for split, folder in CLIP_FOLDERS.items():
        place = root / split / folder if inside else root / folder
        place.mkdir(parents=True)
        for name in names:
            (place / name).touch()


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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_csv_as_excel_saves_it(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = [
        '1;"Oh; no, café";Zoë;sadness;negative;0.0;0.0;4;7;"00:20:57,256";"00:21:00,049"',
        "2;Really?;Eric;surprise;positive;0.0;1.0;4;7;;",
        "3;Yes;Zoë;joy;positive;0.0;2.0;4;7;00:21:01.5;00:21:02",
    ]
    rows = [row.replace(";", separator).replace(f"Oh{separator}", "Oh;") for row in rows]
    header = HEADER.replace(",", separator)
    (dialogue,) = read_meld_csv(write(tmp_path / "x.csv", *rows, header=header, encoding=encoding))
    assert [(u.id, u.speaker, u.text, u.start, u.end) for u in dialogue] == [
        (0, "Zoë", "Oh; no, café", 1257.256, 1260.049),
        (1, "Eric", "Really?", None, None),
        (2, "Zoë", "Yes", 1261.5, 1262.0),
    ]


def test_reversed_times_cost_the_times_and_not_the_row(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", '1,Hi,Joey,joy,positive,7,5,1,1,"00:00:09,000","00:00:08,000"')
    with pytest.warns(UserWarning, match="dialogue 7, utterance 5 ends before it starts"):
        (dialogue,) = read_meld_csv(path)
    assert (dialogue[0].text, dialogue[0].start, dialogue[0].end) == ("Hi", None, None)


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("Utterance,Speaker", "Hi,Joey", "found no Emotion, Dialogue_ID"),
        (HEADER, "1,Hi,Joey,joy,positive,x,5,1,1,00:00:09,00:00:10", "x.csv, line 2: Dialogue_ID must be a whole"),
        (HEADER, "1,Hi,Joey,joy,positive,7,5,1,1,now,00:00:10", "x.csv, line 2: StartTime: A time must"),
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


@pytest.mark.parametrize("inside", [False, True], ids=["in root", "in a folder of the split"])
def test_clips_by_key_or_the_reason_why_not(root: Path, inside: bool) -> None:
    with_clips(root, "dia125_utt3.mp4", "dia125_utt4.mp4", "dia38_utt4.mp4", "dia38_utt7.mp4", inside=inside)
    splits = read_meld(root)
    folder = (root / "train" if inside else root) / "train_splits"
    ((broken, there, absent),) = splits["train"]
    assert there.video == str(folder / "dia125_utt4.mp4")
    assert not there.missing
    for utterance, reason in (
        (broken, "dia125_utt3.mp4 of MELD cannot be read"),
        (absent, "dia125_utt7.mp4 is not in train_splits"),
        (splits["dev"][0][2], "dia110_utt7.mp4 was never part of MELD"),
        (splits["test"][0][1], "dia38_utt4.mp4 of MELD is cut wrongly and lasts 305 s"),
    ):
        assert utterance.video is None
        assert utterance.text
        assert utterance.missing == {"audio": reason, "visual": reason}
    assert [utterance.video is None for utterance in splits["test"][0]] == [True, True, False]


def test_twins_of_test_clips_are_a_choice(root: Path) -> None:
    with_clips(root, "dia38_utt3.mp4", "final_videos_testdia38_utt3.mp4", "dia38_utt7.mp4")
    plain, final = ([Path(u.video or "").name for u in read_meld(root, final_test_clips=f)["test"][0]] for f in (0, 1))
    assert plain == ["dia38_utt3.mp4", "", "dia38_utt7.mp4"]
    assert final == ["final_videos_testdia38_utt3.mp4", "", "dia38_utt7.mp4"]


def test_without_clips_all_is_text_and_nothing_missing(root: Path) -> None:
    for dialogues in read_meld(root).values():
        assert [(u.video, dict(u.missing)) for dialogue in dialogues for u in dialogue] == [(None, {})] * 3


def test_sentiment_may_be_the_label(root: Path) -> None:
    assert read_meld(root, "sentiment")["dev"][0][0].label == "positive"
    assert MELD_SENTIMENTS == ("neutral", "positive", "negative")
    with pytest.raises(ValueError, match="one of emotion, sentiment, found 'mood'"):
        read_meld(root, "mood")


def test_repeated_rows_are_named_and_kept(root: Path) -> None:
    row = '1,{},Joey,{},positive,{},0,1,1,"05:00:00,000","05:00:01,000"'
    write(root / "train_sent_emo.csv", row.format("Hi", "joy", 1), row.format("Hi", "anger", 2))
    write(root / "test_sent_emo.csv", row.format("Ho", "joy", 1))
    write(root / "dev_sent_emo.csv", row.format("Ho", "joy", 2))
    with pytest.warns(UserWarning, match="rows of MELD") as caught:
        splits = read_meld(root)
    assert {str(warning.message) for warning in caught} == {
        "1 rows of MELD are twice in train, and are kept: train dia1_utt0 = train dia2_utt0.",
        "1 rows of MELD are twice in dev and test, and are kept: dev dia2_utt0 = test dia1_utt0.",
    }
    assert [len(dialogues) for dialogues in splits.values()] == [2, 1, 1]
    assert caught[0].filename == __file__


def test_another_label_is_refused_with_its_line(root: Path) -> None:
    row = '1,Hi,Joey,bored,positive,7,5,1,1,"00:00:09,000","00:00:10,000"'
    path = write(root / "dev_sent_emo.csv", row)
    with pytest.raises(ValueError, match=r"dev_sent_emo\.csv, line 2: a label must be one of neutral, .*found 'bored'"):
        read_meld(root)
    assert read_meld_csv(path)[0][0].label == "bored"
    write(path, row.replace("positive,", ""), header=HEADER.replace("Sentiment,", ""))
    with pytest.raises(ValueError, match="found no Sentiment among"):
        load_meld_split(root, "dev", "sentiment")


def test_as_a_table(root: Path) -> None:
    with_clips(root, "dia38_utt3.mp4")
    table = load_meld(root)
    assert {split: rows.num_rows for split, rows in table.items()} == {"train": 1, "dev": 1, "test": 1}
    (dialogue,) = to_dialogues(table["test"])
    (expected,) = read_meld(root)["test"]
    assert [vars(u) for u in dialogue] == [vars(u) for u in expected]


@pytest.mark.parametrize(
    ("split", "dialogues", "utterances", "longest"),
    [("train", 1038, 9989, 24), ("dev", 114, 1109, 23), ("test", 280, 2610, 33)],
)
def test_all_of_meld_is_read(meld_root: Path, split: str, dialogues: int, utterances: int, longest: int) -> None:
    loaded = load_meld_split(meld_root, split)
    lengths = [len(dialogue) for dialogue in loaded]
    assert (len(loaded), sum(lengths), max(lengths)) == (dialogues, utterances, longest)
    assert all(utterance.label and utterance.text for dialogue in loaded for utterance in dialogue)


def test_repeats_of_meld(meld_root: Path) -> None:
    with pytest.warns(UserWarning, match="rows of MELD") as caught:
        splits = read_meld(meld_root)
    assert [sum(map(len, dialogues)) for dialogues in splits.values()] == [9989, 1109, 2610]
    leak, twice = sorted((str(warning.message) for warning in caught), key=len)
    # One is known; for the two others test names another season and episode.
    assert leak.startswith("3 rows of MELD are twice in train and test")
    assert "train dia12_utt7 = test dia85_utt0" in leak
    assert twice.startswith("10 rows of MELD are twice in train, ")
    assert "train dia376_utt3 = train dia725_utt3" in twice


def test_sentiments_of_meld(meld_root: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = {u.label for dialogues in read_meld(meld_root, "sentiment").values() for d in dialogues for u in d}
    assert labels == set(MELD_SENTIMENTS)
