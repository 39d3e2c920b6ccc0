"""What the settings were chosen by: alternatives to each, on MELD's development split and the actors of fold 3 alone.

    python -m research.m2fnet_mini.choices

Two of them were chosen by the voices of all folds, too, as fold 3 does not tell them apart.
Writes `choices.json` beside this file: by alternative, per cent, seed 0; `voices of all folds` by alternative.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .common import RUNS
from .evaluate import evaluate
from .summary import CHOSEN_ON, FOLD_RUNS, share
from .train import train

ALOUD = ("weighted_f1", "agreement_with_text_alone")
OUTPUT = Path(__file__).with_name("choices.json")
ALTERNATIVES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no lone emotions": {"lone": 0},
    "600 lone emotions": {"lone": 600},
    "no blending": {"blended": 0.0},
    "neither": {"short": 45, "lone": 0},
    "clean 0.3": {"clean": 0.3},
    "read aloud 350": {"read_aloud": 350},
    "dropout 0.1, batch 256": {
        "batch": 256,
        "model": {"hidden_dropout": 0.1, "attention_dropout": 0.1, "classifier_dropout": 0.1},
    },
}
ALL_FOLDS = "voices of all folds"
BY_VOICES = ("as it is", "600 lone emotions", "no blending")


def main() -> None:
    torch.set_num_threads(1)
    found = json.loads(OUTPUT.read_text()) if OUTPUT.is_file() else {}
    for name in ALTERNATIVES:
        if name not in found:
            keep(found, found, name, in_short(measured(CHOSEN_ON, name)))
    of_folds = found.setdefault(ALL_FOLDS, {})
    for name in BY_VOICES:
        if name not in of_folds:
            keep(found, of_folds, name, voices([measured(run, name) for run in FOLD_RUNS]))


@cache
def measured(run: str, name: str) -> dict[str, Any]:
    """A run of an alternative, trained where it is not there."""
    changes = ALTERNATIVES[name]
    suffix = f"-{name.replace(' ', '-')}" if changes else ""
    return evaluate(train(run, 0, changes, RUNS / "runs" / f"{run}{suffix}-s0"), "dev")


def keep(found: dict[str, Any], part: dict[str, Any], name: str, values: dict[str, float]) -> None:
    """Write all that was found, with this in it."""
    part[name] = values
    OUTPUT.write_text(json.dumps(found, indent=1) + "\n")
    print(name, values, flush=True)


def voices(folds: list[dict[str, Any]]) -> dict[str, float]:
    """Right ones of all, per cent, by what was given."""
    return {name: round(100 * share([one["voices"][name] for one in folds]), 2) for name in folds[0]["voices"]}


def in_short(results: dict[str, Any]) -> dict[str, float]:
    """What is weighed, per cent; F1 is weighted where nothing else is said."""
    text, pairs = results["text"], results["pairs"]
    read_aloud = {
        name: results["read_aloud"][split]
        for name, split in (("read by espeak-ng", "dev"), ("read in unheard voices", "dev-unheard"))
    }
    by_clip = {
        **{f"recordings, {name}": results["ravdess"][f"{name}_together"] for name in ("sound", "faces", "all")},
        **{f"clips by themselves, {name}": results["ravdess"][f"{name}_alone"] for name in ("sound", "faces", "all")},
        **{f"voices, {name}": part for name, part in results["voices"].items()},
    }
    shares = {
        "text alone": text["weighted_f1"],
        "text alone, macro F1": text["macro_f1"],
        "text alone, the teacher's label": text["agreement_with_teacher"],
        **{
            f"{name}, {metric.replace('_', ' ')}": read[metric] for name, read in read_aloud.items() for metric in ALOUD
        },
        **{f"pairs, {name}": pairs[name]["weighted_f1"] for name in ("text", "text_sound", "all")},
        **{name: part["right"] / part["count"] for name, part in by_clip.items()},
    }
    return {name: round(100 * share, 2) for name, share in shares.items()}


if __name__ == "__main__":
    main()
