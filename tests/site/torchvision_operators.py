"""torchvision beside a torch that it was not built for: its operators in Python, from the moment it is imported.

The registries offer torch for CPUs alone, but not torchvision, which py-feat needs and transformers looks for. `make`
has every Python of the environment import this module; it does nothing where torchvision's own operators load.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any


class _WhenImported:
    """The first import of torchvision comes by here."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            _define()


def _define() -> None:
    import torch

    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return
    try:
        torch.ops.load_library(next(Path(found.origin).parent.glob("_C*.so")))
    except OSError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        torch.library.impl("torchvision::nms", "cpu", suppress_overlaps)


def suppress_overlaps(boxes: Any, scores: Any, threshold: float) -> Any:
    """Boxes [N, 4] that no better one overlaps by more than a share of their union, the best first."""
    import torch

    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    left = scores.argsort(descending=True, stable=True)
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        corner = torch.maximum(boxes[best, :2], boxes[left, :2])
        common = (torch.minimum(boxes[best, 2:], boxes[left, 2:]) - corner).clamp(min=0).prod(-1)
        left = left[common / (areas[best] + areas[left] - common) <= threshold]
    return torch.stack(kept) if kept else scores.new_empty(0, dtype=torch.long)


sys.meta_path.insert(0, _WhenImported())  # type: ignore[arg-type]
