"""Dialogues whose words and voices come from two corpora, for want of real ones with sound, faces and emotions.

A pair assumes that voice and words are independent given the emotion. Say so wherever a number comes from pairs.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from ..dialogue_m2fnet import Dialogue, Utterance

# What an utterance takes of its clip; all else, the words and the label among it, stays the dialogue's.
OF_THE_CLIP = (
    "audio",
    "sampling_rate",
    "video",
    "action_units",
    "appearance",
    "face_areas",
    "face_ids",
    "face_boxes",
    "audio_features",
    "visual_features",
)


def pair_dialogues(
    text: Iterable[Dialogue],
    speech: Iterable[Utterance],
    seed: int = 0,
    confusion: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Dialogue]:
    """Each speaker of a dialogue is given an actor, the same one throughout, and each utterance a clip of that actor.

    Actors come as they are drawn, different ones within a dialogue while there are enough; an utterance without a
    speaker counts as one by a speaker of its own. The clip has the utterance's emotion, or one drawn from `confusion`,
    among those that the actor has clips of; an utterance whose emotion the actor has no clip of, or that has no label,
    stays without sound and picture and says why in `missing`.

    A dialogue's pair depends on `seed`, its `id` and its words, not on the dialogues around it.

    Args:
        text: dialogues with labels.
        speech: clips, as utterances with `speaker` (the actor), `label` and sound, video, Action Units or features.
        seed: of the draws.
        confusion: by the emotion of an utterance, how probable each emotion of its clip is (rows true, columns said):
            how a voice is misheard that was not trained on. Rows need not sum to 1; a label without a row is not
            misheard.

    Returns:
        The dialogues with sound and faces. What they had of these before is gone. `start` and `end` stay those of the
        text: they are not the times of the clips, so there is no `recording`.

    Raises:
        ValueError: without any clip, for a clip without speaker or label, or for a negative or empty confusion row.
    """
    stage = _by_actor(speech)
    rows = {} if confusion is None else dict(confusion)
    for label, row in rows.items():
        if not row or min(row.values()) < 0 or sum(row.values()) <= 0:
            raise ValueError(
                f"The confusion of {label!r} must hold shares of at least 0, found {dict(row)}; correct it."
            )
    return [_pair(dialogue, stage, _random(seed, dialogue), rows) for dialogue in text]


def _pair(
    dialogue: Dialogue,
    stage: Mapping[str, Mapping[str, Sequence[Utterance]]],
    random: Random,
    confusion: Mapping[str, Mapping[str, float]],
) -> Dialogue:
    people = [place if speaker < 0 else f"speaker {speaker}" for place, speaker in enumerate(dialogue.speaker_ids)]
    different = list(dict.fromkeys(people))
    cast: list[str] = []
    while len(cast) < len(different):
        cast += random.sample(list(stage), len(stage))
    actor_of = dict(zip(different, cast, strict=False))
    return Dialogue(
        [
            _with_clip(utterance, stage[actor_of[person]], actor_of[person], random, confusion)
            for utterance, person in zip(dialogue, people, strict=True)
        ],
        id=dialogue.id,
    )


def _with_clip(
    utterance: Utterance,
    clips: Mapping[str, Sequence[Utterance]],
    actor: str,
    random: Random,
    confusion: Mapping[str, Mapping[str, float]],
) -> Utterance:
    empty: dict[str, None] = dict.fromkeys(OF_THE_CLIP)
    label = utterance.label
    row = {} if label is None else confusion.get(label, {label: 1.0})
    shares = {said: share for said, share in row.items() if share > 0 and said in clips}
    if not shares:
        reason = "it has no label to draw a clip by" if label is None else f"{actor} has no clip for {label}"
        return utterance.replace(**empty, missing={**utterance.missing, "audio": reason, "visual": reason})
    said = random.choices(list(shares), weights=list(shares.values()))[0]
    clip = random.choice(clips[said])
    return utterance.replace(**{name: getattr(clip, name) for name in OF_THE_CLIP})


def _by_actor(speech: Iterable[Utterance]) -> dict[str, dict[str, list[Utterance]]]:
    """Clips by actor and emotion, both in alphabetical order."""
    stage: dict[str, dict[str, list[Utterance]]] = {}
    for number, clip in enumerate(speech, start=1):
        if clip.speaker is None or clip.label is None:
            raise ValueError(
                f"Clip {number} must have a speaker and a label, found {clip.speaker!r} and {clip.label!r}."
            )
        stage.setdefault(clip.speaker, {}).setdefault(clip.label, []).append(clip)
    if not stage:
        raise ValueError("Pairs need one clip at least, found none; give utterances with sound or faces.")
    return {actor: dict(sorted(stage[actor].items())) for actor in sorted(stage)}


def _random(seed: int, dialogue: Dialogue) -> Random:
    said = "\n".join(f"{utterance.speaker}: {utterance.text}" for utterance in dialogue)
    return Random(hashlib.sha256(f"{seed}\n{dialogue.id}\n{said}".encode()).hexdigest())
