"""The dialogue encoders and fusion modules without padding, against the same on padded `nn.MultiheadAttention`."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from m2fnet_hf import M2FNetForEmotionClassification
from m2fnet_hf.attention_m2fnet import M2FNetAttention
from m2fnet_hf.modeling_m2fnet import sinusoidal_positions

from . import workload
from .measurements import at_least, at_most, told
from .timing import MatrixProduct, in_turns, operations, ratios

DIALOGUES = 32


def measure(quick: bool = False, repetitions: int = 5) -> dict[str, Any]:
    """Forward and training step on cached features of a batch of dialogues, and the share of the matrix product.

    The gain can be no more than the rows that padding adds, which the longest dialogue decides: one batch is what the
    quantiles give, the other has MELD's longest dialogue in it.
    """
    model = workload.core(quick)
    counts = workload.utterance_counts(4 if quick else DIALOGUES)
    longest = [max(workload.UTTERANCES) if count == max(counts) else count for count in counts]
    usual, rare = (_Comparison(model, batch, repetitions) for batch in (counts, longest))
    return {
        "ran": f"the report's core on features of {len(counts)} dialogues, {sum(counts)} utterances, fp32",
        "measurements": {
            "fusion: largest logit difference from the padded core": at_most(1e-4, [usual.difference, rare.difference]),
            "fusion: share of the rows saved that is time saved, forward": at_least(0.9, usual.saved(usual.forward)),
            "fusion: share of the rows saved that is time saved, training step": at_least(
                0.9, usual.saved(usual.training)
            ),
            "fusion: times as fast as the padded core, forward": told(usual.forward),
            "fusion: times as fast as the padded core, training step": told(usual.training),
            "fusion: rows of the padded core, times ours": told([usual.rows]),
            f"fusion: times as fast, forward, with a dialogue of {max(longest)}": at_least(2.5, rare.forward),
            f"fusion: times as fast, training step, with a dialogue of {max(longest)}": at_least(2.5, rare.training),
            f"fusion: rows, with a dialogue of {max(longest)}": told([rare.rows]),
            "fusion: share of the matrix product's rate": at_least(0.8, usual.shares),
        },
    }


class _Comparison:
    """The padded core's times over ours, and how many rows it computes for each of ours."""

    def __init__(self, model: M2FNetForEmotionClassification, counts: list[int], repetitions: int) -> None:
        inputs = workload.features(counts, model.config.feature_sizes)
        packed, padded = partial(_logits, model, inputs), partial(PaddedCore(model).eval(), **inputs)
        product = MatrixProduct()
        self.rows = inputs["utterance_mask"].numel() / sum(counts)
        with torch.inference_mode():
            self.difference = (packed() - padded())[inputs["utterance_mask"]].abs().max().item()
            times = in_turns({"packed": packed, "padded": padded, "product": product}, repetitions)
        self.forward = ratios(times["padded"], times["packed"])
        self.shares = product.shares(operations(packed), times["packed"], times["product"])
        times = in_turns({"packed": partial(_step, packed), "padded": partial(_step, padded)}, repetitions)
        self.training = ratios(times["padded"], times["packed"])

    def saved(self, gains: list[float]) -> list[float]:
        """Gains in units of the batch's own padding: the padded core's rows for each real one."""
        return [gain / self.rows for gain in gains]


def _logits(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**inputs).logits


def _step(forward: Callable[[], torch.Tensor]) -> None:
    forward().square().mean().backward()


class PaddedCore(nn.Module):
    """The core of a model with its weights, on padded features [B, U, D] that every layer computes on."""

    def __init__(self, model: M2FNetForEmotionClassification) -> None:
        super().__init__()
        core = copy.deepcopy(model)
        for module in list(core.modules()):
            for name, child in module.named_children():
                if isinstance(child, M2FNetAttention):
                    setattr(module, name, PaddedAttention(child))
        self.config = core.config
        self.modalities, self.fusion_layers = core.model.modalities, core.model.fusion_layers
        self.classifier = core.classifier

    def forward(self, utterance_mask: torch.Tensor, **features: torch.Tensor) -> torch.Tensor:
        """Logits [B, U, C]."""
        place = sinusoidal_positions(torch.arange(utterance_mask.shape[1]), self.config.hidden_size)
        states = []
        for modality, branch in self.modalities.items():
            hidden = branch.activation(branch.projection(branch.norm(features[f"{modality}_features"]))) + place
            for layer in branch.layers:
                inner = layer.attention_norm(hidden + layer.attention(hidden, hidden, hidden, ~utterance_mask))
                hidden = hidden + layer.feed_forward_norm(inner + layer.feed_forward(inner))
            states.append(hidden)
        text, *others = states
        for layer in self.fusion_layers:
            looks = zip(layer.attentions.values(), others, strict=True)
            attended = [attention(text, other, text, ~utterance_mask) for attention, other in looks]
            text = layer.activation(layer.merge(torch.cat([text, *attended], dim=-1)))
        return self.classifier(torch.cat([text, *others], dim=-1))


class PaddedAttention(nn.Module):
    """`nn.MultiheadAttention` with the weights of one of the model's attentions."""

    def __init__(self, attention: M2FNetAttention) -> None:
        super().__init__()
        width = attention.config.hidden_size
        self.attention = nn.MultiheadAttention(width, attention.config.num_attention_heads, batch_first=True)
        parts = (attention.query, attention.key, attention.value)
        self.attention.in_proj_weight.data = torch.cat([part.weight.data for part in parts])
        self.attention.in_proj_bias.data = torch.cat([part.bias.data for part in parts])
        self.attention.out_proj.load_state_dict(attention.output.state_dict())

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, padding: torch.Tensor
    ) -> torch.Tensor:
        return self.attention(query, key, value, key_padding_mask=padding, need_weights=False)[0]
