"""What M2FNet's models return.

Shapes: B dialogues, U utterances, H hidden, M modalities, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput


@dataclass
class M2FNetModelOutput(ModelOutput):
    """What [`M2FNetModel`] returns.

    Args:
        last_hidden_state: [B, U, M * H], what the classifier reads: the fused text beside the other modalities; with
            gated fusion their weighted sum [B, U, H]. Zero at padding.
        modality_states: one [B, U, H] per modality of the model, after its dialogue encoders.
        modality_mask: [B, U, 3], 1 for those of text, sound and faces that were used for an utterance.
        modality_weights: [B, U, M], the gate's weights over the model's modalities; gated fusion only.
        hidden_states: on request, the first modality's [B, U, H] before and after each of its dialogue encoders.
        attentions: on request, the first modality's self-attention [B, heads, U, U] in each dialogue encoder.
        audio_attentions, visual_attentions: on request, in each fusion module, text to sound and text to faces
            [B, heads, U, U]. With a cache, the keys begin with those of the earlier utterances.
    """

    last_hidden_state: torch.Tensor | None = None
    modality_states: tuple[torch.Tensor, ...] | None = None
    modality_mask: torch.Tensor | None = None
    modality_weights: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None
    audio_attentions: tuple[torch.Tensor, ...] | None = None
    visual_attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class M2FNetEmotionOutput(ModelOutput):
    """What [`M2FNetForEmotionClassification`] returns: [`M2FNetModelOutput`] with the emotions.

    Args:
        loss: scalar, with `labels` only.
        logits: [B, U, C]; zero at padding.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    modality_states: tuple[torch.Tensor, ...] | None = None
    modality_mask: torch.Tensor | None = None
    modality_weights: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None
    audio_attentions: tuple[torch.Tensor, ...] | None = None
    visual_attentions: tuple[torch.Tensor, ...] | None = None
    last_hidden_state: torch.Tensor | None = None


def requested(values: list | None, which: bool | int | Sequence[int] | None) -> tuple | None:
    """What `output_hidden_states` or `output_attentions` asks for: all values, or those of some indices and `None`."""
    if not values or not which:
        return None
    if which is True:
        return tuple(values)
    kept = {range(len(values))[index] for index in ([which] if isinstance(which, int) else which)}
    return tuple(value if number in kept else None for number, value in enumerate(values))


__all__ = ["M2FNetEmotionOutput", "M2FNetModelOutput"]
