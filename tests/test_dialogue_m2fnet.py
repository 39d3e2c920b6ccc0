import ast
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from m2fnet_hf import Dialogue, Utterance, dialogue_m2fnet
from m2fnet_hf.dialogue_m2fnet import as_dialogues


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
        ({"audio": np.zeros(5), "sampling_rate": -1}, ValueError, "whole number of Hz from 1000 to 1000000"),
        ({"audio": np.zeros(5), "sampling_rate": 10**9}, ValueError, "whole number of Hz from 1000 to 1000000"),
        ({"audio": np.full(5, 1e30), "sampling_rate": 16_000}, ValueError, "samples from -1 to 1, found 1e"),
        ({"text": "a", "end": 1e308}, ValueError, r"at most 3600000 s, found 1e\+308"),
        ({"text": "a", "end": 10**400}, ValueError, "found more than any number of seconds"),
        ({"text": "a", "missing": 5}, TypeError, "`missing` of an utterance must be a dictionary, found int"),
        ({"video": 5}, TypeError, "`video` of an utterance must be the path of a file, found int"),
        ({"action_units": [[[1.0], [2.0, 3.0]]]}, ValueError, r"shape \[F, P, A\], found lists of different lengths"),
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


def test_several_dialogues_are_told_from_one() -> None:
    one, other = [{"text": "Hi"}, {"text": "Ho"}], {"utterances": [{"text": "Hm"}], "id": 3}
    assert [len(dialogue) for dialogue in as_dialogues(one)] == [2]
    assert [dialogue.id for dialogue in as_dialogues(other)] == [3]
    assert [len(dialogue) for dialogue in as_dialogues([one, other, Dialogue(one)])] == [2, 1, 2]
    with pytest.raises(TypeError, match="Dialogues are needed, found a string"):
        as_dialogues("Hi")


def test_another_copy_of_the_contract_is_understood() -> None:
    """The code that travels with a model has its own, and is handed the package's."""
    spec = importlib.util.spec_from_file_location("travelled", dialogue_m2fnet.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    sys.modules["travelled"] = copy
    spec.loader.exec_module(copy)
    given = copy.Dialogue([copy.Utterance(text="Hi", speaker="Ann", start=1)], id=7)
    assert not isinstance(given, Dialogue)
    for dialogue in (Dialogue.from_any(given), *as_dialogues([given]), Dialogue(list(given), id=7)):
        assert type(dialogue[0]) is Utterance
        assert (dialogue.id, dialogue[0].text, dialogue[0].speaker, dialogue[0].start) == (7, "Hi", "Ann", 1.0)


def test_the_contract_stands_on_the_ground() -> None:
    tree = ast.parse(Path(str(dialogue_m2fnet.__file__)).read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        alias.name if isinstance(node, ast.Import) else "." * node.level + (node.module or "")
        for node in imported
        for alias in node.names
    }
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"numpy"}


def test_half_a_character_is_marked() -> None:
    utterance = Utterance(text="a\ud800b \ud83d\ude00", speaker="\udcff")
    assert (utterance.text, utterance.speaker) == ("a\ufffdb \U0001f600", "\ufffd")
