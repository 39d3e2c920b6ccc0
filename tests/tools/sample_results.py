"""Results as `m2fnet predict` hands them to the reports."""

import random
from typing import Any

LABELS = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
SENTENCES = (
    "You came!",
    "I nearly missed the train, and then there was no taxi to be had.",
    "Oh.",
    "Well, sit down, have some tea & tell me all about it.",
    "No.",
    "That costs $5 or $6, if I am not mistaken?",
)


def utterance(text: str | None = "You came!", label: str = "joy", score: float = 0.61, **fields: Any) -> dict[str, Any]:
    rest = [name for name in LABELS if name != label]
    scores = {label: score, **{name: (1 - score) / len(rest) for name in rest}}
    known = {"start": 1.0, "end": 2.5, "speaker": "ANN", "modalities": ["text"], "missing": {}}
    return {**known, "text": text, "label": label, "score": score, "scores": scores, **fields}


def result(utterances: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {
        "source": "interview.srt",
        "recording": None,
        "model": "meld-mini",
        "labels": LABELS,
        "reads": ["text"],
        "note": "This model reads text only: no prediction rests on sound or faces.",
        "warnings": [],
        "missing": {},
        "utterances": utterances,
        **fields,
    }


def conversation(count: int, speakers: int = 2, timed: bool = True) -> dict[str, Any]:
    """Invented utterances in turn, some of which overlap."""
    chance = random.Random(0)
    utterances = []
    time = 0.0
    for _ in range(count):
        text = chance.choice(SENTENCES)
        length = 0.4 + len(text) / 15
        label = chance.choice([*LABELS, "neutral", "neutral", "joy"])
        times = {"start": round(time, 3), "end": round(time + length, 3)} if timed else {"start": None, "end": None}
        speaker = f"SPEAKER {chance.randrange(speakers):02d}"
        utterances.append(utterance(text, label, chance.uniform(0.25, 0.99), speaker=speaker, **times))
        time += length * chance.uniform(0.8, 1.5)
    return result(utterances)
