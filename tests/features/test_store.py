"""Features are written whole, found by key, and read where and when they are asked for."""

import json
import resource
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from m2fnet_hf import Dialogue, Utterance
from m2fnet_hf.data.meld import load_meld_split
from m2fnet_hf.features import store as features
from m2fnet_hf.features.index import INDEX, KeysMet, open_index, write_index
from m2fnet_hf.features.store import FeatureWriter, claim, keyed, open_features

NAN = float("nan")
FIRST = {"id": 3, "speaker": "Ann", "text": "You came!", "label": "joy", "start": 0.5, "end": 1.5}


def featured(name: Any = 7, seed: int = 0) -> Dialogue:
    """Text, sound and a face; then nothing but sound; then nothing but the reason for it."""
    random = np.random.default_rng(seed)
    return Dialogue(
        [
            {
                **FIRST,
                "text_features": random.random(4, dtype=np.float32),
                "audio_features": random.random(3, dtype=np.float32),
                "action_units": np.array([[[0.25, 0.5]], [[NAN, NAN]]], np.float32),
                "face_areas": np.array([[0.125], [NAN]], np.float32),
                "face_ids": np.array([[0], [-1]]),
            },
            {"audio_features": random.random(3, dtype=np.float32), "missing": {"visual": "no face was found"}},
            {"id": "5", "missing": {"audio": "b.mp4 has no sound"}},
        ],
        id=name,
    )


def write(folder: Path, dialogues: list[Dialogue], split: str = "train", **settings: str) -> Path:
    claim(folder, {"audio": {"size": 3}})
    with FeatureWriter(folder / split, **settings) as writer:
        for dialogue in dialogues:
            writer.add(dialogue)
    return folder


def values(dialogue: Dialogue) -> list[dict[str, Any]]:
    return [
        {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(utterance).items()}
        for utterance in dialogue
    ]


def same(one: Dialogue, other: Dialogue) -> bool:
    """NaN equals itself here."""
    return one.id == other.id and repr(values(one)) == repr(values(other))


def told(dialogue: Dialogue) -> Dialogue:
    """The dialogue as its data set has it, with media instead of features."""
    audio = {"audio": np.zeros(9), "sampling_rate": 16_000, "video": "clip.mp4"}
    plain = ("id", "speaker", "text", "label", "start", "end")
    return Dialogue([{**{name: getattr(u, name) for name in plain}, **audio} for u in dialogue], id=dialogue.id)


def test_dialogues_come_back_without_their_data_set(tmp_path: Path) -> None:
    dialogues = [featured(name, seed) for seed, name in enumerate([7, "a/b", "a"])]
    store = open_features(write(tmp_path, dialogues))
    assert store.splits == ["train"]
    found = store.dialogues("train")
    assert [one.id for one in found] == [7, "a", "a/b"]
    for one, other in zip(found, [dialogues[0], dialogues[2], dialogues[1]], strict=True):
        assert same(one, other)
    assert same(found[-1], found[-2:][1])
    assert found[0][0].text_features.dtype == np.float32


def test_features_are_attached_by_key(tmp_path: Path) -> None:
    dialogues = [featured(name, name) for name in (2, 10, 1)]
    store = open_features(write(tmp_path, dialogues))
    relabelled = Dialogue(
        [one.replace(label="anger", missing={"text": "nobody typed it"}) for one in told(dialogues[1])], id=10
    )
    attached = store.attach([relabelled, told(dialogues[0])], "train")
    assert [one.id for one in attached] == [10, 2]
    expected = [one.replace(label="anger", missing={"text": "nobody typed it", **one.missing}) for one in dialogues[1]]
    assert same(attached[0], Dialogue(expected, id=10))


@pytest.mark.parametrize("change", [{"text": "You left!"}, {"speaker": "Ben"}, {"id": 4}])
def test_other_words_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    store = open_features(write(tmp_path, [featured()]))
    first, *others = told(featured())
    with pytest.raises(ValueError, match="Dialogue 7 of train must have the utterances, speakers and words"):
        store.attach([Dialogue([first.replace(**change), *others], id=7)], "train")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    store = open_features(write(tmp_path, [featured()]))
    with pytest.raises(ValueError, match="holds no features of dialogue 8 of train; extract"):
        store.attach([told(featured(8))], "train")
    with pytest.raises(ValueError, match="holds features of train, found no dev"):
        store.dialogues("dev")
    with pytest.raises(FileNotFoundError, match=r"must hold features\.json"):
        open_features(tmp_path / "train")


