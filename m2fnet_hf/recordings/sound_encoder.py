"""The sound encoder of a torch model for the reader of recordings, and what tells its features apart."""

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..configuration_m2fnet import M2FNetConfig
from ..processing_m2fnet import AUDIO_TENSORS
from ..utils.hashes import hash_parts
from .reader import SAMPLING_RATE

if TYPE_CHECKING:
    from ..modeling_m2fnet import M2FNetForEmotionClassification
    from ..processing_m2fnet import M2FNetProcessor


def sound_encoder(model: "M2FNetForEmotionClassification", processor: "M2FNetProcessor") -> tuple[Any, str]:
    """What encodes sounds, and a hash of all that changes its features."""
    base: Any = model.base_model
    settings = [processor.feature_extractor.to_dict(), *audio_pooling(model.config, str(model.dtype))]
    return _SoundEncoder(model, processor), fingerprint(base.audio_encoder, settings)


class _SoundEncoder:
    """The model's sound encoder."""

    def __init__(self, model: "M2FNetForEmotionClassification", processor: "M2FNetProcessor") -> None:
        self.model = model
        self.processor = processor

    def __call__(self, sounds: list[np.ndarray]) -> np.ndarray:
        """Sounds [S] at 16 kHz to features [N, D]."""
        # On a CPU a batch saves no time, and takes memory for all of its sounds.
        size = 1 if self.model.device.type == "cpu" else len(sounds)
        return np.concatenate([self._encode(sounds[first : first + size]) for first in range(0, len(sounds), size)])

    def _encode(self, sounds: list[np.ndarray]) -> np.ndarray:
        utterances = [{"audio": sound, "sampling_rate": SAMPLING_RATE} for sound in sounds]
        inputs = self.processor([utterances], modalities=["audio"]).to(self.model.device)
        base: Any = self.model.base_model
        with torch.inference_mode():
            output = base.get_audio_features(**{name: inputs[name] for name in AUDIO_TENSORS if name in inputs})
        return output.pooler_output[0].float().cpu().numpy()


def audio_pooling(config: M2FNetConfig, dtype: str) -> list[Any]:
    """All of a model, beside the encoder's weights, that changes its features of sound."""
    # The plain mean as it was before there was another: what was kept of it stays valid.
    return [config.num_blocks, dtype, *([] if config.audio_pooling == "mean" else [config.audio_pooling])]


def fingerprint(module: nn.Module, settings: Any) -> str:
    """A hash of weights and settings."""
    weights = (
        (name.encode(), tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        for name, tensor in module.state_dict().items()
    )
    described = json.dumps(settings, sort_keys=True, default=str).encode()
    return hash_parts(chain([described], chain.from_iterable(weights)))
