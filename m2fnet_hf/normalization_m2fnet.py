"""Features less what is usual for their speaker in the dialogue: voices and faces differ at rest.

Shapes: B dialogues, U utterances, D features, W known masks of them (D, or 1 where all are known or none), K speakers.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from .configuration_m2fnet import M2FNetConfig

# A feature that hardly varies is not blown up.
LEAST_SCALE = 1e-3


@dataclass
class PastSpeakers:
    """What was said before in the one dialogue that a causal model continues, summed by speaker.

    Args:
        ids: index of each speaker [1, K], -1 for all unknown ones together; `None` before the first utterance.
        sums: of the standardised features, of their masks and of the utterances [1, K, D + W + 1].
    """

    ids: torch.Tensor | None = None
    sums: torch.Tensor | None = None

    def put_in_front(self, ids: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The ids [1, U] and rows [1, U, ...] of utterances, behind one of each speaker of the past."""
        if self.ids is None or self.sums is None:
            return ids, rows
        return torch.cat([self.ids, ids], dim=1), torch.cat([self.sums, rows], dim=1)

    def remember(self, ids: torch.Tensor, sums: torch.Tensor) -> None:
        """Keep the sums [1, U, ...] behind the last utterance of each speaker [1, U]."""
        self.ids, which = ids.unique(return_inverse=True)
        self.ids, place = self.ids.unsqueeze(0), torch.arange(ids.shape[1], device=ids.device)
        last = place.new_zeros(self.ids.shape[1]).scatter_reduce(0, which[0], place, "amax", include_self=False)
        self.sums = sums[:, last]


