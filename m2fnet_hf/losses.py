"""Losses over the emotions of utterances."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

IGNORED = -100


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


class TripletLoss(NamedTuple):
    """What [`triplet_loss`] returns, all scalars.

    Args:
        total: the weighted sum of the others.
        triplet, covariance, variance: the terms.
    """

    total: torch.Tensor
    triplet: torch.Tensor
    covariance: torch.Tensor
    variance: torch.Tensor


def triplet_loss(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    triplet_weight: float = 20.0,
    covariance_weight: float = 5.0,
    variance_weight: float = 1.0,
) -> TripletLoss:
    """The loss of M2FNet's extractors (Chudasama et al., 2022), in float32.

    With Euclidean distances D of the embeddings on the unit sphere, for each anchor a its farthest positive p and its
    nearest negative n within the batch:

        triplet    = mean of max(0, D(a, p) - (D(a, n) + D(p, n)) / 2 + m)
        m          = [1 + 2 exp(-4 D(a, p))] + [1 + 2 exp(4 D(a, n) - 4)]
        variance   = mean over dimensions of max(0, 1 - sqrt(Var + 1e-4))
        covariance = sum of the squared covariances of unlike dimensions / number of dimensions

    It departs from the paper where that would go wrong. Differentiated as printed, the margin m rewards a negative
    that is closer than the positive; here it is a constant without a gradient. It exceeds every distance on the
    sphere, so that it raises the loss but neither it nor the hinge changes what is learnt. The paper's variance and
    covariance have no lower bound; these are VICReg's (Bardes et al., 2022, equations 1 to 4), of the embeddings
    before they are normalised.

    Args:
        embeddings: [N, D], of any floating point type.
        labels: [N]. An anchor without a positive or without a negative is left out.
        triplet_weight, covariance_weight, variance_weight: of the terms.

    Returns:
        The loss and its terms; all are 0 where no anchor is left.
    """
    # Autocast would take the products of float32 to half precision again.
    with torch.autocast(embeddings.device.type, enabled=False):
        embeddings = embeddings.float()
        excesses = _triplets(embeddings, labels)
        if not len(excesses):
            nothing = embeddings.sum() * 0
            return TripletLoss(nothing, nothing, nothing, nothing)
        triplet = excesses.mean()
        covariance, variance = _decorrelation(embeddings)
        total = triplet_weight * triplet + covariance_weight * covariance + variance_weight * variance
        return TripletLoss(total, triplet, covariance, variance)


def _triplets(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The hinged loss of each anchor that has a positive and a negative."""
    points = nn.functional.normalize(embeddings, dim=-1)
    # Its gradient is 0, not NaN, between equal points.
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    negative = labels.unsqueeze(1) != labels
    positive = ~negative & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    anchor = (positive.any(1) & negative.any(1)).nonzero().squeeze(1)
    if not len(anchor):
        return distances.new_empty(0)
    farthest = distances.masked_fill(~positive, float("-inf")).argmax(1)[anchor]
    nearest = distances.masked_fill(~negative, float("inf")).argmin(1)[anchor]
    to_positive, to_negative = distances[anchor, farthest], distances[anchor, nearest]
    between = distances[farthest, nearest]
    with torch.no_grad():
        margin = (1 + 2 * (-4 * to_positive).exp()) + (1 + 2 * (4 * to_negative - 4).exp())
    return (to_positive - (to_negative + between) / 2 + margin).clamp(min=0)


def _decorrelation(embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """VICReg's covariance and variance terms of two embeddings at least."""
    centred = embeddings - embeddings.mean(0)
    covariances = centred.T @ centred / (len(embeddings) - 1)
    variances = covariances.diagonal()
    covariance = (covariances - variances.diag()).square().sum() / len(variances)
    return covariance, (1 - (variances + 1e-4).sqrt()).clamp(min=0).mean()
