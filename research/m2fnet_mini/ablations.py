"""What the parts give: runs with one of them left out, seed 0, beside those that have it.

    python -m research.m2fnet_mini.ablations
    M2FNET_MINI_VERSIONS=1 python -m research.m2fnet_mini.ablations    # trained on the clips as they were recorded

Two folds of speakers and both strangers' runs; `gather_results.py` sets them beside the runs with the same names.
"""

from typing import Any

import torch

from .common import VERSIONS
from .run import measure
from .train import STRANGER_SETTINGS, STRANGERS

FOLDS_LEFT_OUT = ("fold-0", "fold-1")
NO_ENCODER = {"num_hidden_layers": 0}
# By name: the settings of folds, and those of strangers, None where the part is not in their training.
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "no-encoder": ({"model": NO_ENCODER}, {"model": {**STRANGER_SETTINGS["model"], **NO_ENCODER}}),
    # Not all: an actor who has no clip of an emotion needs another one.
    "no-noise": ({"clean": 0.99}, None),
    "no-normalisation": ({"normalize": False}, None),
    "no-blending": ({"blended": 0.0}, None),
}
WITHOUT_VERSIONS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {"no-augmentation": ({}, {})}


def main() -> None:
    torch.set_num_threads(1)
    for name, (of_folds, of_strangers) in (WITHOUT_VERSIONS if VERSIONS == 1 else CHANGES).items():
        for run in STRANGERS:
            if of_strangers is not None:
                measure(run, 0, of_strangers, f"-{name}")
        for run in FOLDS_LEFT_OUT:
            measure(run, 0, of_folds, f"-{name}")


if __name__ == "__main__":
    main()
