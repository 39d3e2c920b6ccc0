import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from m2fnet_hf import Dialogue, Utterance
from m2fnet_hf.data.table import iter_dialogues, to_dialogues, to_table, to_tables

NAN = float("nan")


def assert_same(one: Dialogue, other: Dialogue) -> None:
    assert (one.id, one.recording) == (other.id, other.recording)
    for ours, theirs in zip(one, other, strict=True):
        for name, value in vars(ours).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(getattr(theirs, name), value, strict=True, err_msg=name)
            else:
                assert getattr(theirs, name) == value, name


@pytest.fixture
def dialogues() -> list[Dialogue]:
    random = np.random.default_rng(0)
    faces = {
        "action_units": np.where(np.eye(3, 2)[..., None] > 0, NAN, random.random((3, 2, 5))).astype(np.float32),
        "appearance": random.random((3, 2, 4), np.float32),
        "face_boxes": random.random((3, 2, 4), np.float32),
        "face_areas": random.random((3, 2), np.float32),
        "face_ids": np.array([[0, -1], [0, 1], [-1, -1]]),
        "face_times": np.array([0.1, 0.2, 1 / 3]),
    }
    features = {name: random.random(6, np.float32) for name in ("text_features", "audio_features", "visual_features")}
    full = Utterance(text="Hi “you”", speaker="Ann", start=0.1, end=1 / 3, label="joy", video="a.mp4", id=3, **features)
    seen = Utterance(id=7, audio=random.random(9, np.float32), sampling_rate=16_000, **faces)
    masked = Utterance(id=9, text="Ho", missing={"audio": "it is not there", "visual": "it is dark"})
    return [Dialogue([full, seen], id=4, recording="talk.mp4"), Dialogue([masked], id=60)]


def test_nothing_is_lost(dialogues: list[Dialogue]) -> None:
    for one, other in zip(dialogues, to_dialogues(to_table(dialogues)), strict=True):
        assert_same(one, other)


def test_tables_can_be_written_and_streamed(dialogues: list[Dialogue], tmp_path: Path) -> None:
    from datasets import load_dataset

    path = str(tmp_path / "train.parquet")
    to_table(dialogues).to_parquet(path)
    stream = load_dataset("parquet", data_files=path, split="train", streaming=True, cache_dir=str(tmp_path / "hub"))
    for one, other in zip(dialogues, iter_dialogues(stream), strict=True):
        assert_same(one, other)


def test_columns_of_arrays_are_there_where_there_are_arrays(dialogues: list[Dialogue]) -> None:
    plain = to_table(dialogues[1:]).features["utterances"].feature
    assert set(plain) == {"id", "text", "speaker", "start", "end", "label", "video", "sampling_rate", "missing"}
    splits = to_tables({"train": dialogues[:1], "test": dialogues[1:]})
    assert splits["train"].features == splits["test"].features


def test_all_ids_are_of_one_kind() -> None:
    dialogues = [Dialogue([{"text": "a"}], id=key) for key in (1, None)]
    assert [dialogue.id for dialogue in to_dialogues(to_table(dialogues))] == [1, None]
    with pytest.raises(ValueError, match="all numbers or all strings"):
        to_table([*dialogues, Dialogue([{"text": "b"}], id="b")])


def test_paths_are_strings_and_precision_is_single() -> None:
    given = Dialogue([{"text": "a", "video": Path("a.mp4"), "audio_features": np.array([1 / 3])}], recording=Path("b"))
    (found,) = to_dialogues(to_table([given]))
    assert (found[0].video, found.recording) == ("a.mp4", "b")
    assert found[0].audio_features == np.float32(1 / 3)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.delitem(sys.modules, "m2fnet_hf.data.table")
    with pytest.raises(ImportError, match=r"needs datasets, found none; pip install 'm2fnet-hf\[train\]'"):
        import_module("m2fnet_hf.data.table")
