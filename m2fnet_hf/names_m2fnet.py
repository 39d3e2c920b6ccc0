"""Names of emotions, Action Units and encoders, and what numbers can be. A leaf, which loads nothing."""

import math
from numbers import Integral
from typing import Any

MELD_EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
PYFEAT_ACTION_UNITS = tuple(
    f"AU{number:02d}" for number in (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43)
)
# Sound encoders that read mel spectrograms; all others read samples.
SPECTROGRAM_ENCODERS = ("whisper", "audio-spectrogram-transformer", "wav2vec2-bert")

# Beyond them probabilities are 0 and 1, or all alike, and single precision overflows.
TEMPERATURE_RANGE = (0.01, 100.0)
# Of anything that is counted: above it a config is a mistake or an attack, and would fill the memory first.
LARGEST_SIZE = 1_000_000


def is_whole(value: Any, least: int, most: float = math.inf) -> bool:
    """Whether a value is a whole number within these bounds, and not true or false."""
    return isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= most


__all__ = [
    "LARGEST_SIZE",
    "MELD_EMOTIONS",
    "PYFEAT_ACTION_UNITS",
    "SPECTROGRAM_ENCODERS",
    "TEMPERATURE_RANGE",
    "is_whole",
]
