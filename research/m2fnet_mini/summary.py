"""Stage 7: the five lines of the README out of the results of all runs, mean and each seed, per cent.

python -m research.m2fnet_mini.summary
"""

import json
from typing import Any

import numpy as np

from .common import FOLDS, RUNS

SEEDS = (0, 1, 2)
CHOSEN_ON = "fold-3"  # settings were chosen on its actors
FOLD_RUNS = [f"fold-{fold}" for fold in range(FOLDS)]


def summarise() -> dict[str, Any]:
    """By line and number: `mean` and `seeds`; a seed whose runs are not all there is left out."""
    unseen = [run for run in FOLD_RUNS if run != CHOSEN_ON]
    text = ("accuracy", "weighted_f1", "macro_f1", "ece", "agreement_with_teacher")
    ravdess = [f"{which}_{how}" for how in ("together", "alone") for which in ("sound", "faces", "sound_faces", "all")]
    pairs = ("text", "text_sound", "all", "sound_faces", "all_without_confusion")
    given = ("text+sound", "text+sound+faces", "text+sound, among words", "text+sound, other sentence")
    voices = [name + suffix for name in given for suffix in ("", "_pairs")]
    return {
        "1 text alone, MELD test": {name: mean(["all"], "text", name) for name in text},
        "1 text alone, MELD test, mean of folds": {name: mean(FOLD_RUNS, "text", name) for name in text},
        "2 RAVDESS, actors apart, 7 classes": {
            name: right(FOLD_RUNS, "ravdess", name) for name in (*ravdess, "pyfeat_together")
        },
        "2 the same without fold 3": {name: right(unseen, "ravdess", name) for name in ravdess},
        "3 strangers, sound alone": strangers(),
        "4 pairs, MELD test, weighted F1": {name: mean(FOLD_RUNS, "pairs", name, "weighted_f1") for name in pairs},
        "4 gain of all three": gain(FOLD_RUNS),
        "4 gain without fold 3": gain(unseen),
        "5 read by espeak-ng, MELD test, weighted F1": {
            name: mean(["all"], "read_aloud", name, "weighted_f1") for name in ("test", "test-default")
        },
        "5 read by espeak-ng, mean of folds": {
            name: mean(FOLD_RUNS, "read_aloud", name, "weighted_f1") for name in ("test", "test-default")
        },
        "5 voices followed": {name: right(FOLD_RUNS, "voices", name) for name in voices},
        "5 voices without fold 3": {name: right(unseen, "voices", name) for name in voices},
    }


def strangers() -> dict[str, Any]:
    """Each direction with and without normalisation per speaker, and the mean of both."""
    found: dict[str, Any] = {}
    for suffix, name in (("", "normalised"), ("-plain", "not normalised")):
        for metric in ("accuracy", "weighted_f1", "macro_f1"):
            both = [mean([corpus + suffix], "strangers", metric) for corpus in ("ravdess", "emodb")]
            found[f"{name}, {metric}"] = {"RAVDESS to EmoDB": both[0], "EmoDB to RAVDESS": both[1]}
            if None not in (both[0]["mean"], both[1]["mean"]):
                found[f"{name}, {metric}"]["mean"] = round((both[0]["mean"] + both[1]["mean"]) / 2, 2)
    return found


def gain(runs: list[str]) -> dict[str, Any]:
    """All three less text alone, weighted F1, by seed and by fold."""
    by_seed = {}
    for seed, found in results(runs).items():
        gains = [100 * (one["pairs"]["all"]["weighted_f1"] - one["pairs"]["text"]["weighted_f1"]) for one in found]
        by_seed[seed] = {"mean": round(float(np.mean(gains)), 2), "folds": [round(gain, 2) for gain in gains]}
    return by_seed


def mean(runs: list[str], *keys: str) -> dict[str, Any]:
    """A share in per cent, mean over runs."""
    return seeds({s: float(np.mean([100 * at(one, keys) for one in found])) for s, found in results(runs).items()})


def right(runs: list[str], *keys: str) -> dict[str, Any]:
    """Right ones of all in per cent, over runs."""
    values = {}
    for seed, found in results(runs).items():
        values[seed] = 100 * share([at(one, keys) for one in found])
    return seeds(values)


def share(parts: list[dict[str, Any]]) -> float:
    """Right ones of all."""
    return float(sum(part["right"] for part in parts) / sum(part["count"] for part in parts))


def seeds(values: dict[str, float]) -> dict[str, Any]:
    average = round(float(np.mean(list(values.values()))), 2) if values else None
    return {"mean": average, "seeds": {seed: round(value, 2) for seed, value in values.items()}}


def at(results: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        results = results[key]
    return results


def results(runs: list[str]) -> dict[str, list[dict[str, Any]]]:
    """By seed, what was measured of all of the runs."""
    found = {}
    for seed in SEEDS:
        paths = [RUNS / "runs" / f"{run}-s{seed}" / "results-test.json" for run in runs]
        if all(path.is_file() for path in paths):
            found[str(seed)] = [json.loads(path.read_text()) for path in paths]
    return found


if __name__ == "__main__":
    print(json.dumps(summarise(), indent=1))
