"""Dialogues to splits, by dialogue and by seed."""

import math
import re
from collections.abc import Iterable, Mapping
from random import Random

from ..dialogue_m2fnet import Dialogue

SPLITS = ("train", "dev", "test")
# What a split may be called.
SPLIT_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("dev", "devel", "development", "val", "valid", "validation", "eval", "evaluation"), "dev"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
REPORT_SHARES: Mapping[str, float] = {"train": 0.60, "dev": 0.15, "test": 0.25}


def split_dialogues(
    dialogues: Iterable[Dialogue], shares: Mapping[str, float] = REPORT_SHARES, seed: int = 0
) -> dict[str, list[Dialogue]]:
    """Dialogues by split, the same ones whatever the order in which they come.

    Dialogues of the same words go to one split, so that none is learnt and then asked for.

    Args:
        dialogues: each goes to one split as a whole.
        shares: of the dialogues in each split, 1 in all. Default: the report's 60, 15 and 25 %.
        seed: of the draw.

    Raises:
        ValueError: for shares that do not sum to 1, or fewer different dialogues than leave one for each split.
    """
    if min(shares.values()) <= 0 or not math.isclose(sum(shares.values()), 1):
        raise ValueError(f"The shares of the splits must be above 0 and sum to 1, found {dict(shares)}; correct them.")
    ordered = sorted(dialogues, key=lambda dialogue: (str(dialogue.id), _words(dialogue)))
    groups: dict[object, list[int]] = {}
    for number, dialogue in enumerate(ordered):
        groups.setdefault(_words(dialogue) or number, []).append(number)
    drawn = list(groups.values())
    Random(seed).shuffle(drawn)

    numbers: dict[str, list[int]] = {name: [] for name in shares}
    room = {name: share * len(ordered) for name, share in shares.items()}
    for group in drawn:
        name = max(room, key=room.__getitem__)
        numbers[name] += group
        room[name] -= len(group)
    empty = [name for name, members in numbers.items() if not members]
    if empty:
        raise ValueError(
            f"A split by shares needs enough different dialogues for {', '.join(shares)}, found {len(drawn)}, which "
            f"leaves none for {' and '.join(empty)}; give more of them or other shares."
        )
    return {name: [ordered[number] for number in sorted(members)] for name, members in numbers.items()}


def split_name(name: str) -> str | None:
    """The split that a name is of, such as `dev` for `validation` or `my_val-01`; `None` where it names none or two."""
    found = {SPLIT_NAMES[word] for word in re.findall("[a-z]+", name.casefold()) if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def _words(dialogue: Dialogue) -> tuple[str, ...]:
    """What is said, empty where nothing is known of it."""
    said = tuple(utterance.text or "" for utterance in dialogue)
    return said if any(said) else ()