class SpeakerNormalization(nn.Module):
    """Standardised features less their speaker's mean, and how many utterances this rests on.

    With z the standardised features, N utterances of the dialogue that have them and n of the speaker's:

        dialogue's mean  d = sum over all z / (N + dialogue_strength)
        speaker's mean   m = (sum over the speaker's z + speaker_strength * d) / (n + speaker_strength)
        result           z - m, and log(1 + n)

    so the mean of few is drawn towards that of all, and that of a short dialogue towards the training data's, 0. An
    unknown speaker has the mean d and n = 0. A causal model sums over an utterance and those before it. Time and memory
    grow with the number of utterances.

    Args:
        config: of the model.
        modality: `audio` or `visual`.

    Attributes:
        mean, scale: [D], over utterances of the training data; `scale` is the standard deviation within speakers.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, config: M2FNetConfig, modality: str) -> None:
        super().__init__()
        visual = config.visual_config
        self.has_masks = modality == "visual" and visual is not None and visual.hidden_size is None
        size = config.feature_sizes[modality] // (1 + self.has_masks)
        self.speaker_strength = config.speaker_strength
        self.dialogue_strength = config.dialogue_strength
        self.causal = config.causal
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @property
    def output_size(self) -> int:
        """Features of the result: D, as many masks where there are any, and the count."""
        return len(self.mean) * (1 + self.has_masks) + 1

    def fit(self, features: torch.Tensor, speakers: Sequence[Hashable]) -> None:
        """Take `mean` and `scale` from training data.

        Args:
            features: [N, D], or [N, 2 D] with the masks behind the values, as the model's encoder gives them.
            speakers: of each row, a name that no other speaker of the data has.
        """
        values, weight = (part.float() for part in self._split(features, torch.ones_like(features[:, 0])))
        values = values * weight
        number = {speaker: index for index, speaker in enumerate(dict.fromkeys(speakers))}
        speaker = torch.tensor([number[one] for one in speakers], device=values.device)
        sums, counts = (
            part.new_zeros(len(number), part.shape[1]).index_add(0, speaker, part) for part in (values, weight)
        )
        residual = (values - (sums / counts.clamp(min=1))[speaker]) * weight
        total = weight.sum(0).clamp(min=1)
        self.mean.copy_(values.sum(0) / total)
        # One degree of freedom went into the mean of each speaker; where none is left, all are taken for one speaker.
        free = weight.sum(0) - (counts > 0).sum(0)
        within = residual.square().sum(0) / free.clamp(min=1)
        overall = ((values - self.mean) * weight).square().sum(0) / total
        self.scale.copy_(torch.where(free > 0, within, overall).sqrt().clamp(min=LEAST_SCALE))

    def forward(
        self,
        features: torch.Tensor,
        present: torch.Tensor,
        speaker_ids: torch.Tensor,
        past: PastSpeakers | None = None,
    ) -> torch.Tensor:
        """Normalise the utterances of dialogues.

        Args:
            features: [B, U, D], or [B, U, 2 D] with the masks behind the values.
            present: utterances that have any [B, U].
            speaker_ids: index of the speaker within the dialogue [B, U], -1 where unknown.
            past: what was said before in the one dialogue that is given, to which these utterances are added.

        Returns:
            [B, U, output_size], zero where absent.
        """
        values, weight = (part.float() for part in self._split(features, present))
        z = (values - self.mean.float()) / self.scale.float() * weight
        # The sum over a part of a dialogue is the difference of longer ones, for which single precision is too coarse.
        precise = torch.float32 if z.device.type == "mps" else torch.float64
        rows = torch.cat([z, weight, present.unsqueeze(-1).float()], dim=-1).to(precise)
        ids = speaker_ids.clamp(min=-1)
        if past is not None:
            ids, rows = past.put_in_front(ids, rows)
        everyone = rows.cumsum(1) if self.causal else rows.sum(1, keepdim=True)
        own = sums_by_speaker(rows, ids, self.causal)
        if past is not None:
            past.remember(ids, own)
        own = own * (ids >= 0).unsqueeze(-1)

        sizes = [z.shape[-1], weight.shape[-1], 1]
        count = features.shape[1]
        all_sum, all_weight, _ = everyone[:, -count:].float().split(sizes, dim=-1)
        own_sum, own_weight, said = own[:, -count:].float().split(sizes, dim=-1)
        dialogue_mean = all_sum / (all_weight + self.dialogue_strength)
        mean = (own_sum + self.speaker_strength * dialogue_mean) / (own_weight + self.speaker_strength)
        parts = [(z - mean) * weight, *([weight] if self.has_masks else []), said.log1p()]
        return (torch.cat(parts, dim=-1) * present.unsqueeze(-1)).to(features.dtype)

    def _split(self, features: torch.Tensor, present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Values and weights, 0 where unknown."""
        weight = present.unsqueeze(-1).to(features.dtype)
        if not self.has_masks:
            return features, weight
        values, known = features.chunk(2, dim=-1)
        return values, known * weight


def sums_by_speaker(rows: torch.Tensor, ids: torch.Tensor, causal: bool) -> torch.Tensor:
    """For each utterance the sum of its speaker's rows [B, U, ...] in the dialogue; causal: up to its own."""
    place = torch.ones_like(ids).cumsum(1) - 1
    # Those of a speaker in the order in which they are said: a stable sort, which no graph can hold.
    order = (ids * ids.shape[1] + place).sort(dim=1).indices
    ids = ids.gather(1, order)
    changes = (ids[:, 1:] != ids[:, :-1]).long()
    group = torch.cat([torch.zeros_like(ids[:, :1]), changes.cumsum(1)], dim=1)
    lengths = torch.zeros_like(group).scatter_add(1, group, torch.ones_like(group))
    end = lengths.cumsum(1).gather(1, group)
    start = end - lengths.gather(1, group)
    stop = place + 1 if causal else end

    def taken(from_rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        dialogue = torch.arange(places.shape[0], device=places.device).unsqueeze(1)
        index = (places + dialogue * from_rows.shape[1]).flatten()
        return from_rows.flatten(0, 1).index_select(0, index).unflatten(0, places.shape)

    sums = taken(rows, order).cumsum(1)
    sums = torch.cat([torch.zeros_like(sums[:, :1]), sums], dim=1)
    return taken(taken(sums, stop) - taken(sums, start), torch.zeros_like(order).scatter(1, order, place))


__all__ = ["PastSpeakers", "SpeakerNormalization"]