def test_keys_must_be_of_one_thing_each() -> None:
    with pytest.raises(ValueError, match="found none for number 2 of dev"):
        list(keyed([featured(), featured(None)], "dev", KeysMet()))
    with pytest.raises(ValueError, match="found 7 twice in dev"):
        list(keyed([featured(), {"id": "7"}], "dev", KeysMet()))
    with pytest.raises(ValueError, match="dialogue 1 must have different ids, found 3, 3"):
        FeatureWriter(Path()).add(Dialogue([FIRST, {**FIRST, "id": "3"}], id=1))


def test_a_position_is_no_id(tmp_path: Path) -> None:
    """The second utterance goes by its position, 1; the third has the same as its id."""
    rows = [{"text": "yes", "id": name, "text_features": np.full(2, float(n))} for n, name in enumerate([0, None, 1])]
    (found,) = open_features(write(tmp_path, [Dialogue(rows, id=0)])).dialogues("train")
    assert [one.text_features.tolist() for one in found] == [[0, 0], [1, 1], [2, 2]]


class Vectors(Dataset):
    """Module level, for a process that is started anew."""

    def __init__(self, dialogues: Any) -> None:
        self.dialogues = dialogues

    def __len__(self) -> int:
        return len(self.dialogues)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.dialogues[index][0].text_features


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_for_themselves(tmp_path: Path, start: str) -> None:
    found = open_features(write(tmp_path, [featured(name, name) for name in range(4)])).dialogues("train")
    expected = [one[0].text_features.tolist() for one in found]  # opened here first
    loader = DataLoader(Vectors(found), num_workers=1, multiprocessing_context=start)
    assert [one[0].tolist() for one in loader] == expected


def test_half_precision_is_within_its_bits_and_smaller(tmp_path: Path) -> None:
    dialogue = Dialogue([featured()[0].replace(text_features=np.random.default_rng(0).normal(size=4_000))], id=0)
    half, full = (write(tmp_path / dtype, [dialogue], dtype=dtype) for dtype in ("float16", "float32"))
    (read,) = open_features(half).dialogues("train")
    assert read[0].text_features.dtype == np.float32
    np.testing.assert_allclose(read[0].text_features, dialogue[0].text_features, rtol=2**-11, atol=2**-25)
    assert read[0].face_ids.tolist() == [[0], [-1]]
    small, large = (next(folder.rglob("*.safetensors")).stat().st_size for folder in (half, full))
    assert 8_000 <= large - small <= 8_100


def test_values_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    large = Dialogue([Utterance(text_features=np.array([70_000.0]))], id=0)
    with pytest.raises(ValueError, match="at most 65504 to be stored as float16"):
        write(tmp_path / "half", [large], dtype="float16")
    write(tmp_path / "full", [large])
    with pytest.raises(ValueError, match="one of float32, float16, found 'int8'"):
        FeatureWriter(tmp_path, dtype="int8")


def test_an_index_is_read_before_the_shards_and_made_up_for(tmp_path: Path) -> None:
    store = open_features(write(tmp_path, [featured(1), featured(2)]))
    rebuilt = dict(store.records("train"))
    assert list(rebuilt) == ["1", "2"]
    untouched = (tmp_path / "train" / INDEX).stat().st_mtime_ns
    assert [one.id for one in store.dialogues("train")] == [1, 2]
    assert (tmp_path / "train" / INDEX).stat().st_mtime_ns == untouched
    write(tmp_path, [featured(3)])
    assert list(store.records("train")) == ["1", "2", "3"], "it lacks a shard"
    (tmp_path / "train" / rebuilt["1"]["shard"]).unlink()
    assert list(store.records("train")) == ["3"], "it has one that is gone"
    assert not list(tmp_path.rglob("*.part*"))


def flipped(content: bytes) -> bytes:
    return content[:-30] + bytes([content[-30] ^ 1]) + content[-29:]


