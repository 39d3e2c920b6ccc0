"""Acted speech to dialogues, on made-up trees of the names that the five corpora give their files."""

from collections.abc import Iterable
from itertools import chain, product
from pathlib import Path

import pytest

from m2fnet_hf import Dialogue, Utterance, load_acted
from m2fnet_hf.data.acted_dialogues import LONGEST, read_acted_dialogues

RAVDESS = [
    f"Actor_{actor:02d}/03-01-{emotion:02d}-01-0{text}-01-{actor:02d}.wav"
    for actor, emotion, text in product(range(1, 13), range(1, 9), (1, 2))
]
CREMAD = [
    f"AudioWAV/{actor}_{text}_{emotion}_XX.wav"
    for actor, text, emotion in product(range(1001, 1011), ("IEO", "DFA"), ("ANG", "HAP", "NEU"))
]
EMODB = [
    f"wav/{speaker:02d}{text}{emotion}a.wav"
    for speaker, text, emotion in product((3, 8, 9, 10, 11), ("a01", "b10"), "WLFN")
]
SAVEE = [
    f"AudioData/{speaker}/{emotion}{number:02d}.wav"
    for speaker, emotion, number in product(("DC", "JE", "JK", "KL"), ("a", "sa", "su", "n"), (1, 2))
]
TESS = [
    f"{speaker}_{emotion}/{speaker}_{word}_{emotion}.wav"
    for speaker, word, emotion in product(("OAF", "YAF"), ("back", "bar"), ("angry", "ps", "neutral"))
]
TREES = {"ravdess": RAVDESS, "cremad": CREMAD, "emodb": EMODB, "savee": SAVEE, "tess": TESS}


def make(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def utterances(dialogues: Iterable[Dialogue]) -> list[Utterance]:
    return [utterance for dialogue in dialogues for utterance in dialogue]


@pytest.mark.parametrize(
    ("corpus", "sizes"),
    [
        ("ravdess", {"train": 7, "dev": 2, "test": 3}),
        ("cremad", {"train": 6, "dev": 2, "test": 2}),
        ("emodb", {"train": 3, "dev": 1, "test": 1}),
        ("savee", {"train": 2, "dev": 1, "test": 1}),
        ("tess", {"train": 1, "test": 1}),
    ],
)
def test_a_dialogue_is_what_one_speaker_said_and_no_speaker_is_in_two_splits(
    tmp_path: Path, corpus: str, sizes: dict[str, int]
) -> None:
    splits = read_acted_dialogues(make(tmp_path, TREES[corpus]))
    assert {split: len(dialogues) for split, dialogues in splits.items()} == sizes
    everything = [dialogue for dialogues in splits.values() for dialogue in dialogues]
    assert all({utterance.speaker for utterance in dialogue} == {dialogue.id} for dialogue in everything)
    assert len({dialogue.id for dialogue in everything}) == len(everything)
    said = utterances(everything)
    assert sorted(str(one.video) for one in said) == sorted(str(tmp_path / name) for name in TREES[corpus])
    assert all(one.id == Path(str(one.video)).stem for one in said)
    assert all((one.text is None) == (corpus == "savee") == ("text" in one.missing) for one in said)


def test_labels_are_melds_or_the_corpuss_own(tmp_path: Path) -> None:
    make(tmp_path, RAVDESS + EMODB)
    for target, wanted in (
        ("emotion", {"03-01-02-01-01-01-05": "neutral", "03-01-08-01-01-01-05": "surprise", "03a01La": None}),
        ("acted", {"03-01-02-01-01-01-05": "calm", "03-01-08-01-01-01-05": "surprised", "03a01La": "bored"}),
    ):
        splits = read_acted_dialogues(tmp_path, target)
        labels = {one.id: one.label for dialogues in splits.values() for one in utterances(dialogues)}
        assert {name: labels[name] for name in wanted} == wanted
    with pytest.raises(ValueError, match="The target must be one of emotion, acted, found 'sentiment'"):
        read_acted_dialogues(tmp_path, "sentiment")


def test_corpora_are_told_apart_by_their_names_and_each_is_in_each_split(tmp_path: Path) -> None:
    for corpus, names in TREES.items():
        make(tmp_path / corpus, names)
    splits = read_acted_dialogues(tmp_path)
    for split, missing in (("train", set()), ("dev", {"tess"}), ("test", set())):
        found = {str(one.id).split("-")[0] for one in splits[split]}
        assert found == set(TREES) - missing
    assert len(utterances(chain(*splits.values()))) == sum(map(len, TREES.values()))
    only = read_acted_dialogues(tmp_path / "emodb", corpus="emodb")
    assert {str(one.id)[:5] for dialogues in only.values() for one in dialogues} == {"emodb"}


def test_what_is_of_no_corpus_is_named(tmp_path: Path) -> None:
    make(tmp_path, [*EMODB, "wav/holiday.wav", "wav/03a99Fa.wav", "README.md"])
    with pytest.warns(UserWarning, match=r"^2 files of acted speech are left out: ") as warned:
        splits = read_acted_dialogues(tmp_path)
    assert "wav/holiday.wav (not named as ravdess or cremad or emodb or savee or tess names files)" in str(
        warned[0].message
    )
    assert "wav/03a99Fa.wav (unknown code 'a99')" in str(warned[0].message)
    assert len(utterances(chain(*splits.values()))) == len(EMODB)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="must hold files named as ravdess or cremad"):
        read_acted_dialogues(tmp_path / "empty")


