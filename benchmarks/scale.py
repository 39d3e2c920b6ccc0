"""A dialogue of 100,000 utterances against one of 1,000: time and memory per utterance."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from . import workload
from .measurements import at_most
from .processes import peak_memory
from .timing import in_turns, ratios

UTTERANCES = (1_000, 100_000)
WINDOW = 32
# One modality of the report's depth is like all three, and takes minutes less.
TEXT_ALONE = {"audio_feature_size": None, "visual_config": None, "face_pooling": None}


def measure(quick: bool = False, repetitions: int = 2) -> dict[str, Any]:
    """The report's core for text alone, with a window; the short dialogue as often as it takes to be as long."""
    few, many = (100, 1_000) if quick else UTTERANCES
    times_as_long = many // few
    with torch.inference_mode():
        jobs = {"many": _forward(quick, many), "few": partial(_repeat, _forward(quick, few), times_as_long)}
        times = in_turns(jobs, repetitions)
    memory = []
    for _ in range(1 if quick else repetitions):
        short, long = (peak - before for before, peak in (peak_memory(_forward, quick, size) for size in (few, many)))
        memory.append(long / times_as_long / short)
    return {
        "ran": f"one dialogue of {many} utterances against {times_as_long} of {few}, window {WINDOW}, fp32",
        "measurements": {
            "scale: time per utterance, long dialogue against short": at_most(1.1, ratios(times["many"], times["few"])),
            "scale: memory per utterance, long dialogue against short": at_most(1.1, memory),
        },
    }


def _forward(quick: bool, utterances: int) -> Callable[[], Any]:
    model = workload.core(quick, attention_window=WINDOW, **TEXT_ALONE)
    return partial(model, **workload.features([utterances], model.config.feature_sizes))


def _repeat(job: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        job()
