import numpy as np
import pytest

from m2fnet_hf import Dialogue, Utterance


def test_every_form_is_one_dialogue() -> None:
    utterances = [
        {"text": "Hi", "speaker": "Ann"},
        Utterance(text="Ho", speaker="Ben"),
        {"text": "Hi", "speaker": "Ann"},
    ]
    dialogue = Dialogue.from_any({"utterances": utterances, "id": 4, "recording": "talk.mp4"})
    assert Dialogue.from_any(dialogue) is dialogue
    assert (dialogue.id, dialogue.recording) == (4, "talk.mp4")
    assert [u.text for u in Dialogue.from_any(utterances)] == ["Hi", "Ho", "Hi"]
    assert dialogue.speaker_ids == [0, 1, 0]


def test_an_unknown_speaker_has_no_index() -> None:
    assert Dialogue([{"text": "a"}, {"text": "b", "speaker": "Ann"}]).speaker_ids == [-1, 0]


def test_blank_text_is_absent() -> None:
    assert Utterance(text=" \n", audio=np.zeros(5), sampling_rate=16_000).text is None


def test_it_cannot_be_changed() -> None:
    utterance = Utterance(text="Hi")
    with pytest.raises(AttributeError):
        utterance.text = "Ho"  # type: ignore[misc]
    assert utterance.replace(text="Ho").text == "Ho"
    assert utterance.text == "Hi"


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({}, ValueError, "one modality at least"),
        ({"text": "  "}, ValueError, "one modality at least"),
        ({"text": 3}, TypeError, "`text` of an utterance must be a string, found int"),
        ({"text": "a", "start": 2, "end": 1}, ValueError, r"start 2\.0 s and end 1\.0 s"),
        ({"text": "a", "start": -1}, ValueError, "at least 0 s"),
        ({"text": "a", "start": float("nan")}, ValueError, "at least 0 s"),
        ({"text": "a", "start": "0:01"}, TypeError, "must be seconds, found str"),
        ({"audio": np.zeros(5)}, ValueError, "needs its `sampling_rate`"),
        ({"audio": np.zeros((2, 5)), "sampling_rate": 16_000}, ValueError, r"shape \[S\], found \[2, 5\]"),
        ({"audio": np.zeros(5, dtype=int), "sampling_rate": 16_000}, TypeError, "floating point, found int64"),
        ({"audio": np.array([np.nan]), "sampling_rate": 16_000}, ValueError, "finite"),
        ({"audio": np.zeros(5), "sampling_rate": -1}, ValueError, "positive whole number of Hz"),
        ({"action_units": np.zeros((2, 3))}, ValueError, r"shape \[F, P, A\]"),
        (
            {"action_units": np.zeros((2, 3, 4)), "face_areas": np.zeros((2, 2))},
            ValueError,
            r"`face_areas` must have the shape \[2, 3\]",
        ),
    ],
)
def test_a_bad_field_is_named(fields: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Utterance(**fields)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ([], ValueError, "one utterance at least"),
        ("Hi", TypeError, "found str"),
        ({"text": "Hi"}, ValueError, "must hold `utterances`, found only text"),
        ([{"text": "a"}, {"txt": "b"}], ValueError, "Utterance 2: An utterance has no field txt"),
        ([{"text": "a"}, 3], TypeError, "Utterance 2: .* found int"),
    ],
)
def test_a_bad_dialogue_is_named(source: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Dialogue.from_any(source)  # type: ignore[arg-type]


def test_a_table_row_is_missing_only_what_has_a_reason() -> None:
    row = {"text": "Hi", "missing": {"text": None, "audio": "the clip is broken", "visual": None}}
    assert Utterance.from_dict(row).missing == {"audio": "the clip is broken"}
    with pytest.raises(ValueError, match="needs one modality at least"):
        Utterance(missing={"text": None})
