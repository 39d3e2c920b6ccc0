"""What bfloat16 costs the embedded model on MELD, and what it gives: its own gate, apart from `exactness`."""

from functools import partial
from pathlib import Path
from typing import Any

import torch

from m2fnet_hf.data.meld import read_meld
from m2fnet_hf.evaluation.evaluate import compare_labels
from m2fnet_hf.hub.load import load_pipeline

from .measurements import NotHereError, at_least, at_most, told
from .timing import in_turns, ratios

SPLIT = "dev"
LEAST_AGREEMENT = 0.98
LARGEST_LOSS = 0.5  # points of weighted F1
TIMED = 16  # dialogues


def measure(quick: bool = False, meld: Path | None = None, repetitions: int = 5) -> dict[str, Any]:
    """Labels of the dev split in both types; `export` does the same for int8."""
    if meld is None:
        raise NotHereError("MELD's csv files: give --meld FOLDER")
    dialogues = read_meld(meld, names=(SPLIT,))[SPLIT][: TIMED if quick else None]
    pipes = {
        name: load_pipeline(None, batch_size=8, device="cpu", dtype=dtype)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    labels = compare_labels(pipes, dialogues)
    times = in_turns({name: partial(pipe, dialogues[:TIMED]) for name, pipe in pipes.items()}, repetitions)
    f1 = {name: metrics["weighted_f1"] for name, metrics in labels.items()}
    return {
        "ran": f"the embedded model on {sum(map(len, dialogues))} utterances of MELD's {SPLIT} split",
        "weighted_f1": f1,
        "measurements": {
            "bf16: share of the labels that are fp32's": at_least(LEAST_AGREEMENT, [labels["bf16"]["agreement"]]),
            "bf16: points of weighted F1 lost": at_most(LARGEST_LOSS, [100 * (f1["fp32"] - f1["bf16"])]),
            "bf16: times as fast as fp32": told(ratios(times["fp32"], times["bf16"])),
        },
    }
