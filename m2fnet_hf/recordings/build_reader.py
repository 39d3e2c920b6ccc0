"""What a model needs to be seen and heard of a recording: its `Observer`."""

import json
import warnings
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..configuration_m2fnet import M2FNetConfig, M2FNetVisualConfig
from ..faces.registry import load_face_backend
from ..faces.types import FaceBackend, Faces
from .cache import Cache
from .reader import SAMPLING_RATE, Observer

NO_FACES = "none"


def observer_for(
    model: Any,
    processor: Any,
    faces: str | Path | FaceBackend | None = None,
    frame_rate: float = 2.0,
    cache: Cache | None = None,
    progress: Callable[..., Iterable[Any]] | None = None,
    encode_sound: bool = True,
) -> Observer:
    """An observer that looks and listens for what the model reads, and for no more.

    Args:
        model: [`M2FNetForEmotionClassification`].
        processor: [`M2FNetProcessor`].
        faces: name of a face backend, one of its objects, a csv or npz file of faces, or `none`. Default: the one that
            the model names; where it does not work, faces are masked. One that is given is asked even for a model that
            does not read faces, so that they can be drawn.
        frame_rate: frames of each second of an utterance that are looked at.
        cache: where results are kept.
        progress: wraps the pass over a recording, as `rich.progress.track` does.
        encode_sound: run the sound encoder on each batch of utterances, so that their sound need not stay in memory.

    Raises:
        ValueError, ImportError, OSError: where the face backend that was named does not work.
    """
    config: M2FNetConfig = model.config
    observer = Observer(
        frame_rate=frame_rate,
        max_faces=processor.au_feature_extractor.max_faces,
        faces_required=faces is not None,
        listen=config.audio_config is not None,
        cache=cache or Cache(None),
        progress=progress,
    )
    if observer.listen and encode_sound:
        observer.hear = _Hearing(model, processor)
        observer.settings["audio"] = fingerprint(
            model.base_model.audio_encoder, [processor.feature_extractor.to_dict(), config.num_blocks, str(model.dtype)]
        )
    if faces is not None and str(faces) != NO_FACES:
        observer.faces = load_face_backend(faces) if isinstance(faces, (str, Path)) else faces
    elif config.visual_config is not None and faces is None:
        observer.faces = _default_backend(config.visual_config.face_backend)
    if config.visual_config is not None:
        _look_for(observer, config.visual_config, processor)
    return observer


def _look_for(observer: Observer, config: M2FNetVisualConfig, processor: Any) -> None:
    """Choose what of each face the model reads."""
    if observer.faces is None:
        observer.why_blind = "faces were not looked for"
        return
    if config.visual_features in ("action_units", "both"):
        offered = list(observer.faces.action_units)
        wanted = config.action_units or offered
        lacking = [name for name in wanted if name not in offered]
        if lacking or len(wanted) != config.num_action_units:
            observer.why_blind = (
                f"the faces come without {', '.join(lacking) or 'the Action Units that the model reads'}"
            )
            return
        observer.units = [offered.index(name) for name in wanted]
    if config.visual_features in ("appearance", "both"):
        extractor = processor.appearance_feature_extractor
        observer.describe = _Describing(extractor)
        observer.settings["appearance"] = extractor.fingerprint


def _default_backend(name: str) -> FaceBackend | None:
    try:
        return load_face_backend(name)
    except (ImportError, OSError, ValueError) as error:
        warnings.warn(str(error), stacklevel=2)
        return None


class _Hearing:
    """The model's sound encoder."""

    def __init__(self, model: Any, processor: Any) -> None:
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
        with torch.inference_mode():
            output = self.model.base_model.get_audio_features(inputs["input_values"], inputs["audio_attention_mask"])
        return output.pooler_output[0].float().cpu().numpy()


class _Describing:
    """The appearance features of faces, as the processor reduces them."""

    def __init__(self, extractor: Any) -> None:
        self.extractor = extractor

    def __call__(self, image: np.ndarray, faces: Faces) -> np.ndarray:
        from ..faces.appearance import describe

        return self.extractor.project(describe(image, faces, geometry=self.extractor.geometry))


def fingerprint(module: nn.Module, settings: Any) -> str:
    """A hash of weights and settings."""
    digest = blake2b(json.dumps(settings, sort_keys=True, default=str).encode(), digest_size=16)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
