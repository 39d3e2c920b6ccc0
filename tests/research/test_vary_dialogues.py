"""Variants say something else, and are labelled as what they come from."""

from random import Random

import tiny
import torch
from vary_dialogues import Varier, near_words

from m2fnet_hf import Dialogue

TALK = Dialogue(
    [
        {"speaker": "Ann", "text": "Happy day! The table. Go away?", "label": "joy"},
        {"speaker": "Ben", "text": "what now", "label": "fear"},
        {"speaker": "Ann", "text": "Never, never.", "label": "anger"},
        {"speaker": "Ben", "text": "yes yes", "label": "neutral"},
    ]
)
OTHER = Dialogue([{"speaker": "Eve", "text": "home", "label": "sadness"}])
NEAR = {"happy": ["glad"], "day": ["night"], "table": ["chair"], "never": ["always"], "now": ["then"]}


def test_variants_differ_and_keep_the_labels_of_their_words() -> None:
    varier = Varier(NEAR, Random(0))
    label = {"home": "sadness", "glad": "joy", "happy": "joy", "night": "joy", "chair": "joy", "always": "anger"}
    label |= {"day": "joy", "table": "joy", "away": "joy", "never": "anger", "now": "fear", "then": "fear"}
    variants = [varier.vary(TALK, OTHER) for _ in range(300)]
    seen = {tuple((one.speaker, one.text) for one in variant) for variant in variants}
    assert len(seen) > 150
    words = set()
    for variant in variants:
        assert [one.id for one in variant] == [str(place) for place in range(len(variant))]
        for one in variant:
            known = {word.strip(".,!?").lower() for word in one.text.split()} & label.keys()
            words |= known
            assert {label[word] for word in known} <= {one.label}
    assert words == label.keys(), "every kind of change occurs"
    assert {"Never,", "always,"} <= {one.text.split()[0] for variant in variants for one in variant}, "marks stay"


def test_the_same_seed_makes_the_same_variants() -> None:
    first, second = (
        [[one.text for one in Varier(NEAR, Random(seed)).vary(TALK, OTHER)] for seed in range(9)] for _ in range(2)
    )
    assert first == second


def test_near_words_are_whole_words_of_the_vocabulary() -> None:
    tokenizer = tiny.tokenizer()
    vectors = torch.randn(len(tokenizer), 4, generator=torch.Generator().manual_seed(0))
    near = near_words(tokenizer, vectors)
    assert near
    for word, others in near.items():
        assert word not in others
        assert all(one.isalpha() for one in (word, *others))
    assert "the" not in near
