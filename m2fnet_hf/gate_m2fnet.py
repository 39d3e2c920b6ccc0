"""Gated fusion, which is not in the paper: a weight per modality and utterance.

Shapes: N real utterances, H hidden, M modalities.
"""

import torch
from torch import nn

from .configuration_m2fnet import M2FNetConfig


class M2FNetGate(nn.Module):
    """Weigh the modalities of each utterance, absent ones with 0; leaves the text the room the report asks for."""

    def __init__(self, config: M2FNetConfig) -> None:
        super().__init__()
        count = len(config.modalities)
        self.score = nn.Linear(count * config.hidden_size, count)

    def forward(
        self, states: dict[str, torch.Tensor], present: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Modalities [N, H], presence [N], to their sum [N, H] and its weights [N, M]."""
        stacked = torch.stack(list(states.values()), dim=1)
        known = torch.stack([present[modality] for modality in states], dim=1)
        known = known | ~known.any(-1, keepdim=True)
        scores = self.score(stacked.flatten(1))
        weights = scores.masked_fill(~known, float("-inf")).softmax(-1)
        return (weights.unsqueeze(1) @ stacked).squeeze(1), weights


__all__ = ["M2FNetGate"]
