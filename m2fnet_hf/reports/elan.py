"""Annotations for ELAN."""

import mimetypes
import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from pympi import Eaf

from .formatting import one_line, speaker_name
from .timeline_layout import by_start, free_lanes, milliseconds

VOCABULARY = "emotions"


def write_elan(result: Mapping[str, Any], path: Path, recording: Path | None = None) -> None:
    """EAF: a tier per speaker with the words, and under it one with the emotion and one with its probability.

    ELAN allows no overlap within a tier: what overlaps an utterance of the same speaker goes to a further tier,
    `ANN 2`. Utterances without both times are left out; those without length last a millisecond.

    Args:
        recording: linked relative to `path`.
    """
    eaf = Eaf(author="m2fnet-hf")
    eaf.remove_tier("default")
    if recording is not None:
        link = Path(os.path.relpath(recording, path.parent)).as_posix()
        kind = mimetypes.guess_type(recording.name)[0] or "application/octet-stream"
        eaf.add_linked_file(link, relpath=link, mimetype=kind)
    _add_types(eaf, result["labels"])
    by_speaker: dict[str, list[Mapping[str, Any]]] = {}
    for utterance in by_start(result["utterances"]):
        by_speaker.setdefault(speaker_name(utterance), []).append(utterance)
    for name, utterances in by_speaker.items():
        lanes = free_lanes([milliseconds(utterance) for utterance in utterances])
        for lane in range(max(lanes) + 1):
            _add_tiers(eaf, name, [u for u, place in zip(utterances, lanes, strict=True) if place == lane])
    path.unlink(missing_ok=True)  # pympi would keep the old file as a .bak
    eaf.to_file(str(path))


def _add_types(eaf: Eaf, labels: list[str]) -> None:
    """The types of the tiers; ELAN offers the model's emotions where one is corrected by hand."""
    eaf.add_language("und", lang_label="undetermined")
    eaf.add_controlled_vocabulary(VOCABULARY)
    for number, label in enumerate(labels):
        eaf.add_cv_entry(VOCABULARY, f"emotion{number}", [(label, "und", None)])
    for name in ("emotion", "probability"):
        eaf.add_linguistic_type(name, constraints="Symbolic_Association", timealignable=False)
    eaf.linguistic_types["emotion"]["CONTROLLED_VOCABULARY_REF"] = VOCABULARY


def _add_tiers(eaf: Eaf, speaker: str, utterances: list[Mapping[str, Any]]) -> None:
    names = (speaker if number == 1 else f"{speaker} {number}" for number in count(1))
    tier = next(name for name in names if name not in eaf.tiers)
    emotions, probabilities = f"emotion@{tier}", f"probability@{tier}"
    eaf.add_tier(tier, part=speaker)
    eaf.add_tier(emotions, ling="emotion", parent=tier, part=speaker)
    eaf.add_tier(probabilities, ling="probability", parent=tier, part=speaker)
    for utterance in utterances:
        start, end = milliseconds(utterance)
        middle = (start + end) / 2  # never a moment of the annotation before or after
        eaf.add_annotation(tier, start, end, one_line(utterance["text"]))
        eaf.add_ref_annotation(emotions, tier, middle, utterance["label"])
        eaf.add_ref_annotation(probabilities, tier, middle, f"{utterance['score']:.3f}")
