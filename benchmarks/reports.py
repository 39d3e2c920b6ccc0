"""Reports of 8,000 utterances that all overlap against 1,000: time per utterance."""

import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

from m2fnet_hf.reports.writers import write_reports

from .measurements import at_most
from .timing import in_turns, ratios

UTTERANCES = (1_000, 8_000)
KINDS = {"html": "page", "png": "timeline", "eaf": "ELAN"}
SECONDS = 10_000.0  # more than there are utterances, which start a second apart


def measure(quick: bool = False, repetitions: int = 3) -> dict[str, Any]:
    """Page, timeline and ELAN of one speaker's utterances, each of which lasts to the end."""
    few, many = (20, 40) if quick else UTTERANCES
    short, long = _result(few), _result(many)
    measurements = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, name in KINDS.items():
            write = partial(write_reports, folder=folder, stem="talk", kinds=[kind])
            jobs = {"many": partial(write, long), "few": partial(_several, partial(write, short), many // few)}
            times = in_turns(jobs, 1 if quick else repetitions)
            each = ratios(times["many"], times["few"])
            measurements[f"reports: {name}, time per utterance, many against few"] = at_most(1.5, each)
    return {"ran": f"{many} overlapping utterances against {few}", "measurements": measurements}


def _several(job: Callable[[], Any], times: int) -> None:
    """Until there are as many utterances: a collection of garbage then meets both jobs alike."""
    for _ in range(times):
        job()


def _result(number: int) -> dict[str, Any]:
    scores = {"joy": 0.6, "neutral": 0.4}
    spoken = {"speaker": "Ann", "text": "You came!", "label": "joy", "score": 0.6, "scores": scores}
    utterances = [
        {**spoken, "start": float(second), "end": SECONDS, "modalities": ["text"], "missing": {}}
        for second in range(number)
    ]
    return {
        "source": "talk.srt", "recording": None, "model": "none", "labels": list(scores), "reads": ["text"],
        "note": None, "warnings": [], "missing": {}, "utterances": utterances,
    }  # fmt: skip
