"""Sound at the sampling rate that a model reads."""

from typing import Any

import numpy as np

from .names_m2fnet import is_whole

# 25 ms at 16 kHz, one frame of Wav2Vec2: shorter sound is padded to it.
SHORTEST_SOUND = 400


def check_rate(rate: Any) -> None:
    """Refuse a sampling rate that no model reads.

    Raises:
        ValueError: for one.
    """
    if not is_whole(rate, 1_000, 1_000_000):
        raise ValueError(
            f"`feature_extractor.sampling_rate` must be a whole number of Hz from 1000 to 1000000, found {rate!r}."
        )


def at_rate(sound: np.ndarray, rate: int | None, target: int) -> np.ndarray:
    """Sound [S] at `rate` Hz to float32 at `target` Hz; without a rate it is taken for that.

    Raises:
        ValueError: for another rate, without PyAV.
    """
    sound = np.asarray(sound, dtype=np.float32)
    return sound if rate is None or rate == target else _resample(sound, int(rate), target)


def _resample(sound: np.ndarray, rate: int, target: int) -> np.ndarray:
    try:
        import av
    except ImportError:
        raise ValueError(
            f"The model reads sound at {target} Hz, found {rate} Hz; resample it, or `pip install av` to have it done."
        ) from None
    resampler = av.AudioResampler(format="flt", layout="mono", rate=target)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), format="flt", layout="mono")
    frame.sample_rate = rate
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    parts = [frame.to_ndarray()[0] for frame in frames]  # none of a few samples
    return np.concatenate([np.zeros(0), *parts]).astype(np.float32)


__all__ = ["SHORTEST_SOUND", "at_rate", "check_rate"]
