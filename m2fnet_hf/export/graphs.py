"""The parts of a model that become ONNX graphs: an encoder of each modality, and all that follows them.

Shapes: N real utterances, T tokens, S samples, F face frames, P faces, E values of a face, L positions of an encoder's
output, H its hidden size, D features, B dialogues, U utterances, C classes. Masks are true where real.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import nn

from ..encoders_m2fnet import (
    LONGEST_SOUND,
    MASKED_AUDIO_ENCODERS,
    M2FNetVisualEncoder,
    encode_faces,
    longest_text,
    num_frames,
    pooling_options,
)
from ..modeling_m2fnet import M2FNetForEmotionClassification
from ..names_m2fnet import SPECTROGRAM_ENCODERS
from ..packing_m2fnet import length_mask
from ..pooling_m2fnet import block_pool, block_statistics
from ..spectrogram_encoders_m2fnet import read_spectrograms, sound_positions
from ..spectrogram_layout_m2fnet import spectrogram_layout
from .encoders import encoder_name
from .model import FUSION


@dataclass(frozen=True)
class Graph:
    """What is exported to one file.

    Args:
        name: of the file.
        module: its forward takes the inputs by name.
        inputs: examples of them, of any shape.
        axes: names of the first axes of each input, which are dynamic.
        outputs: their names.
        notes: kept in the file, for the runner.
    """

    name: str
    module: nn.Module
    inputs: dict[str, torch.Tensor]
    axes: tuple[str, ...]
    outputs: tuple[str, ...]
    notes: dict[str, str] = field(default_factory=dict)


def graphs(model: M2FNetForEmotionClassification) -> Iterator[Graph]:
    """The encoders that a model has, then its fusion core."""
    build: dict[str, Any] = {"text": _text_graph, "audio": _audio_graph, "visual": _visual_graph}
    for modality in model.config.modalities:
        encoder = getattr(model.model, encoder_name(modality))
        if encoder is not None:
            yield build[modality](encoder, **pooling_options(model.config, modality))
    yield _fusion_graph(model)


class TextGraph(nn.Module):
    """Tokens and which are real [N, T], of u parts which are pooled [N, T, u], to features [N, u, D] and states."""

    def __init__(self, encoder: nn.Module, num_blocks: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.num_blocks = num_blocks

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, pooling_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask.long()).last_hidden_state
        return block_pool(states, pooling_mask, self.num_blocks), states


class AudioGraph(nn.Module):
    """Sound [N, S] to features [N, D] and states [N, L, H]; without a mask, all rows must be of one length."""

    def __init__(self, encoder: nn.Module, **pooling: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling

    def forward(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if attention_mask is None:
            states = self.encoder(input_values).last_hidden_state
            frames = torch.ones_like(states[..., 0], dtype=torch.bool)
        else:
            states = self.encoder(input_values, attention_mask=attention_mask.long()).last_hidden_state
            frames = length_mask(num_frames(self.encoder, attention_mask.sum(-1)), states.shape[1])
        return block_statistics(states, frames, **self.pooling), states


class SpectrogramGraph(nn.Module):
    """Places of spectrograms [N, P, M * frames] (see `spectrogram_rows`) to features [N, D] and states [N, L, H].

    The states are those of the sound where all rows are of one length, as they must be without a mask [N, P].
    """

    def __init__(self, encoder: nn.Module, **pooling: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling

    def forward(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        layout = spectrogram_layout(self.encoder.config)
        every = torch.ones_like(input_features[..., 0], dtype=torch.bool)
        lengths = (every if attention_mask is None else attention_mask).sum(1)
        given = None if attention_mask is None else lengths
        states = read_spectrograms(self.encoder, input_features, given).last_hidden_state
        own = sound_positions(self.encoder, lengths, states.shape[1])
        return block_statistics(states, own, **self.pooling), states[:, layout.before : states.shape[1] - layout.behind]


class VisualGraph(nn.Module):
    """Faces [N, F, P, E], which are real [N, F, P] and their areas [N, F, P], to features [N, D]."""

    def __init__(self, encoder: M2FNetVisualEncoder, num_blocks: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.num_blocks = num_blocks

    def forward(
        self, faces: torch.Tensor, faces_mask: torch.Tensor, face_areas: torch.Tensor | None = None
    ) -> torch.Tensor:
        return encode_faces(self.encoder, faces, faces_mask, face_areas, self.num_blocks)


class FixedSlots(M2FNetVisualEncoder):
    """An encoder whose frames come with `max_faces` faces, real or not: a graph cannot refuse one too many."""

    def _slots(self, faces: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.where(mask.unsqueeze(-1), faces, self.absent_face)


class FusionGraph(nn.Module):
    """Features [B, U, D] and masks [B, U] of all modalities to logits [B, U, C]."""

    def __init__(self, model: M2FNetForEmotionClassification) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        utterance_mask: torch.Tensor,
        text_features: torch.Tensor | None = None,
        text_features_mask: torch.Tensor | None = None,
        audio_features: torch.Tensor | None = None,
        audio_features_mask: torch.Tensor | None = None,
        visual_features: torch.Tensor | None = None,
        visual_features_mask: torch.Tensor | None = None,
        speaker_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.model(
            utterance_mask=utterance_mask,
            text_features=text_features,
            text_features_mask=text_features_mask,
            audio_features=audio_features,
            audio_features_mask=audio_features_mask,
            visual_features=visual_features,
            visual_features_mask=visual_features_mask,
            speaker_ids=speaker_ids,
        ).logits


def _text_graph(encoder: Any, num_blocks: int) -> Graph:
    longest = longest_text(encoder)
    mask = torch.ones(2, 8, dtype=torch.bool)
    ids = torch.ones(2, 8, dtype=torch.long)
    return Graph(
        encoder_name("text"),
        TextGraph(encoder, num_blocks),
        {"input_ids": ids, "attention_mask": mask, "pooling_mask": mask.unsqueeze(-1).repeat(1, 1, 2)},
        ("rows", "tokens", "utterances"),
        ("features", "states"),
        {} if longest is None else {"longest": str(longest)},
    )


def _audio_graph(encoder: Any, **pooling: Any) -> Graph:
    if encoder.config.model_type in SPECTROGRAM_ENCODERS:
        return _spectrogram_graph(encoder, **pooling)
    samples = 8 * shortest_sound(encoder)
    inputs = {"input_values": torch.zeros(2, samples)}
    # As in `encode_audio`: other encoders mix padding into real frames.
    if encoder.config.model_type in MASKED_AUDIO_ENCODERS and encoder.config.feat_extract_norm == "layer":
        inputs["attention_mask"] = torch.ones(2, samples, dtype=torch.bool)
    return Graph(
        encoder_name("audio"),
        AudioGraph(encoder, **pooling),
        inputs,
        ("utterances", "samples"),
        ("features", "states"),
        {"longest": str(LONGEST_SOUND)},
    )


def _spectrogram_graph(encoder: Any, **pooling: Any) -> Graph:
    layout = spectrogram_layout(encoder.config)
    places = 4 * layout.shortest + 16 * getattr(encoder.config, "patch_size", 1)
    inputs = {"input_features": torch.zeros(2, places, layout.frames * layout.width)}
    if layout.masked:
        inputs["attention_mask"] = torch.ones(2, places, dtype=torch.bool)
    return Graph(
        encoder_name("audio"),
        SpectrogramGraph(encoder, **pooling),
        inputs,
        ("utterances", "places"),
        ("features", "states"),
        {"longest": str(layout.longest)},
    )


def _visual_graph(encoder: M2FNetVisualEncoder, num_blocks: int) -> Graph:
    config = encoder.config
    axes: tuple[str, ...] = ("utterances", "frames", "faces")
    if config.face_pooling == "concat":
        weights = encoder.state_dict()
        encoder = FixedSlots(config).eval()
        encoder.load_state_dict(weights)
        axes = axes[:2]
    shape = (2, 3, config.max_faces)
    inputs = {"faces": torch.zeros(*shape, config.face_size), "faces_mask": torch.ones(shape, dtype=torch.bool)}
    if config.face_pooling == "area":
        inputs["face_areas"] = torch.ones(shape)
    return Graph(encoder_name("visual"), VisualGraph(encoder, num_blocks), inputs, axes, ("features",))


def _fusion_graph(model: M2FNetForEmotionClassification) -> Graph:
    every = torch.ones(2, 3, dtype=torch.bool)
    inputs = {"utterance_mask": every}
    for modality, size in model.config.feature_sizes.items():
        inputs |= {f"{modality}_features": torch.zeros(2, 3, size), f"{modality}_features_mask": every}
    if model.config.speaker_embeddings or model.config.speaker_normalization:
        inputs["speaker_ids"] = torch.zeros(2, 3, dtype=torch.long)
    return Graph(FUSION, FusionGraph(model), inputs, ("dialogues", "utterances"), ("logits",))


def shortest_sound(encoder: Any) -> int:
    """Samples of which an audio encoder makes one frame."""
    return next(samples for samples in count(1) if int(num_frames(encoder, torch.tensor(samples))) > 0)
