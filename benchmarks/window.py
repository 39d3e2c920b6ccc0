"""A dialogue of 10,000 utterances: attention within a window against attention to all of it."""

from functools import partial
from typing import Any

import torch

from . import workload
from .measurements import at_least
from .timing import in_turns, ratios

UTTERANCES = 10_000
WINDOW = 32


def measure(quick: bool = False, repetitions: int = 2) -> dict[str, Any]:
    """The core with one dialogue encoder per modality and one fusion module, which is like any number of them."""
    counts = [512 if quick else UTTERANCES]
    windowed, full = (
        workload.core(quick, num_hidden_layers=1, num_fusion_layers=1, attention_window=window)
        for window in (WINDOW, None)
    )
    inputs = workload.features(counts, full.config.feature_sizes)
    with torch.inference_mode():
        times = in_turns({"full": partial(full, **inputs), "windowed": partial(windowed, **inputs)}, repetitions)
    return {
        "ran": f"the report's core, one layer of each kind, {counts[0]} utterances, window {WINDOW}, fp32",
        "measurements": {
            "window: times as fast as full attention": at_least(4, ratios(times["full"], times["windowed"])),
        },
    }
