"""The encoder that is trained, with one layer behind it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel

from ...configuration_m2fnet import M2FNetConfig
from ...encoders_m2fnet import encode_faces, encode_sound, encode_text, pooling_options
from ...modeling_m2fnet import M2FNetPreTrainedModel
from ...spectrogram_encoders_m2fnet import lacks_final_norm
from .settings import ExtractorSettings


class UtteranceEmbedder(M2FNetPreTrainedModel):
    """An encoder, its output pooled, and a linear layer: one embedding per utterance.

    Args:
        config: of a model with this modality alone.
        encoder: of the modality.
        settings: [`ExtractorSettings`].
    """

    accepts_loss_kwargs = False  # its loss is a mean over each batch

    def __init__(self, config: M2FNetConfig, encoder: PreTrainedModel, settings: ExtractorSettings) -> None:
        super().__init__(config)
        (self.modality,) = config.modalities
        self.embedding = nn.Linear(config.feature_sizes[self.modality], settings.embedding_size)
        head = settings.cross_entropy_weight > 0
        self.classifier = nn.Linear(settings.embedding_size, config.num_labels or 0) if head else None
        self.post_init()
        self.utterance_encoder: Any = encoder  # only now: what it has learnt must not be initialised

    @property
    def text_encoder(self) -> PreTrainedModel | None:
        """The encoder, where it reads text."""
        return self.utterance_encoder if self.modality == "text" else None

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """What [`UtteranceCollator`] gives to `embeddings` [N, D] and, with a classifier, `logits` [N, C]."""
        embeddings = self.embedding(self.features(inputs))
        outputs = {"embeddings": embeddings}
        if self.classifier is not None:
            outputs["logits"] = self.classifier(embeddings)
        return outputs

    def features(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What the fusion will read of each utterance [N, D]."""
        options = pooling_options(self.config, self.modality)
        if not inputs:
            return self.embedding.weight.new_empty(0, self.embedding.in_features)
        if self.modality == "text":
            tokens = inputs["input_ids"], inputs["attention_mask"], inputs["pooling_mask"]
            return encode_text(self.utterance_encoder, *tokens, **options)
        if self.modality == "audio":
            name = self.config.audio_input
            sound = {name: inputs[name], "attention_mask": inputs["audio_attention_mask"]}
            return encode_sound(self.utterance_encoder, **sound, **options)
        faces = inputs["faces"], inputs["faces_mask"], inputs.get("face_areas")
        return encode_faces(self.utterance_encoder, *faces, **options)


def save_encoder(encoder: PreTrainedModel, folder: str | Path) -> None:
    """Save an encoder for `AutoModel.from_pretrained`."""
    if encoder.config.is_encoder_decoder:  # AutoModel loads both halves
        whole: Any = AutoModel.from_config(encoder.config)
        whole.get_encoder().load_state_dict(encoder.state_dict(), strict=not lacks_final_norm(encoder))
        whole.save_pretrained(folder)
        return
    encoder.save_pretrained(folder)
