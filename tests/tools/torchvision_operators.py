"""torchvision's operators in Python, for one that was built for another torch than the one beside it.

The registries offer torch for CPUs alone, but not torchvision, which py-feat needs. Import this before torchvision.
"""

import torch

for _name in ("nms", "qnms"):
    torch.library.define(f"torchvision::{_name}", "(Tensor boxes, Tensor scores, float threshold) -> Tensor")


@torch.library.impl("torchvision::nms", "cpu")
def suppress_overlaps(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Boxes [N, 4] that no better one overlaps by more than a share of their union, the best first."""
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
