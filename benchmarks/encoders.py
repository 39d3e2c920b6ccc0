"""What the benchmarks of the text and of the sound encoder share: the plain way, and the ratios to it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .measurements import at_least
from .timing import MatrixProduct, ratios


def alone(encoder: Any, rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """One utterance at a time, averaged: [N, H]."""
    return torch.cat([encoder(row.unsqueeze(0)).last_hidden_state.mean(1) for row in rows])


def speed_measurements(
    name: str, times: Mapping[str, list[float]], work: int, product: MatrixProduct, alone: float, library: float
) -> dict[str, Any]:
    """How fast `ours` was in `times`, with what has to be reached against `alone` and against the `library`."""
    ours = times["ours"]
    return {
        f"{name}: times as fast as one utterance at a time": at_least(alone, ratios(times["alone"], ours)),
        f"{name}: times as fast as the library's pipeline": at_least(library, ratios(times["library"], ours)),
        f"{name}: share of the matrix product's rate": at_least(0.8, product.shares(work, ours, times["product"])),
    }
