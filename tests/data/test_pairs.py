from collections import Counter

import numpy as np
import pytest

from m2fnet_hf import Dialogue, Utterance
from m2fnet_hf.data.pairs import pair_dialogues


def clip(actor: str, label: str, number: float) -> Utterance:
    return Utterance(
        speaker=actor,
        label=label,
        audio=np.full(8, number, dtype=np.float32),
        sampling_rate=16_000,
        action_units=np.full((1, 1, 20), number, dtype=np.float32),
        text="Kids are talking by the door.",
    )


SPEECH = [clip(actor, label, 10 * a + e) for a, actor in enumerate("ABC") for e, label in enumerate(("joy", "anger"))]


def talk(count: int = 8, key: int = 0) -> Dialogue:
    labels = ("joy", "anger")
    return Dialogue(
        [
            {"text": f"words {n}", "speaker": ("Ross", "Rachel")[n % 2], "label": labels[n // 2 % 2], "start": float(n)}
            for n in range(count)
        ],
        id=key,
    )


def number(utterance: Utterance) -> int:
    assert utterance.audio is not None
    return int(utterance.audio[0])


def test_an_actor_per_speaker_and_the_same_emotion() -> None:
    (paired,) = pair_dialogues([talk()], SPEECH)
    actors = {name: {number(u) // 10 for u in paired if u.speaker == name} for name in ("Ross", "Rachel")}
    assert all(len(found) == 1 for found in actors.values())
    assert actors["Ross"] != actors["Rachel"]
    assert [("joy", "anger")[number(u) % 10] for u in paired] == [u.label for u in paired]


def test_words_and_labels_stay_and_faces_come_with_the_voice() -> None:
    (paired,) = pair_dialogues([talk()], SPEECH)
    assert [(u.text, u.speaker, u.label, u.start) for u in paired] == [
        (u.text, u.speaker, u.label, u.start) for u in talk()
    ]
    assert all(u.action_units is not None and u.action_units[0, 0, 0] == number(u) for u in paired)
    assert paired.id == 0


def test_the_pair_depends_on_seed_and_dialogue_alone() -> None:
    def numbers(dialogues: list[Dialogue]) -> list[list[int]]:
        return [[number(u) for u in dialogue] for dialogue in dialogues]

    many = [talk(key=key) for key in range(6)]
    assert numbers(pair_dialogues(many, SPEECH)) == numbers(pair_dialogues(many[::-1], SPEECH[::-1]))[::-1]
    assert numbers(pair_dialogues(many, SPEECH)) != numbers(pair_dialogues(many, SPEECH, seed=1))


def test_confusion_is_drawn_from_by_row() -> None:
    confusion = {"joy": {"joy": 1.0, "anger": 3.0}}
    pairs = pair_dialogues([talk(40, key) for key in range(20)], SPEECH, confusion=confusion)
    heard = Counter((u.label, ("joy", "anger")[number(u) % 10]) for dialogue in pairs for u in dialogue)
    assert heard["anger", "joy"] == 0
    assert heard["joy", "anger"] / (heard["joy", "anger"] + heard["joy", "joy"]) == pytest.approx(0.75, abs=0.06)


def test_more_speakers_than_actors_share_them() -> None:
    crowd = Dialogue([{"text": "words", "speaker": str(n), "label": "joy"} for n in range(7)])
    (paired,) = pair_dialogues([crowd], SPEECH)
    assert sorted(Counter(number(u) for u in paired).values()) == [2, 2, 3]


def test_what_cannot_be_paired_says_why() -> None:
    odd = Dialogue([{"text": "a", "label": "fear", "audio": np.ones(4), "sampling_rate": 8_000}, {"text": "b"}])
    (paired,) = pair_dialogues([odd], SPEECH)
    assert [u.audio for u in paired] == [None, None]
    reasons = [u.missing["audio"].partition(" ")[2] for u in paired]
    assert reasons == ["has no clip for fear", "has no label to draw a clip by"]
    assert [u.text for u in paired] == ["a", "b"]


@pytest.mark.parametrize("row", [{}, {"joy": -1.0, "anger": 2.0}, {"joy": 0.0}])
def test_a_row_must_be_shares(row: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="confusion of 'joy' must hold shares of at least 0"):
        pair_dialogues([talk()], SPEECH, confusion={"joy": row})


def test_clips_need_speaker_and_label() -> None:
    with pytest.raises(ValueError, match="Clip 1 must have a speaker and a label, found None and 'joy'"):
        pair_dialogues([talk()], [Utterance(text="a", label="joy")])
    with pytest.raises(ValueError, match="need one clip at least"):
        pair_dialogues([talk()], [])
