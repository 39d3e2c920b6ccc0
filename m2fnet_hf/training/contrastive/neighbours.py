"""How well labels lie apart in embeddings."""

import torch


def neighbour_metrics(embeddings: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """How well labels lie apart in embeddings [N, D].

    Returns:
        `leave_one_out_accuracy`, the share whose nearest neighbour has their label, and the mean Euclidean distances
        of two utterances of one label (`positive_distance`) and of different ones (`negative_distance`).
    """
    distances = torch.cdist(embeddings, embeddings)
    itself = torch.eye(len(labels), dtype=torch.bool)
    same = labels.unsqueeze(1) == labels
    nearest = distances.masked_fill(itself, float("inf")).argmin(1)
    return {
        "leave_one_out_accuracy": share_equal(labels[nearest], labels),
        "positive_distance": distances[same & ~itself].mean().item(),
        "negative_distance": distances[~same].mean().item(),
    }


def share_equal(predictions: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of predictions [N] that are their label [N]."""
    return (predictions == labels).float().mean().item()
