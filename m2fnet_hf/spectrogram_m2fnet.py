"""Sound to the mel spectrogram that an encoder reads, by the library's feature extractor of that encoder.

Shapes: S samples, L frames, M values of a frame. Frames are 10 ms apart, those of Wav2Vec2-BERT 20 ms.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from transformers import ASTFeatureExtractor, SeamlessM4TFeatureExtractor, WhisperFeatureExtractor

from .spectrogram_layout_m2fnet import HOP, SILENT_POSITIONS, WINDOW, at_least, whisper_pieces


def reads_spectrograms(extractor: Any) -> bool:
    """Whether a feature extractor makes spectrograms."""
    return _kind(extractor) is not None


def log_mel(extractor: Any, sound: np.ndarray) -> np.ndarray:
    """Sound [S] of any length at the extractor's sampling rate to its spectrogram [L, M].

    Too little sound for an encoder is padded with silence. Whisper's is in pieces of like length, each with a second
    of silence behind it and, as in Whisper, with a floor that its own loudest value sets; `pieces` of the encoder are
    the same.
    """
    make = _kind(extractor)
    assert make is not None
    return make(extractor, sound.astype(np.float32, copy=False))


def default_extractor(config: Any) -> Any:
    """The extractor for an encoder of spectrograms that comes without one."""
    if config.model_type == "whisper":
        seconds = config.max_source_positions // SILENT_POSITIONS  # each of which is one second
        return WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=seconds)
    if config.model_type == "audio-spectrogram-transformer":
        return ASTFeatureExtractor(num_mel_bins=config.num_mel_bins, max_length=config.max_length)
    return SeamlessM4TFeatureExtractor(num_mel_bins=config.feature_projection_input_dim // 2)


def _whisper(extractor: Any, sound: np.ndarray) -> np.ndarray:
    settings = {"sampling_rate": extractor.sampling_rate, "padding": "do_not_pad", "truncation": False}
    pieces = whisper_pieces(sound, extractor.nb_max_frames)
    return np.concatenate(
        [extractor(piece, return_tensors="np", **settings)["input_features"][0].T for piece in pieces]
    )


def _ast(extractor: Any, sound: np.ndarray) -> np.ndarray:
    sound = at_least(sound, 1)
    whole = copy.copy(extractor)
    whole.max_length = 1 + (len(sound) - WINDOW) // HOP  # to which the library would cut or pad
    return np.asarray(whole(sound, sampling_rate=extractor.sampling_rate, return_tensors="np")["input_values"][0])


def _seamless(extractor: Any, sound: np.ndarray) -> np.ndarray:
    # It divides by the deviation over frames, and so needs two.
    sound = at_least(sound, max(2, extractor.stride))
    found = extractor(sound, sampling_rate=extractor.sampling_rate, return_tensors="np")
    return found["input_features"][0][found["attention_mask"][0].astype(bool)]


def _kind(extractor: Any) -> Callable[[Any, np.ndarray], np.ndarray] | None:
    kinds = {WhisperFeatureExtractor: _whisper, ASTFeatureExtractor: _ast, SeamlessM4TFeatureExtractor: _seamless}
    return next((make for kind, make in kinds.items() if isinstance(extractor, kind)), None)
