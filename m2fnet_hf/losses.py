"""Losses over the emotions of utterances."""

from collections.abc import Sequence

import torch
from torch import nn

from .dialogue_m2fnet import IGNORED


def emotion_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    num_items_in_batch: int | torch.Tensor | None = None,
) -> torch.Tensor:
    """Class-weighted cross entropy with label smoothing, or its focal form (Lin et al., 2017, equation 4).

    The sum over utterances is divided by their number, never by the sum of their weights: only so do accumulated
    micro-batches and several processes give the gradient of one big batch.

    Args:
        logits: [..., C].
        labels: [...], `-100` where there is none.
        class_weights: C weights, rescaled to mean 1.
        label_smoothing: share of the target spread evenly over the classes.
        focal_gamma: 0 is cross entropy; larger values turn the loss to what is still wrong.
        num_items_in_batch: labelled utterances of the whole optimiser step; default: those given here.

    Returns:
        The loss, a scalar; 0 where no utterance is labelled.
    """
    # Half precision cannot hold the sum over a large batch.
    logits, labels = logits.float().flatten(0, -2), labels.flatten()
    weights = None
    if class_weights is not None:
        weights = torch.tensor(class_weights, dtype=torch.float32, device=logits.device)
        weights = weights / weights.mean()
    losses = nn.functional.cross_entropy(
        logits, labels, weights, ignore_index=IGNORED, label_smoothing=label_smoothing, reduction="none"
    )
    labelled = labels != IGNORED
    if focal_gamma:
        chosen = labels.where(labelled, 0).unsqueeze(-1)
        certainty = logits.softmax(-1).gather(-1, chosen).squeeze(-1)
        losses = (1 - certainty) ** focal_gamma * losses
    count = labelled.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
    if isinstance(count, torch.Tensor):
        count = count.to(losses.device)
    return losses.sum() / count
