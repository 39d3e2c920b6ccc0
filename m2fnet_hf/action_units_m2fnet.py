"""Action Units of an utterance without any weights: the mean of each where it is known.

Shapes: N utterances, F face frames, P faces, A Action Units.
"""

import torch

# Faces whose area is unknown or zero weigh alike.
LEAST_AREA = 1e-6


def mean_over_faces(units: torch.Tensor, real: torch.Tensor, areas: torch.Tensor | None) -> torch.Tensor:
    """The mean of each unit over the faces of a frame, by their area.

    Args:
        units: values and, behind them, 1 where known [N, F, P, 2 A].
        real: real faces [N, F, P].
        areas: share of the frame [N, F, P]; `None` weighs all faces alike.

    Returns:
        Values and, behind them, 1 where known of any face [N, F, 2 A], zero where of none.
    """
    values, known = units.chunk(2, dim=-1)
    size = torch.ones_like(real, dtype=torch.float32) if areas is None else areas.float().clamp(min=LEAST_AREA)
    return _mean(values, known * (size * real).unsqueeze(-1), dim=2)


def mean_over_frames(units: torch.Tensor) -> torch.Tensor:
    """What [`mean_over_faces`] gave [N, F, 2 A], to the mean of each unit over the frames that know it [N, 2 A]."""
    values, known = units.chunk(2, dim=-1)
    return _mean(values, known, dim=1)


def _mean(values: torch.Tensor, weights: torch.Tensor, dim: int) -> torch.Tensor:
    total = weights.float().sum(dim)
    known = total > 0
    mean = (values.float() * weights).sum(dim) / total.where(known, 1.0)
    return torch.cat([mean, known.to(mean.dtype)], dim=-1).to(values.dtype)


__all__ = ["mean_over_faces", "mean_over_frames"]
