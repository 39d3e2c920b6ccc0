"""Stage 9: `results.json` beside the checkpoint, and the tables of its card.

    m2fnet evaluate --meld data/meld --split test --model m2fnet-mini --output meld-test.json
    python -m research.m2fnet_mini.gather_results meld-test.json

Again whenever there are more runs: what is not there is left out. Reads `calibration.py`'s and `speed.py`'s files, too.
"""

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from m2fnet_hf import embedded
from m2fnet_hf.hub.license import read_license
from m2fnet_hf.hub.run_files import weights_sha256
from m2fnet_hf.utils.files import write_json

from .ablations import CHANGES, FOLDS_LEFT_OUT, WITHOUT_VERSIONS
from .calibration import pooled_error
from .card_tables import fill, tables
from .common import MELD_EMOTIONS, RUNS
from .summary import FOLD_RUNS, SEEDS, results, share, summarise
from .train import STRANGERS

# From the papers; everything else in the results file was measured here.
PUBLISHED = [
    {"name": "Luna-Jiménez et al. (2022), fine-tuned XLSR, sound", "ravdess_8_accuracy": 0.818},
    {"name": "Luna-Jiménez et al. (2022), sound and faces", "ravdess_8_accuracy": 0.867},
    {"name": "EmoBERTa (355 million weights), text", "meld_weighted_f1": 0.6561},
    {"name": "M2FNet, text, sound and faces of MELD's videos", "meld_weighted_f1": 0.6671},
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meld_test", type=Path, help="what `m2fnet evaluate` wrote of MELD's test split")
    parser.add_argument("--checkpoint", type=Path, default=Path(embedded("m2fnet-mini")))
    options = parser.parse_args()
    found = gather(json.loads(options.meld_test.read_text()), options.checkpoint)
    write_json(found, options.checkpoint / "results.json")
    card = options.checkpoint / "README.md"
    for path in (card, Path(__file__).parents[2] / "docs" / "results.md"):
        path.write_text(fill(path.read_text(encoding="utf-8"), tables(found)), encoding="utf-8")


def gather(meld_test: dict[str, Any], checkpoint: Path) -> dict[str, Any]:
    """All of the results file; `meld_test` must be of the checkpoint's weights."""
    if meld_test["weights"] != weights_sha256(checkpoint):
        raise ValueError(
            f"The evaluation must be of the weights {weights_sha256(checkpoint)}, found {meld_test['weights']}; run "
            "`m2fnet evaluate` again."
        )
    baselines = read("baselines.json")
    return {
        **meld_test,
        "model_license": str(read_license(str(checkpoint))),
        "temperature": json.loads((checkpoint / "config.json").read_text())["softmax_temperature"],
        "export": read("m2fnet-mini/export.json"),
        "summary": summarise(),
        "by_class": by_class(),
        "calibration_by_modalities": calibration(),
        "ablation": ablation(),
        "confusion_of_strangers": read("confusion.json")["all"]["table"],
        "linear_classifier": {
            "eight_classes": {
                name: spread([one[name] for one in baselines["eight"]]) for name in baselines["eight"][0]
            },
            "strangers": {
                name: {
                    metric: float(np.mean([one[metric] for runs in corpora.values() for one in runs]))
                    for metric in ("accuracy", "weighted_f1", "macro_f1")
                }
                for name, corpora in baselines["strangers"].items()
            },
        },
        "real_recordings": read("real_recordings.json"),
        "speed": read("speed.json"),
        "published": PUBLISHED,
        "runs": sorted(path.parent.name for path in (RUNS / "runs").glob("*-s[0-9]/results-test.json")),
        "recipe": "research/m2fnet_mini/README.md",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "tokenizers", "m2fnet-hf")},
        },
    }


def read(name: str) -> Any:
    return json.loads((RUNS / name).read_text())


def spread(values: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "seeds": values}


def by_class() -> dict[str, dict[str, float | None]]:
    """F1 of each class, by what was given; `None` for a class that is not in the data."""
    folds = [one for runs in results(FOLD_RUNS).values() for one in runs]
    found: dict[str, dict[str, float | None]] = {}
    for name in ("sound", "faces", "all"):
        counts = [np.array(one["ravdess"][f"{name}_together"]["confusion"]) for one in folds]
        found[f"recordings, {name}"] = from_confusion(sum(counts))
    found["pairs, text"] = from_confusion(sum(np.array(one["pairs"]["text"]["confusion"]) for one in folds))
    found["pairs, all"] = from_confusion(sum(np.array(one["pairs"]["all"]["confusion"]) for one in folds))
    for corpus in STRANGERS:
        heard = [one["strangers"] for runs in results([corpus]).values() for one in runs]
        found[f"strangers, {corpus}"] = from_confusion(sum(np.array(one["confusion"]) for one in heard))
    return found


def from_confusion(counts: Any) -> dict[str, float | None]:
    """F1 by class; rows of `counts` are true classes, columns said ones."""
    both = counts.sum(0) + counts.sum(1)
    return {
        name: float(2 * counts[n, n] / both[n]) if counts[n].sum() else None for n, name in enumerate(MELD_EMOTIONS)
    }


def calibration() -> dict[str, Any]:
    """Expected calibration error by what was given: folds together, mean and each seed."""
    found: dict[str, Any] = {}
    for runs in (FOLD_RUNS, *([corpus] for corpus in STRANGERS)):
        for seed in SEEDS:
            paths = [RUNS / "runs" / f"{run}-s{seed}" / "calibration.json" for run in runs]
            if not all(path.is_file() for path in paths):
                continue
            parts = [json.loads(path.read_text()) for path in paths]
            for name in parts[0]:
                key = f"{name}, {runs[0]}" if len(runs) == 1 else name
                found.setdefault(key, []).append(pooled_error([part[name] for part in parts]))
    return {name: spread(values) for name, values in found.items()}


def ablation() -> dict[str, Any]:
    """Runs with one part left out, and `full` with all of them, seed 0 (strangers in the mean of both directions)."""
    found = {}
    for name in ("full", *CHANGES, *WITHOUT_VERSIONS):
        suffix = "" if name == "full" else f"-{name}"
        folds = [of_run(f"{run}{suffix}-s0") for run in FOLDS_LEFT_OUT]
        heard = [of_run(f"{corpus}{'-plain' if name == 'no-normalisation' else suffix}-s0") for corpus in STRANGERS]
        found[name] = {**of_folds([one for one in folds if one]), **of_strangers([one for one in heard if one])}
    return found


def of_run(name: str) -> dict[str, Any] | None:
    path = RUNS / "runs" / name / "results-test.json"
    return json.loads(path.read_text()) if path.is_file() else None


def of_folds(folds: list[dict[str, Any]]) -> dict[str, float]:
    if len(folds) < len(FOLDS_LEFT_OUT):
        return {}

    def right(name: str) -> float:
        return share([one["ravdess"][name] for one in folds])

    def paired(name: str) -> float:
        return float(np.mean([one["pairs"][name]["weighted_f1"] for one in folds]))

    return {
        "text": paired("text"),
        "sound": right("sound_together"),
        "faces": right("faces_together"),
        "recordings": right("all_together"),
        "pairs": paired("all"),
    }


def of_strangers(heard: list[dict[str, Any]]) -> dict[str, float]:
    if len(heard) < len(STRANGERS):
        return {}
    return {
        f"strangers_{metric}": float(np.mean([one["strangers"][metric] for one in heard]))
        for metric in ("weighted_f1", "macro_f1")
    }


if __name__ == "__main__":
    main()
