from collections.abc import Sequence
from random import Random

import pytest

from m2fnet_hf import Dialogue
from m2fnet_hf.data.splits import split_dialogues


def dialogues(count: int, texts: Sequence[str] = ()) -> list[Dialogue]:
    return [Dialogue([{"text": texts[n] if n < len(texts) else f"words {n}"}], id=n) for n in range(count)]


def ids(splits: dict[str, list[Dialogue]]) -> dict[str, list]:
    return {name: [dialogue.id for dialogue in members] for name, members in splits.items()}


def test_the_shares_of_the_report() -> None:
    splits = ids(split_dialogues(dialogues(200)))
    assert {name: len(members) for name, members in splits.items()} == {"train": 120, "dev": 30, "test": 50}
    assert sorted(key for members in splits.values() for key in members) == list(range(200))


def test_order_does_not_matter_and_seed_does() -> None:
    given = dialogues(40)
    shuffled = Random(3).sample(given, len(given))
    assert ids(split_dialogues(given)) == ids(split_dialogues(shuffled))
    assert ids(split_dialogues(given)) != ids(split_dialogues(given, seed=1))


def test_dialogues_of_the_same_words_stay_together() -> None:
    given = dialogues(40, ["same"] * 12)
    for seed in range(5):
        splits = ids(split_dialogues(given, seed=seed))
        assert sum(bool(set(range(12)) & set(members)) for members in splits.values()) == 1


def test_dialogues_without_words_are_told_apart() -> None:
    given = [Dialogue([{"video": f"{n}.mp4"}], id=n) for n in range(20)]
    assert [len(members) for members in split_dialogues(given).values()] == [12, 3, 5]


@pytest.mark.parametrize("shares", [{"train": 0.5, "test": 0.4}, {"train": 1.0, "test": 0.0}, {"a": 1.5, "b": -0.5}])
def test_shares_must_be_shares(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0 and sum to 1"):
        split_dialogues(dialogues(10), shares)


def test_too_few_to_split() -> None:
    with pytest.raises(ValueError, match="enough different dialogues for train, dev, test, found 3, which leaves none"):
        split_dialogues(dialogues(3))
