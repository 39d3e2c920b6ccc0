"""The loss that brings utterances of one emotion together, with pytorch-metric-learning's miner and VICReg."""

from typing import NamedTuple

import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import VICRegLoss
from pytorch_metric_learning.miners import BatchHardMiner


class _UnitSphereDistance(LpDistance):
    """Euclidean distances of embeddings on the unit sphere, also of points that nearly coincide.

    The matrix product that torch takes for more than 25 points cannot tell those apart.
    """

    def compute_mat(self, query_emb: torch.Tensor, ref_emb: torch.Tensor) -> torch.Tensor:
        # Its gradient is 0, not NaN, between equal points.
        return torch.cdist(query_emb, ref_emb, compute_mode="donot_use_mm_for_euclid_dist")


_DISTANCE = _UnitSphereDistance()
_MINER = BatchHardMiner(distance=_DISTANCE)
_VICREG = VICRegLoss()


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
    distances = _DISTANCE(embeddings)
    anchor, farthest, nearest = _MINER(embeddings, labels)
    to_positive, to_negative = distances[anchor, farthest], distances[anchor, nearest]
    between = distances[farthest, nearest]
    with torch.no_grad():
        margin = (1 + 2 * (-4 * to_positive).exp()) + (1 + 2 * (4 * to_negative - 4).exp())
    return (to_positive - (to_negative + between) / 2 + margin).clamp(min=0)


def _decorrelation(embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """VICReg's covariance and variance terms of two embeddings at least."""
    # VICReg adds up the covariance and halves the variance of two views, which are one here.
    variance, _ = _VICREG.variance_loss(embeddings, embeddings)
    return _VICREG.covariance_loss(embeddings, embeddings) / 2, 2 * variance.mean()
