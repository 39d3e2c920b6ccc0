import math

import pytest
import torch

from m2fnet_hf.training.contrastive.losses import triplet_loss


def on_circle(degrees: list[float]) -> torch.Tensor:
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def chord(degrees: float) -> float:
    return 2 * math.sin(math.radians(degrees) / 2)


def margin(to_positive: float, to_negative: float) -> float:
    return 2 + 2 * math.exp(-4 * to_positive) + 2 * math.exp(4 * to_negative - 4)


def test_triplets_by_hand() -> None:
    embeddings, labels = on_circle([0, 60, 150]), torch.tensor([4, 4, 9])
    positive = chord(60)
    negatives = (chord(150), chord(90))
    expected = positive - sum(negatives) / 2 + sum(margin(positive, one) for one in negatives) / 2
    assert triplet_loss(embeddings, labels).triplet.item() == pytest.approx(expected, rel=1e-5)


def test_variance_and_covariance_by_hand() -> None:
    embeddings = torch.tensor([[0.0, 0.0, 1.0], [0.2, 0.4, 1.0], [0.4, 0.2, 1.0]])
    loss = triplet_loss(embeddings, torch.tensor([0, 0, 1]))
    # Columns 1 and 2 vary by 0.04 and covary by 0.02, twice in the matrix; column 3 is constant.
    assert loss.covariance.item() == pytest.approx(2 * 0.02**2 / 3, rel=1e-5)
    assert loss.variance.item() == pytest.approx((2 * (1 - math.sqrt(0.0401)) + 1 - math.sqrt(0.0001)) / 3, rel=1e-5)
    expected = 20 * loss.triplet + 5 * loss.covariance + loss.variance
    torch.testing.assert_close(loss.total, expected)


def test_spread_beyond_1_is_not_rewarded() -> None:
    embeddings = 100 * torch.randn(8, 3)
    assert triplet_loss(embeddings, torch.arange(8) % 2).variance == 0


def test_the_margin_has_no_gradient() -> None:
    embeddings, labels = on_circle([0, 60, 150]).requires_grad_(), torch.tensor([0, 0, 1])
    triplet_loss(embeddings, labels).triplet.backward()
    given, embeddings.grad = embeddings.grad, None
    a, b, n = torch.nn.functional.normalize(embeddings, dim=-1)
    plain = (a - b).norm() - ((a - n).norm() + (b - n).norm()) / 2  # the same of both anchors
    plain.backward()
    torch.testing.assert_close(given, embeddings.grad)


def test_a_negative_closer_than_the_positive_is_driven_away() -> None:
    """As printed, with a gradient through the margin, the loss draws it closer still."""

    def distance_after_a_step(differentiable_margin: bool) -> float:
        embeddings, labels = on_circle([0, 80, -50]).requires_grad_(), torch.tensor([0, 0, 1])
        a, p, n = embeddings
        if differentiable_margin:
            to_positive, to_negative = (a - p).norm(), (a - n).norm()
            printed = 2 + 2 * (-4 * to_positive).exp() + 2 * (4 * to_negative - 4).exp()
            (to_positive - (to_negative + (p - n).norm()) / 2 + printed).backward()
        else:
            triplet_loss(embeddings, labels).triplet.backward()
        a, _, n = torch.nn.functional.normalize(embeddings.detach() - 0.01 * embeddings.grad, dim=-1)
        return (a - n).norm().item()

    assert distance_after_a_step(differentiable_margin=True) < chord(50)
    assert distance_after_a_step(differentiable_margin=False) > chord(50)


def test_triplets_do_not_know_the_scale() -> None:
    embeddings, labels = torch.randn(8, 5), torch.arange(8) % 3
    lengths = torch.rand(8, 1) * 9 + 0.1
    torch.testing.assert_close(
        triplet_loss(embeddings, labels).triplet, triplet_loss(lengths * embeddings, labels).triplet
    )


def test_the_hardest_of_the_batch_are_mined() -> None:
    embeddings, labels = torch.randn(12, 4), torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 0, 1])
    points = torch.nn.functional.normalize(embeddings, dim=-1).tolist()
    distances = [[math.dist(one, other) for other in points] for one in points]
    excesses = []
    for a in range(12):
        positives = [p for p in range(12) if p != a and labels[p] == labels[a]]
        negatives = [n for n in range(12) if labels[n] != labels[a]]
        if not positives:
            continue
        p, n = max(positives, key=distances[a].__getitem__), min(negatives, key=distances[a].__getitem__)
        near, far = distances[a][p], distances[a][n]
        excesses.append(near - (far + distances[p][n]) / 2 + margin(near, far))
    assert len(excesses) == 11
    assert triplet_loss(embeddings, labels).triplet.item() == pytest.approx(sum(excesses) / 11, rel=1e-4)


def test_points_that_nearly_coincide_are_told_apart() -> None:
    """A wrong choice among them changes the loss little, but turns its gradient."""
    embeddings, labels = 1 + 1e-4 * torch.randn(40, 3), torch.arange(40) % 2
    embeddings.requires_grad_()
    triplet_loss(embeddings, labels).triplet.backward()
    given, embeddings.grad = embeddings.grad, None
    points = torch.nn.functional.normalize(embeddings.double(), dim=-1)
    distances = (points.unsqueeze(1) - points).add(1e-15).norm(dim=-1)
    same = labels.unsqueeze(1) == labels
    p = distances.masked_fill(~same, 0).argmax(1)
    n = distances.masked_fill(same, 9).argmin(1)
    every = torch.arange(40)
    (distances[every, p] - (distances[every, n] + distances[p, n]) / 2).mean().backward()
    torch.testing.assert_close(given, embeddings.grad, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("labels", [[0, 1, 2], [5, 5, 5], [0]])
def test_a_batch_without_triplets_is_no_loss(labels: list[int]) -> None:
    embeddings = torch.randn(len(labels), 4, requires_grad=True)
    loss = triplet_loss(embeddings, torch.tensor(labels))
    loss.total.backward()
    assert list(loss) == [0, 0, 0, 0]
    assert not embeddings.grad.any()


def test_equal_embeddings_have_a_gradient() -> None:
    embeddings = torch.ones(4, 3, requires_grad=True)
    triplet_loss(embeddings, torch.tensor([0, 0, 1, 1])).total.backward()
    assert embeddings.grad.isfinite().all()


def test_half_precision_is_summed_in_full() -> None:
    embeddings, labels = torch.randn(16, 8).bfloat16(), torch.arange(16) % 4
    expected = triplet_loss(embeddings.float(), labels)
    embeddings.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = triplet_loss(embeddings, labels)
    torch.testing.assert_close(list(loss), list(expected))
    loss.total.backward()
    assert embeddings.grad.dtype == torch.bfloat16
    assert embeddings.grad.isfinite().all()
