"""Whether an exported model is the model that it was exported from."""

from typing import Any

import torch

from ..configuration_m2fnet import M2FNetConfig
from ..encoders_m2fnet import longest_text
from ..modeling_m2fnet import M2FNetForEmotionClassification
from ..names_m2fnet import SPECTROGRAM_ENCODERS
from ..spectrogram_layout_m2fnet import spectrogram_layout
from .graphs import shortest_sound
from .runner import OnnxEmotionModel

# Utterances of each dialogue of a batch.
BATCHES = ((3, 1, 6), (1,))


def largest_difference(model: M2FNetForEmotionClassification, exported: OnnxEmotionModel, seed: int = 0) -> float:
    """Between the logits of the two, on [`ragged_inputs`].

    Args:
        model: in evaluation mode, on the CPU.
    """
    differences = []
    for lengths in BATCHES:
        inputs: Any = ragged_inputs(model, lengths, seed)
        with torch.no_grad():
            expected = model(**inputs).logits
        differences.append(float((exported(**inputs).logits - expected).abs().max()))
    return max(differences)


def ragged_inputs(
    model: M2FNetForEmotionClassification, lengths: tuple[int, ...], seed: int = 0
) -> dict[str, torch.Tensor]:
    """Random dialogues of these lengths, ragged in every dimension, each modality absent or cached for some: the
    model's inputs, [B, U, ...].
    """
    random = torch.Generator().manual_seed(seed)
    config: M2FNetConfig = model.config
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    inputs = {
        "utterance_mask": mask,
        "speaker_ids": torch.randint(-1, config.num_speakers + 1, mask.shape, generator=random),
    }
    build: dict[str, Any] = {"text": _text, "audio": _sound, "visual": _faces}
    for modality, size in config.feature_sizes.items():
        encoder = getattr(model.model, f"{modality}_encoder")
        share = 0.7 if encoder is None else 0.2
        inputs[f"{modality}_features"] = torch.randn(*mask.shape, size, generator=random)
        inputs[f"{modality}_features_mask"] = torch.rand(mask.shape, generator=random) < share
        if encoder is not None:
            inputs |= build[modality](encoder, mask.shape, random)
    return inputs


def _text(encoder: Any, shape: torch.Size, random: torch.Generator) -> dict[str, torch.Tensor]:
    tokens = min(24, longest_text(encoder) or 24)
    real = _lengths(shape, 2, tokens, random)
    ids = torch.randint(encoder.config.vocab_size - 1, (*shape, tokens), generator=random)
    padding = encoder.config.pad_token_id
    return {
        # All ids but that of padding, from which some encoders count positions.
        "input_ids": ids if padding is None else ids + (ids >= padding),
        "attention_mask": real,
        "pooling_mask": real & (torch.rand(real.shape, generator=random) < 0.6),
    }


def _sound(encoder: Any, shape: torch.Size, random: torch.Generator) -> dict[str, torch.Tensor]:
    if encoder.config.model_type in SPECTROGRAM_ENCODERS:
        layout = spectrogram_layout(encoder.config)
        frames = layout.shortest + 40
        return {
            "input_features": torch.randn(*shape, frames, layout.width, generator=random),
            "audio_attention_mask": _lengths(shape, layout.shortest, frames, random),
        }
    shortest = shortest_sound(encoder)
    samples = 20 * shortest
    return {
        "input_values": torch.randn(*shape, samples, generator=random),
        "audio_attention_mask": _lengths(shape, shortest, samples, random),
    }


def _faces(encoder: Any, shape: torch.Size, random: torch.Generator) -> dict[str, torch.Tensor]:
    config = encoder.config
    faces = (*shape, 5, config.max_faces)
    inputs = {"face_areas": torch.rand(faces, generator=random)}
    for name, size in (("action_units", config.num_action_units), ("appearance", config.num_appearance_features)):
        inputs[name] = torch.rand(*faces, size, generator=random)
        inputs[f"{name}_mask"] = torch.rand(faces, generator=random) < 0.4
    if config.hidden_size is None:
        inputs["known_action_units"] = torch.rand(inputs["action_units"].shape, generator=random) < 0.5
    return inputs


def _lengths(shape: torch.Size, least: int, most: int, random: torch.Generator) -> torch.Tensor:
    """Masks [B, U, most] of random lengths, some of them 0."""
    lengths = torch.randint(least, most + 1, (*shape, 1), generator=random)
    there = torch.rand(*shape, 1, generator=random) < 0.8
    return (torch.arange(most) < lengths) & there
