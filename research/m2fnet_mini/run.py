"""Everything in order, each stage into a file that is not made again: stop it when you like, and start it again.

    python -m research.m2fnet_mini.run

Trains `all` (the checkpoint), one run for each fold of speakers and one for each corpus as the other's stranger, three
seeds each, and those of the strangers also without normalisation per speaker; measures each once; writes
`summary.json`, `baselines.json` and the checkpoint.
"""

import json

import torch

from . import acted_features, baselines, confusion, export, synthetic_features, text_features
from .common import FOLDS, RUNS
from .evaluate import brief, evaluate
from .summary import summarise
from .train import STRANGERS, train

SEEDS = (0, 1, 2)


def main() -> None:
    torch.set_num_threads(1)
    for stage in (acted_features, text_features, synthetic_features, confusion):
        stage.main()
    for seed in SEEDS:
        for run in (*(f"fold-{fold}" for fold in range(FOLDS)), *STRANGERS, "all"):
            measure(run, seed, {})
        for run in STRANGERS:
            measure(run, seed, {"normalize": False}, "-plain")
    summary = summarise()
    (RUNS / "summary.json").write_text(json.dumps(summary, indent=1))
    print(json.dumps(summary, indent=1))
    baselines.main()
    export.main()


def measure(run: str, seed: int, settings: dict, suffix: str = "") -> None:
    """Train one run and measure it, once."""
    folder = train(run, seed, settings, RUNS / "runs" / f"{run}{suffix}-s{seed}")
    path = folder / "results-test.json"
    if not path.is_file():
        results = evaluate(folder, "test")
        path.write_text(json.dumps(results, indent=1))
        print(folder.name, json.dumps(brief(results)), flush=True)


if __name__ == "__main__":
    main()