def test_a_clip_that_is_there_twice_is_read_once_and_with_its_picture(tmp_path: Path) -> None:
    videos = [name.replace("AudioWAV", "VideoFlash").replace(".wav", ".flv") for name in CREMAD]
    make(tmp_path, [*CREMAD, *videos])
    with pytest.warns(UserWarning, match=f"^{len(CREMAD)} files of acted speech are left out: .* is in .* too"):
        splits = read_acted_dialogues(tmp_path)
    assert sorted(str(one.video) for one in utterances(chain(*splits.values()))) == sorted(
        str(tmp_path / name) for name in videos
    )


def test_emotions_come_in_no_order_and_the_seed_says_in_which(tmp_path: Path) -> None:
    make(tmp_path, RAVDESS)

    def orders(seed: int) -> dict[str, list]:
        splits = read_acted_dialogues(tmp_path, seed=seed)
        return {
            f"{split} {one.id}": [utterance.id for utterance in one]
            for split, dialogues in splits.items()
            for one in dialogues
        }

    assert orders(0) == orders(0)
    assert orders(0).keys() != orders(1).keys()
    assert all(order != sorted(order) for order in orders(0).values())


def test_a_long_speaker_becomes_several_dialogues(tmp_path: Path) -> None:
    names = [f"OAF_word{number}_angry.wav" for number in range(2 * LONGEST + 1)]
    (train,) = read_acted_dialogues(make(tmp_path, names)).values()
    assert [one.id for one in train] == ["tess-OAF-1", "tess-OAF-2", "tess-OAF-3"]
    assert [len(list(one)) for one in train] == [43, 43, 43]


def test_a_table(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    from m2fnet_hf.data.table import to_dialogues

    tables = load_acted(make(tmp_path, SAVEE))
    dialogues = read_acted_dialogues(tmp_path)
    assert list(tables) == list(dialogues) == ["train", "dev", "test"]
    for split, table in tables.items():
        again = to_dialogues(table)
        assert [one.id for one in again] == [one.id for one in dialogues[split]]
        for one, other in zip(utterances(again), utterances(dialogues[split]), strict=True):
            assert (one.id, one.label, one.speaker, one.video) == (other.id, other.label, other.speaker, other.video)
            assert one.missing == other.missing
