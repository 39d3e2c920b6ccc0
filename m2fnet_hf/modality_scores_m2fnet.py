"""What each modality says by itself and what is said without it, from features that are encoded once.

Shapes: B dialogues, U utterances. Masks are true where real.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .dialogue_m2fnet import MODALITIES
from .features_m2fnet import INPUT_NAMES, by_dialogue


def encode_once(model: Any, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """A model's inputs with the features [B, U, D] and masks [B, U] of each modality in the place of raw inputs."""
    mask = tensors["utterance_mask"].bool()
    raw = by_dialogue({name: tensors[name] for name in INPUT_NAMES & tensors.keys()}, mask)
    features, present = model.base_model.features(raw, mask)
    encoded = {name: value for name, value in tensors.items() if name not in INPUT_NAMES}
    for modality, values in features.items():
        if values is not None:
            encoded |= {f"{modality}_features": values, f"{modality}_features_mask": present[modality]}
    return encoded


def given_modalities(encoded: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that some utterance has."""
    masks = {modality: encoded.get(f"{modality}_features_mask") for modality in MODALITIES}
    return tuple(modality for modality, mask in masks.items() if mask is not None and mask.any())


def keep(encoded: Mapping[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    """The inputs with all but some modalities withheld."""
    masks = {
        name: torch.zeros_like(mask)
        for name, mask in encoded.items()
        if name.endswith("_features_mask") and name.removesuffix("_features_mask") not in kept
    }
    return {**encoded, **masks}


__all__ = ["encode_once", "given_modalities", "keep"]