SPOILT = {
    "flipped": flipped,
    "cut": lambda content: content[:-100],
    "empty": lambda _: b"",
    "other": lambda _: b"x" * 999,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_index_is_made_again(tmp_path: Path, spoil: Any) -> None:
    store = open_features(write(tmp_path, [featured(1), featured(2)]))
    index = tmp_path / "train" / INDEX
    store.records("train")
    whole = index.read_bytes()
    index.write_bytes(spoil(whole))
    assert [one.id for one in store.dialogues("train")] == [1, 2]
    assert index.read_bytes() == whole


def test_an_index_that_somebody_changed_is_made_again(tmp_path: Path) -> None:
    store = open_features(write(tmp_path, [featured(1), featured(2)]))
    store.records("train")
    with closing(sqlite3.connect(tmp_path / "train" / INDEX)) as index, index:
        index.execute("DELETE FROM dialogues WHERE key = '2'")
    assert [one.id for one in store.dialogues("train")] == [1, 2]


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_shard_is_never_believed(tmp_path: Path, spoil: Any) -> None:
    store = open_features(write(tmp_path, [featured(1)]))
    found = store.dialogues("train")
    (shard,) = tmp_path.rglob("*.safetensors")
    shard.write_bytes(spoil(shard.read_bytes()))
    with pytest.raises(ValueError, match=r"safetensors must be as it was written, found it spoilt; extract again"):
        found[0]


def test_the_same_dialogues_are_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in "ab":
        folder = write(tmp_path / name, [featured(1), featured(2)])
        open_features(folder).records("train")
        contents.append({path.name: path.read_bytes() for path in (folder / "train").iterdir()})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 2


def test_what_came_twice_is_counted_once(tmp_path: Path) -> None:
    write(tmp_path, [featured(1), featured(2)])
    write(tmp_path, [featured(2)])
    index = open_index(tmp_path / "train")
    assert (list(index), index.again) == (["1", "2"], ["2"])


def test_what_was_met_and_is_lost_is_found_by_split(tmp_path: Path) -> None:
    index = open_index(write(tmp_path, [featured(1), featured(2)]) / "train")
    with KeysMet() as met:
        assert [met.add("train", key) for key in ("1", "3", "2", "1")] == [True, True, True, False]
        assert met.add("dev", "1")
        assert [(met.count(split), met.lost(split, index)) for split in ("train", "dev")] == [(3, ["3"]), (1, [])]


def test_an_index_takes_no_memory(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        """Bytes that it takes to index, open and read through that number of dialogues."""
        folder = write(tmp_path / str(count), [Dialogue([{"text": "yes"}] * 2, id=number) for number in range(count)])
        tracemalloc.start()
        write_index(folder / "train")
        found = open_features(folder).dialogues("train")
        assert sum(1 for _ in found._records.read_all()) == len(found) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    few, many = peak(200), peak(2_000)
    assert many - few < 1_800 * 150, "little more than a key each"


def test_no_more_shards_stay_open_than_are_meant_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "UTTERANCES_PER_SHARD", 1)
    monkeypatch.setattr(features, "OPEN_SHARDS", 2)
    found = open_features(write(tmp_path, [featured(name, name) for name in range(4)])).dialogues("train")
    for _ in range(2):
        assert all(same(one, featured(name, name)) for name, one in enumerate(found))
        assert len(found._open) == 2


def test_a_shard_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (shard,) = write(tmp_path, [featured()]).rglob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(ValueError, match=rf"{shard.name} must be a shard of features.*extract again"):
        write_index(tmp_path / "train")
    assert list((tmp_path / "train").iterdir()) == [shard], "nothing half is left"


def test_a_full_disk_costs_only_what_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "UTTERANCES_PER_SHARD", 3)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    large = Dialogue([Utterance(text_features=np.zeros(100_000))], id=3)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(OSError, match=r"safetensors must be written, found no room for it; make room"):
            write(tmp_path, [featured(1), featured(2), large])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(list((tmp_path / "train").iterdir())) == 2, "nothing half is left"
    assert list(open_index(tmp_path / "train")) == ["1", "2"]


def test_an_interrupted_writer_writes_what_an_undisturbed_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "UTTERANCES_PER_SHARD", 6)
    write(tmp_path / "whole", [featured(number) for number in range(4)])

    def interrupted() -> None:
        claim(tmp_path, {"audio": {"size": 3}})
        with FeatureWriter(tmp_path / "train") as writer:
            for number in range(3):
                writer.add(featured(number))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(open_index(tmp_path / "train")) == ["0", "1"]
    write(tmp_path, [featured(2), featured(3)])
    names = [{path.name for path in folder.glob("train/*.safetensors")} for folder in (tmp_path, tmp_path / "whole")]
    assert names[0] == names[1]


def test_meld_comes_back_word_for_word(tmp_path: Path, meld_root: Path) -> None:
    dialogues = load_meld_split(meld_root, "dev")
    store = open_features(write(tmp_path, dialogues, "dev"))
    for one, other in zip(store.attach(dialogues, "dev"), dialogues, strict=True):
        assert same(one, other)
    assert {one.id for one in store.dialogues("dev")} == {one.id for one in dialogues}


def test_a_folder_goes_on_with_what_made_it(tmp_path: Path) -> None:
    made = {"version": "1", "text": {"context": "past", "size": 3}, "faces": (1, 2)}
    claim(tmp_path, made)
    (tmp_path / "processor_config.json").touch()
    claim(tmp_path, {**made, "version": "2"})
    assert json.loads((tmp_path / features.SETTINGS).read_text())["version"] == "1"
    with pytest.raises(ValueError, match=r"found that text\.context was past and is both; use the same"):
        claim(tmp_path, {**made, "text": {"context": "both", "size": 3}})
    with pytest.raises(ValueError, match=r"faces was \[1, 2\] and is \[1\], text\.size was 3 and is None;"):
        claim(tmp_path, {"faces": [1], "text": {"context": "past"}})
