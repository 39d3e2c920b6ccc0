# ruff: noqa: E501  tables as they are saved
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from m2fnet_hf.data.folder import load_dialogues, read_dialogues
from m2fnet_hf.data.labels import check_labels, read_labels

TABLE = """split,dialogue,utterance,text,speaker,start,end,label,video,recording
train,a,0,"Hi, you",Ann,0.5,1.5,joy,,a.mp4
train,a,2,Ho,Ben,1.5,2,,,a.mp4
test,b,0,,Ann,,,anger,clips/b.mp4,
"""


def write(folder: Path, table: str = TABLE) -> Path:
    (folder / "clips").mkdir(exist_ok=True)
    for name in ("a.mp4", "clips/b.mp4"):
        (folder / name).touch()
    (folder / "dialogues.csv").write_text(table, encoding="utf-8")
    return folder


def write_lines(path: Path, *dialogues: Any) -> None:
    path.write_text("\n".join(json.dumps(dialogue, ensure_ascii=False) for dialogue in dialogues) + "\n", "utf-8")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv(tmp_path: Path, delimiter: str) -> None:
    table = TABLE.replace(",", delimiter).replace(f"Hi{delimiter}", "Hi,")
    splits = read_dialogues(write(tmp_path, table))
    assert list(splits) == ["train", "test"]
    ((talk,), (clip,)) = splits.values()
    assert (talk.id, talk.recording) == ("a", str(tmp_path / "a.mp4"))
    first, second = talk
    assert (first.id, first.text, first.speaker, first.start, first.end) == ("0", "Hi, you", "Ann", 0.5, 1.5)
    assert (first.label, second.label, second.id) == ("joy", None, "2")
    assert (clip[0].text, clip[0].video, clip.recording) == (None, str(tmp_path / "clips/b.mp4"), None)


