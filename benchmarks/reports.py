"""Page, timeline and ELAN of many utterances that overlap, against few: time per utterance."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from m2fnet_hf.dialogue_m2fnet import EmotionPrediction
from m2fnet_hf.names_m2fnet import MELD_EMOTIONS
from m2fnet_hf.reports.writers import check_packages, write_reports

from .measurements import NotHereError, at_most
from .timing import in_turns, ratios

UTTERANCES = (1_000, 8_000)
KINDS = {"html": "page", "png": "timeline", "eaf": "ELAN"}
# Each begins a second after the one before and lasts so long.
SECONDS = 5.0
SPEAKERS = 6


def measure(quick: bool = False, repetitions: int = 3) -> dict[str, Any]:
    """The report of the few is written as often as it takes for as many utterances."""
    try:
        check_packages(list(KINDS))
    except ImportError as error:
        raise NotHereError(str(error)) from None
    few, many = (25, 100) if quick else UTTERANCES
    measurements = {}
    with TemporaryDirectory() as folder:
        for kind, name in KINDS.items():
            write = partial(_write, Path(folder), kind)
            jobs = {"few": partial(write, _result(few), many // few), "many": partial(write, _result(many), 1)}
            times = in_turns(jobs, 1 if quick else repetitions)
            measurements[f"reports: {name}, time per utterance of many against few"] = at_most(
                1.5, ratios(times["many"], times["few"])
            )
    return {
        "ran": f"{many} utterances of {SPEAKERS} speakers, {SECONDS:.0f} at a time, against {many // few} times {few}",
        "measurements": measurements,
    }


def _write(folder: Path, kind: str, result: dict[str, Any], times: int) -> None:
    for _ in range(times):
        write_reports(result, folder, "talk", [kind])


def _result(count: int) -> dict[str, Any]:
    """As `m2fnet predict` writes it, of a model that reads text."""
    return {
        "source": "talk.srt",
        "recording": None,
        "model": "m2fnet-mini",
        "model_license": None,
        "labels": list(MELD_EMOTIONS),
        "reads": ["text"],
        "note": None,
        "language": None,
        "warnings": [],
        "missing": {},
        "utterances": [_prediction(number) for number in range(count)],
    }


def _prediction(number: int) -> EmotionPrediction:
    label = MELD_EMOTIONS[number % len(MELD_EMOTIONS)]
    scores = {label: 0.4, **{other: 0.1 for other in MELD_EMOTIONS if other != label}}
    return {
        "start": float(number),
        "end": number + SECONDS,
        "speaker": f"Speaker {number % SPEAKERS}",
        "text": f"It is number {number}.",
        "label": label,
        "score": scores[label],
        "scores": scores,
        "modalities": ["text"],
        "missing": {},
    }
