import pytest
from sample_predictions import record, records_of

from m2fnet_hf.evaluation.breakdown import OTHERS, by_modalities, by_position, by_speaker
from m2fnet_hf.evaluation.columns import PredictionColumns


def test_speakers_with_little_to_say_are_pooled() -> None:
    said = {"Ann": [(0, 0), (1, 1), (1, 0)], "Ben": [(0, 1)], None: [(2, 2), (2, 2), (2, 2), (2, 2)]}
    records = [record(*pair, speaker=speaker) for speaker, pairs in said.items() for pair in pairs]
    parts = by_speaker(PredictionColumns(records), least=3)
    assert list(parts) == [OTHERS, "Ann"]
    # Of Ann: neutral F1 2/3 (1 utterance), joy 2/3 (2); anger neither occurs nor is predicted.
    assert parts["Ann"] == pytest.approx({"utterances": 3, "accuracy": 2 / 3, "weighted_f1": 2 / 3, "macro_f1": 2 / 3})
    assert parts[OTHERS]["utterances"] == 5
    assert parts[OTHERS]["accuracy"] == pytest.approx(4 / 5)
    assert parts[OTHERS]["macro_f1"] == pytest.approx((0 + 0 + 1) / 3)


def test_places_in_the_dialogue() -> None:
    parts = by_position(PredictionColumns(records_of([0] * 10, [0, 0, 1, 0, 0, 0, 1, 1, 1, 1])))
    assert {name: (part["utterances"], part["accuracy"]) for name, part in parts.items()} == {
        "1": (1, 1.0),
        "2-3": (2, 0.5),
        "4-8": (5, 0.6),
        "9+": (2, 0.0),
    }
    assert list(by_position(PredictionColumns(records_of([0], [0])))) == ["1"]


def test_what_the_model_was_given() -> None:
    given: list[list[str]] = [["text"], ["text", "audio"], ["text"], []]
    parts = by_modalities(PredictionColumns(record(0, 0, modalities=modalities) for modalities in given))
    assert {name: part["utterances"] for name, part in parts.items()} == {"none": 1, "text": 2, "text+audio": 1}