def test_jsonl(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    talk = {"id": 7, "recording": "a.mp4", "utterances": [{"id": 3, "text": "one\u2028line"}, {"start": 1, "end": 2}]}
    write_lines(tmp_path / "train.jsonl", talk, {"id": 8, "utterances": [{"text": "x"}]})
    write_lines(tmp_path / "dev.jsonl", {"utterances": [{"text": "y"}]})
    splits = read_dialogues(tmp_path)
    assert {split: [d.id for d in dialogues] for split, dialogues in splits.items()} == {"train": [7, 8], "dev": [None]}
    first, second = splits["train"][0]
    assert (first.id, first.text) == (3, "one\u2028line")
    assert (second.text, dict(second.missing)) == (None, {"text": "the data hold no words of it"})


@pytest.mark.parametrize("place", ["own.safetensors", "features/own.npz"])
def test_features_are_attached_by_key(tmp_path: Path, place: str) -> None:
    arrays = {
        "test/b/0/text_features": np.arange(3, dtype=np.float32),
        "train/a/2/audio_features": np.arange(4, dtype=np.float32),
        "train/a/2/action_units": np.full((2, 1, 5), np.nan, np.float32),
        "train/a/2/face_ids": np.full((2, 1), -1),
    }
    path = write(tmp_path) / place
    path.parent.mkdir(exist_ok=True)
    save_file(arrays, path) if path.suffix == ".safetensors" else np.savez(path, **arrays)  # type: ignore[arg-type]
    splits = read_dialogues(tmp_path)
    without, second = splits["train"][0]
    assert without.audio_features is None
    for utterance, key in ((splits["test"][0][0], "test/b/0"), (second, "train/a/2")):
        for name in [name for name in arrays if name.startswith(key)]:
            np.testing.assert_array_equal(getattr(utterance, name.rpartition("/")[2]), arrays[name])


def test_an_utterance_may_be_features_alone(tmp_path: Path) -> None:
    write(tmp_path, "dialogue,utterance\na,0\n")
    with pytest.raises(ValueError, match=r"dialogues\.csv, dialogue a: Utterance 1: .* needs one modality"):
        read_dialogues(tmp_path)
    save_file({"train/a/0/visual_features": np.ones(2, np.float32)}, tmp_path / "own.safetensors")
    assert read_dialogues(tmp_path)["train"][0][0].visual_features is not None


@pytest.mark.parametrize(
    ("table", "encoding"),
    [
        ("dialogue,text,speaker,label,start,end\n1,Où es-tu?,Zoé,anger,0.5,1.0\n1,Ici,Ben,joy,,\n", "cp1252"),
        (
            "dialogue\ttext\tspeaker\tlabel\tstart\tend\n1\tOù es-tu?\tZoé\tanger\t0.5\t1.0\n1\tIci\tBen\tjoy\t\t\n",
            "utf-16",
        ),
        ("dialogue;text;speaker;label;start;end\n1;Où es-tu?;Zoé;anger;0,5;1,0\n1;Ici;Ben;joy;;\n", "utf-8-sig"),
        ("sep=;\ndialogue;text;speaker;label;start;end\n1;Où es-tu?;Zoé;anger;0,5;1,0\n1;Ici;Ben;joy;;\n", "cp1252"),
        (
            "Dialogue_ID,Utterance,Speaker,Emotion,Start_ms,End_ms\n1.0,Où es-tu?,Zoé,anger,500,1000\n1.0,Ici,Ben,joy,,\n",
            "utf-8",
        ),
        (
            '"conversation","transcript","who","emotion","begin","stop"\n1,Où es-tu?,Zoé,anger,0:00:00.5,0:00:01\n1,Ici,Ben,joy,,\n',
            "utf-8",
        ),
    ],
)
def test_csv_as_spreadsheets_save_it(tmp_path: Path, table: str, encoding: str) -> None:
    (tmp_path / "dialogues.csv").write_bytes(table.replace("\n", "\r\n").encode(encoding))
    ((dialogue,),) = read_dialogues(tmp_path).values()
    assert dialogue.id == "1"
    assert [(u.speaker, u.text, u.label, u.start, u.end) for u in dialogue] == [
        ("Zoé", "Où es-tu?", "anger", 0.5, 1.0),
        ("Ben", "Ici", "joy", None, None),
    ]


def test_columns_that_were_not_understood_are_named(tmp_path: Path) -> None:
    write(tmp_path, "dialogue,text,arousal\na,Hi,0.5\n")
    with pytest.warns(UserWarning, match=r"^dialogues\.csv: the columns arousal were not used\.$"):
        read_dialogues(tmp_path)


@pytest.mark.parametrize("name", ["dev", "val", "valid", "validation", "eval", "my_val-01", "Validation"])
def test_names_of_splits(tmp_path: Path, name: str) -> None:
    write_lines(tmp_path / "train.jsonl", {"id": "a", "utterances": [{"text": "x"}]})
    write_lines(tmp_path / f"{name}.jsonl", {"id": "b", "utterances": [{"text": "y"}]})
    assert {split: [one.id for one in found] for split, found in read_dialogues(tmp_path).items()} == {
        "train": ["a"],
        "dev": ["b"],
    }
    write(tmp_path, f"dialogue,text,split\na,Hi,train\nb,Ho,{name.split('_')[-1].split('-')[0]}\n")
    for path in tmp_path.glob("*.jsonl"):
        path.unlink()
    assert list(read_dialogues(tmp_path)) == ["train", "dev"]


@pytest.mark.parametrize("name", ["held", "train_dev", "vali"])
def test_a_name_that_is_no_split_is_refused(tmp_path: Path, name: str) -> None:
    write_lines(tmp_path / "train.jsonl", {"utterances": [{"text": "x"}]})
    write_lines(tmp_path / f"{name}.jsonl", {"utterances": [{"text": "y"}]})
    with pytest.raises(ValueError, match=rf"{name}\.jsonl must be named after its split, one of train, .*validation"):
        read_dialogues(tmp_path)


def test_own_labels(tmp_path: Path) -> None:
    write(tmp_path, "dialogue,text,label\na,Hi,calm\na,Ho,upset\n")
    (tmp_path / "labels.txt").write_text("calm\n\nupset\n")
    assert read_labels(tmp_path) == ["calm", "upset"]
    splits = read_dialogues(tmp_path)
    check_labels(splits, ["upset", "calm"])
    with pytest.raises(
        ValueError, match=r"A label of train must be one of joy, found 'calm', 'upset'; .* `model\.labels`"
    ):
        check_labels(splits, ["joy"])
    (tmp_path / "labels.txt").write_text("calm\njoy\n")
    with pytest.raises(ValueError, match="utterance 2: a label must be one of calm, joy, found 'upset'"):
        read_dialogues(tmp_path)
    (tmp_path / "labels.txt").write_text("calm\ncalm\n")
    with pytest.raises(ValueError, match="two labels or more"):
        read_labels(tmp_path)


def test_splits_can_be_drawn(tmp_path: Path) -> None:
    write(tmp_path, "dialogue,text\n" + "".join(f"d{n},words {n}\n" for n in range(20)))
    assert [d.id for d in read_dialogues(tmp_path)["train"]] == [f"d{n}" for n in range(20)]
    drawn = read_dialogues(tmp_path, shares={"train": 0.6, "dev": 0.15, "test": 0.25})
    assert [len(dialogues) for dialogues in drawn.values()] == [12, 3, 5]
    write(tmp_path)
    with pytest.raises(ValueError, match="where a folder has none, found train, test"):
        read_dialogues(tmp_path, shares={"train": 1.0})


def test_as_a_table(tmp_path: Path) -> None:
    assert load_dialogues(write(tmp_path))["train"][0]["utterances"][0]["text"] == "Hi, you"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("text,speaker\nHi,Ann\n", r"must have the column dialogue .* found text, speaker; rename"),
        ("", r"must have the column dialogue .* found nothing"),
        ("dialogue,text\n", r"dialogues\.csv must hold one utterance, found none"),
        ("dialogue,text\na,Hi\n,Ho\n", r"dialogues\.csv, line 3: a row must name its dialogue"),
        ("dialogue,text,speaker\na,Hi, you,Ann\n", "line 2: a row must have a value per column, found 1 more"),
        ("dialogue,text,split\na,Hi,held\n", r"line 2: a split must be one of train, dev, test \(.*\), found 'held'"),
        ("dialogue,text,start\na,Hi,soon\n", "line 2: `start` must be in seconds, found 'soon'"),
        ("dialogue,text,start,end\na,Hi,2,1\n", "dialogue a: Utterance 1: An utterance must end after it starts"),
        (
            "dialogue,text,label\na,Hi,joy\na,Ho,mirth\n",
            "dialogue a, utterance 2: a label .* joy, anger, found 'mirth'",
        ),
        ("dialogue,text,recording\na,Hi,a.mp4\na,Ho,\n", r"line 3: all rows of dialogue a .* found a\.mp4 and None"),
        ("dialogue,utterance,text\na,1,Hi\na,1,Ho\n", "keys must be unique, found train/a/1 twice"),
        ("dialogue,text,video\na,Hi,c.mp4\n", r"dialogue a: a recording must be a file in .*, found none at c\.mp4"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        read_dialogues(write(tmp_path, table), labels=("joy", "anger"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{no", r"train\.jsonl, line 2 must be valid JSON"),
        ('["Hi"]', r"line 2 must be an object with a list of `utterances`"),
        ('{"utterances": ["Hi"]}', r"line 2 must be an object with a list of `utterances`"),
        ('{"utterances": []}', "line 2: A dialogue needs one utterance at least"),
        ('{"utterances": [{"txt": "Hi"}]}', "line 2: Utterance 1: An utterance has no field txt"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "train.jsonl").write_text('{"utterances": [{"text": "Hi"}]}\n' + line)
    with pytest.raises(ValueError, match=message):
        read_dialogues(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/a/1/text_features", "found 'train/a/1/text_features'; rename it"),
        ("test/a/0/text_features", "found 'test/a/0/text_features'; rename it"),
        ("train/a/0/emotion", "found 'train/a/0/emotion'; rename it"),
        ("train/a/0/action_units", r"dialogue a: Utterance 1: `action_units` .* \[F, P, A\], found \[2\]"),
    ],
)
def test_an_array_that_belongs_nowhere_is_named(tmp_path: Path, name: str, message: str) -> None:
    save_file({name: np.ones(2, np.float32)}, write(tmp_path) / "own.safetensors")
    with pytest.raises(ValueError, match=message):
        read_dialogues(tmp_path)


def test_a_bad_file_of_features_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("own.safetensors", "own.npz"):
        (tmp_path / name).write_bytes(b"not arrays")
        with pytest.raises(ValueError, match=f"{name} must be a file of plain arrays"):
            read_dialogues(tmp_path)
        (tmp_path / name).unlink()
    for name in ("one.safetensors", "two.safetensors"):
        save_file({"train/a/0/text_features": np.ones(2, np.float32)}, tmp_path / name)
    with pytest.raises(ValueError, match=r"two\.safetensors .* 'train/a/0/text_features' a second time"):
        read_dialogues(tmp_path)


def test_a_wrong_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"either dialogues\.csv or \*\.jsonl, found none in"):
        read_dialogues(tmp_path)
    write_lines(write(tmp_path) / "train.jsonl", {"utterances": [{"text": "x"}]})
    with pytest.raises(FileNotFoundError, match="found both in"):
        read_dialogues(tmp_path)


def test_files_without_dialogues_are_named(tmp_path: Path) -> None:
    for name in ("dev.jsonl", "train.jsonl"):
        (tmp_path / name).write_text("\n")
    with pytest.raises(ValueError, match=r"dev\.jsonl, train\.jsonl must hold one utterance, found none"):
        read_dialogues(tmp_path)
