"""The conversations that m2fnet-mini learns from, drawn from a small cast."""

import importlib
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

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


def test_a_lone_emotion_is_one_of_melds_in_each_place_and_modality(stage: Any, modules: dict[str, ModuleType]) -> None:
    talks = [modules["epoch"].lone_emotion(stage) for _ in range(1500)]
    said = np.concatenate([one.target[one.target.max(1) > 0.9].argmax(1) for one in talks])
    shares = modules["common"].SHARES[1:] / modules["common"].SHARES[1:].sum()
    assert np.bincount(said[said > 0], minlength=7)[1:] / (said > 0).sum() == pytest.approx(shares, abs=0.05)
    given = {(bool((one.sound >= 0).any()), bool((one.faces >= 0).any())) for one in talks}
    assert given == {(True, False), (True, True), (False, True)}
    heard = [((one.sound >= 0) | (one.faces >= 0)).sum() for one in talks]
    assert 1 in heard, "among words"
    assert max(heard) == modules["epoch"].LONGEST_LONE, "among clips"


@pytest.fixture
def tables(stage: Any, modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two versions of each clip of the stage and a synthetic one; a row's number is its only feature."""
    simulate = modules["simulate"]
    monkeypatch.setattr(simulate, "VERSIONS", 2)
    tables = simulate.Tables.__new__(simulate.Tables)
    tables.clips = len(simulate.acted_clips())
    tables.sound = torch.arange(2 * tables.clips + 1, dtype=torch.float32).unsqueeze(-1)
    return tables


def test_a_blended_clip_lies_between_itself_and_one_of_the_same_voice_and_emotion(
    tables: Any, modules: dict[str, ModuleType]
) -> None:
    clips = tables.clips
    rows = torch.tensor([[4, clips + 4, 2 * clips, -1]]).expand(400, -1)
    sound = tables.sound[rows.clamp(min=0)]
    blended = tables.blend(rows, 0.5, np.random.default_rng(0))
    assert torch.equal(blended[:, 2:], sound[:, 2:]), "synthetic and absent sound stay"
    assert sorted(tables.alike[4]) == [3, 4, 5]
    alike = torch.tensor([3, 4, 5, clips + 3, clips + 4, clips + 5])
    for column in (0, 1):
        changed = (blended[:, column] != sound[:, column]).float().mean()
        assert 0.3 < changed < 0.5, "half of them, but for those whose other clip is themselves"
        farthest = (sound[0, column] + alike[[0, -1]]) / 2
        assert farthest[0] <= blended[:, column].min()
        assert blended[:, column].max() <= farthest[1]


def test_strangers_only_hear(stage: Any, modules: dict[str, ModuleType]) -> None:
    talks = [modules["epoch"].few_words(stage, {"texts": 0, "own_words": 0.0}) for _ in range(30)]
    assert all((one.sound >= 0).all() and (one.text == -1).all() and (one.faces == -1).all() for one in talks)
