"""Sound to what an exported encoder reads, by numpy: what the library's feature extractors do, without the library.

Shapes: S samples, W of a window, L frames, K frequencies, M values of a frame.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..resampling_m2fnet import SHORTEST_SOUND
from ..spectrogram_layout_m2fnet import HOP, WINDOW, at_least, whisper_pieces

# Beside the graphs, for encoders of spectrograms: how much of each frequency is in each value of a frame [K, M].
FILTERS = "mel_filters.npy"
FFT_SIZE = 512
# Kaldi's, which the library follows.
PREEMPHASIS = 0.97
KALDI_FLOOR = np.float64(1.192092955078125e-07)

Read = Callable[[np.ndarray], np.ndarray]


def sound_reader(settings: Mapping[str, Any], folder: Path) -> Read:
    """What a feature extractor with these settings does to float32 sound [S] at its sampling rate.

    Args:
        settings: of the processor's `feature_extractor`.
        folder: of the exported model.

    Raises:
        ValueError: for a feature extractor that is not known here.
        FileNotFoundError: where the filters of the spectrogram are not in the folder.
    """
    kinds = {
        "Wav2Vec2FeatureExtractor": _samples,
        "WhisperFeatureExtractor": _whisper,
        "ASTFeatureExtractor": _ast,
        "SeamlessM4TFeatureExtractor": _seamless,
    }
    kind = str(settings.get("feature_extractor_type"))
    if kind not in kinds:
        raise ValueError(
            f"An exported model reads sound by one of {', '.join(kinds)}, found {kind}; use the torch model."
        )
    if kinds[kind] is _samples:
        return lambda sound: _samples(sound, settings)
    if not (folder / FILTERS).is_file():
        raise FileNotFoundError(
            f"An exported model must hold {FILTERS}, found none in {folder}; run `m2fnet export onnx` again."
        )
    filters = np.load(folder / FILTERS)
    read: Any = kinds[kind]
    return lambda sound: read(sound, settings, filters).astype(np.float32)


def _samples(sound: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    sound = np.pad(sound, (0, max(0, SHORTEST_SOUND - len(sound))))
    return (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7) if settings["do_normalize"] else sound


def _whisper(sound: np.ndarray, settings: Mapping[str, Any], filters: np.ndarray) -> np.ndarray:
    size, hop = settings["n_fft"], settings["hop_length"]
    window = np.hanning(size + 1)[:-1]
    pieces = []
    for piece in whisper_pieces(sound, settings["nb_max_frames"]):
        frames = _frames(np.pad(piece, size // 2, mode="reflect"), size, hop)[:-1]
        mel = np.log10(np.maximum(_power(frames * window, size) @ filters, 1e-10))
        pieces.append((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0)
    return np.concatenate(pieces)


def _ast(sound: np.ndarray, settings: Mapping[str, Any], filters: np.ndarray) -> np.ndarray:
    mel = _kaldi(at_least(sound, 1), np.hanning(WINDOW), filters)
    return (mel - settings["mean"]) / (settings["std"] * 2) if settings["do_normalize"] else mel


def _seamless(sound: np.ndarray, settings: Mapping[str, Any], filters: np.ndarray) -> np.ndarray:
    stride = settings["stride"]
    sound = at_least(sound, max(2, stride)) * np.float32(2**15)
    mel = _kaldi(sound, np.hanning(WINDOW) ** 0.85, filters)
    mel = (mel - mel.mean(0)) / np.sqrt(mel.var(0, ddof=1) + 1e-7)
    return mel[: len(mel) // stride * stride].reshape(-1, stride * mel.shape[1])


def _kaldi(sound: np.ndarray, window: np.ndarray, filters: np.ndarray) -> np.ndarray:
    frames = _frames(sound, WINDOW, HOP)
    frames = frames - frames.mean(1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    mel = _power((frames - PREEMPHASIS * before) * window, FFT_SIZE) @ filters
    return np.log(np.maximum(mel, KALDI_FLOOR))


def _frames(sound: np.ndarray, width: int, hop: int) -> np.ndarray:
    """[S] to [L, W], in double precision."""
    return np.lib.stride_tricks.sliding_window_view(sound, width)[::hop].astype(np.float64)


def _power(frames: np.ndarray, size: int) -> np.ndarray:
    """[L, W] to [L, K]."""
    return np.abs(np.fft.rfft(frames, n=size)) ** 2
