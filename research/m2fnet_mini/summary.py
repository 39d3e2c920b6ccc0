"""Stage 7: the five lines of the README out of the results of all runs, mean and each seed.

python -m research.m2fnet_mini.summary
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from .common import FOLDS, RUNS

SEEDS = (0, 1, 2)


def summarise() -> dict[str, Any]:
    """By line, per cent: `mean` and `seeds`; a run that is not there yet is left out."""
    folds = [f"fold-{fold}" for fold in range(FOLDS)]
    lines: dict[str, Any] = {
        "1 text alone": {
            name: over_seeds(["all"], lambda found, name=name: 100 * found[0]["text"][name])
            for name in ("accuracy", "weighted_f1", "macro_f1", "ece", "agreement_with_teacher")
        },
        "1 text alone, folds": {
            name: over_seeds(folds, lambda found, name=name: 100 * np.mean([one["text"][name] for one in found]))
            for name in ("weighted_f1", "macro_f1", "ece")
        },
        "2 RAVDESS, actors apart": {
            name: over_seeds(folds, lambda found, name=name: share([one["ravdess"][name] for one in found]))
            for name in (
                *(
                    f"{which}_{how}"
                    for how in ("together", "alone")
                    for which in ("sound", "faces", "sound_faces", "all")
                ),
                "pyfeat_together",
            )
        },
        "3 strangers": {},
        "4 pairs, weighted F1": {},
        "5 read aloud, weighted F1": {},
        "5 voices": {
            which: over_seeds(folds, lambda found, which=which: share([one["voices"][which] for one in found]))
            for which in ("text+sound", "text+sound_pairs", "text+sound+faces", "text+sound+faces_pairs")
        },
    }
    for corpus, other in (("ravdess", "EmoDB"), ("emodb", "RAVDESS")):
        for suffix in ("", "-plain"):
            lines["3 strangers"][f"{corpus} to {other}{suffix}"] = {
                name: over_seeds([corpus + suffix], lambda found, name=name: 100 * found[0]["strangers"][name])
                for name in ("accuracy", "weighted_f1", "macro_f1")
            }
    for which in ("text", "text_sound", "all", "sound_faces", "all_without_confusion"):
        lines["4 pairs, weighted F1"][which] = over_seeds(
            folds, lambda found, which=which: 100 * np.mean([one["pairs"][which]["weighted_f1"] for one in found])
        )
    for name in ("test", "test-default"):
        lines["5 read aloud, weighted F1"][name] = over_seeds(
            ["all"], lambda found, name=name: 100 * found[0]["read_aloud"][name]["weighted_f1"]
        )
    return lines


def share(parts: list[dict[str, int]]) -> float:
    """Right ones of all, per cent."""
    return 100 * sum(part["right"] for part in parts) / sum(part["count"] for part in parts)


def over_seeds(runs: list[str], measure: Callable[[list[dict[str, Any]]], float]) -> dict[str, Any]:
    """A number of the runs of each seed whose results are all there."""
    values = {}
    for seed in SEEDS:
        paths = [RUNS / "runs" / f"{run}-s{seed}" / "results-test.json" for run in runs]
        if all(path.is_file() for path in paths):
            values[str(seed)] = round(float(measure([json.loads(path.read_text()) for path in paths])), 2)
    return {"mean": round(float(np.mean(list(values.values()))), 2) if values else None, "seeds": values}


if __name__ == "__main__":
    print(json.dumps(summarise(), indent=1))
