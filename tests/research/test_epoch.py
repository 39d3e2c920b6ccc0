"""The conversations that m2fnet-mini learns from, drawn from a small cast."""

import importlib
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from m2fnet_hf.configuration_m2fnet import MELD_EMOTIONS
from m2fnet_hf.data.acted import ActedClip

ACTORS, CLIPS_OF_AN_EMOTION = ("ravdess-01", "ravdess-02"), 3
SETTINGS = {"texts": 2, "own_words": 1.0}


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    os.environ.setdefault("M2FNET_DATA", "unused")
    return {name: importlib.import_module(f"research.m2fnet_mini.{name}") for name in ("common", "simulate", "epoch")}


@pytest.fixture
def stage(modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two actors with three clips of each emotion, and two dialogues of MELD of three and two utterances."""
    clips = [
        ActedClip(path=Path("clip.wav"), corpus="ravdess", speaker=actor, acted=emotion, emotion=emotion, text="Kids")
        for actor in ACTORS
        for emotion in MELD_EMOTIONS
        for _ in range(CLIPS_OF_AN_EMOTION)
    ]
    labels = np.array([MELD_EMOTIONS.index(clip.emotion) for clip in clips])
    simulate = modules["simulate"]
    monkeypatch.setattr(simulate, "acted_clips", lambda: tuple(clips))
    monkeypatch.setattr(simulate, "labels", lambda: labels)
    texts = simulate.Texts(
        first=0,
        teacher_probabilities=np.full((5, len(MELD_EMOTIONS)), 1 / len(MELD_EMOTIONS), np.float32),
        labels=np.zeros(5, int),
        speakers=np.array([0, 1, 0, 0, 1]),
        starts=np.array([0, 3, 5]),
    )
    known = np.ones(len(clips), bool)
    tables = SimpleNamespace(
        clips=len(clips),
        splits={"train": texts},
        sentence=np.zeros(len(clips), int),
        sentences=[np.array([5, 6])],
        has_openface=known,
        has_pyfeat=~known,
    )
    return simulate.Stage(tables, np.arange(len(clips)), np.random.default_rng(0), versions=1, smoothing=0.07)


def test_one_utterance_has_an_emotion_and_the_others_are_the_actors_neutral_ones(stage: Any) -> None:
    for emotion in range(1, len(MELD_EMOTIONS)):
        one = stage.lone(5, emotion, ("text", "sound"), ACTORS[1])
        assert sorted(one.target.argmax(1)) == [0, 0, 0, 0, emotion]
        assert one.target.max() == pytest.approx(0.94)
        assert (one.sound >= len(MELD_EMOTIONS) * CLIPS_OF_AN_EMOTION).all(), "all are the second actor's"
        assert (one.faces == -1).all()


def test_a_clip_is_put_into_a_dialogue_that_stays_as_it_is(stage: Any) -> None:
    texts = stage.tables.splits["train"]
    for _ in range(20):
        one = stage.inserted(texts, 0, 4, ("text", "sound", "faces"), ACTORS[0])
        heard = one.sound >= 0
        assert (heard.sum(), len(one)) == (1, 4)
        assert one.text[~heard].tolist() == [0, 1, 2]
        assert one.speakers[~heard].tolist() == [0, 1, 0]
        assert one.target[heard].argmax() == 4
        assert one.faces[heard] == one.sound[heard]
        assert one.target[~heard] == pytest.approx(1 / len(MELD_EMOTIONS))


def test_few_words_are_one_or_two_of_any_emotion(stage: Any, modules: dict[str, ModuleType]) -> None:
    talks = [modules["epoch"].few_words(stage, SETTINGS) for _ in range(300)]
    assert {len(one) for one in talks} == {1, 2}
    assert set(np.concatenate([one.target.argmax(1) for one in talks])) == set(range(len(MELD_EMOTIONS)))
    given = {((one.sound >= 0).all(), (one.faces >= 0).all()) for one in talks}
    assert given == {(True, False), (False, True), (True, True)}


def test_strangers_only_hear(stage: Any, modules: dict[str, ModuleType]) -> None:
    talks = [modules["epoch"].few_words(stage, {"texts": 0, "own_words": 0.0}) for _ in range(30)]
    assert all((one.sound >= 0).all() and (one.text == -1).all() and (one.faces == -1).all() for one in talks)
