"""The conversations of one epoch of training, drawn again for each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .common import CLASSES, NEUTRAL, SHARES
from .simulate import ABSENT, Conversation, Stage, plain_text, random_shares

# Which modalities a conversation has, and how often.
PAIRED = ((("text", "sound", "faces"), 0.45), (("text", "sound"), 0.35), (("text", "faces"), 0.2))
ACTED = ((("sound",), 0.45), (("faces",), 0.2), (("sound", "faces"), 0.35))
LONE = ((("text", "sound"), 0.55), (("text", "sound", "faces"), 0.3), (("text", "faces"), 0.15))
# Where a lone emotion is: in a dialogue of MELD, among the actor's neutral clips, or among their words alone.
PLACES = (("dialogue", 0.2), ("clips", 0.52), ("words", 0.28))
LONGEST_LONE = 12  # utterances
UNKNOWN_SPEAKERS = 0.08


def conversations_of(stage: Stage, settings: Mapping[str, Any], confusion: np.ndarray) -> list[Conversation]:
    """All of them; the settings give how many of each kind."""
    random, train = stage.random, stage.tables.splits["train"]
    made = [plain_text(train, int(one)) for one in random.permutation(len(train))[: settings["texts"]]]
    for dialogue in random.permutation(len(train))[: settings["pairs"]]:
        missing = 0.0 if random.random() < 0.7 else random.uniform(0.1, 0.9)
        one = stage.pair(train, int(dialogue), confusion, choose(PAIRED, random), settings["gold"], missing)
        made.append(one)
    read = stage.tables.read_aloud.get("train", {})
    spoken = [n for n in range(len(train)) if int(train.starts[n]) in read]
    made += [plain_text(train, int(one), read) for one in random.choice(spoken, settings["read_aloud"])]
    made += [recording(stage, settings) for _ in range(settings["acted"])]
    made += [few_words(stage, settings) for _ in range(settings["short"])]
    made += [lone_emotion(stage) for _ in range(settings["lone"])]
    return [withhold_speakers(one, random) for one in made]


def recording(stage: Stage, settings: Mapping[str, Any]) -> Conversation:
    """Many clips of an actor, or some of one to three actors."""
    random = stage.random
    modalities = acted_modalities(settings, random)
    if random.random() < 0.28:
        return stage.acted([int(random.integers(10, 61))], None, modalities, cast(stage, modalities, 1))
    counts, shares = random.integers(3, 15, size=random.integers(1, 4)).tolist(), random_shares(random)
    actors = cast(stage, modalities, len(counts))
    return stage.acted(counts[: len(actors)], shares, modalities, actors)


def few_words(stage: Stage, settings: Mapping[str, Any]) -> Conversation:
    """One or two clips of an actor, any emotion as often as another."""
    modalities = acted_modalities(settings, stage.random)
    shares = np.full(CLASSES, 1 / CLASSES)
    return stage.acted([int(stage.random.integers(1, 3))], shares, modalities, cast(stage, modalities, 1))


def lone_emotion(stage: Stage) -> Conversation:
    """One emotion in a voice or a face, as often as in MELD: see `PLACES`."""
    random, train = stage.random, stage.tables.splits["train"]
    modalities, place = choose(LONE, random), choose(PLACES, random)
    actor = cast(stage, ("faces",), 1)[0]
    if place == "dialogue":
        # Neutral as often as any emotion would be: the voice does not mean that there is one.
        emotion = NEUTRAL if random.random() < 1 / CLASSES else draw_emotion(random)
        return stage.inserted(train, int(random.integers(len(train))), emotion, modalities, actor)
    one = stage.lone(int(random.integers(2, LONGEST_LONE + 1)), draw_emotion(random), modalities, actor)
    if place == "clips":
        return one
    silent = one.target.argmax(1) == NEUTRAL
    return replace(one, sound=np.where(silent, ABSENT, one.sound), faces=np.where(silent, ABSENT, one.faces))


def draw_emotion(random: np.random.Generator) -> int:
    """A class that is not neutral, as often as it is in MELD."""
    shares = np.where(np.arange(CLASSES) == NEUTRAL, 0, SHARES)
    return int(random.choice(CLASSES, p=shares / shares.sum()))


def acted_modalities(settings: Mapping[str, Any], random: np.random.Generator) -> tuple[str, ...]:
    """Of a conversation of clips; the strangers' runs, which have no texts, only hear."""
    modalities = choose(ACTED, random) if settings["texts"] else ("sound",)
    return (*modalities, "text") if random.random() < settings["own_words"] else modalities


def cast(stage: Stage, modalities: tuple[str, ...], count: int) -> list[str]:
    """At most `count` actors, with faces where these are wanted."""
    pool = [name for name in stage.actors if "faces" not in modalities or name.startswith("ravdess")]
    return stage.random.choice(pool, size=min(count, len(pool)), replace=False).tolist()


def choose(options: tuple, random: np.random.Generator) -> Any:
    return options[random.choice(len(options), p=[share for _, share in options])][0]


def withhold_speakers(one: Conversation, random: np.random.Generator) -> Conversation:
    """Now and then a conversation whose speakers are unknown."""
    if random.random() >= UNKNOWN_SPEAKERS:
        return one
    return replace(one, speakers=np.full(len(one), -1))
