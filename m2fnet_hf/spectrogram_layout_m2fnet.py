"""How sound encoders read mel spectrograms, in numbers.

Shapes: L frames, M values of a frame, P places of a row (two frames of Whisper's, else one).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

WINDOW, HOP = 400, 160  # samples of a frame and between two
# Whisper reads two frames at each of its positions.
SAMPLES_PER_POSITION = 2 * HOP
# Positions of silence, one second, behind each piece of sound: Whisper heard silence behind what it was trained on. It
# was 30 s of it together with the sound, which is ten times the work for a short utterance.
SILENT_POSITIONS = 50


@dataclass(frozen=True)
class SpectrogramLayout:
    """How an encoder reads a spectrogram.

    Args:
        width: values of a frame (M).
        frames: of a place, at which a row can be cut.
        longest: places that the encoder reads at once (30 s where nothing limits it); a longer row comes in pieces.
        before, behind: positions of its output around those of the sound, which are not pooled: tokens of its own
            before them, and silence behind them.
        masked: whether it ignores padding by a mask; if not, it is given rows of one length.
    """

    width: int
    frames: int
    longest: int
    before: int = 0
    behind: int = 0
    masked: bool = True

    @property
    def budget(self) -> int:
        """Places of a micro-batch."""
        return 2 * self.longest

    @property
    def shortest(self) -> int:
        """Frames of the shortest row."""
        return self.frames * (self.behind + 1)


def spectrogram_layout(config: Any) -> SpectrogramLayout:
    """How the encoder of a config reads its spectrogram."""
    if config.model_type == "whisper":
        return SpectrogramLayout(config.num_mel_bins, 2, config.max_source_positions, behind=SILENT_POSITIONS)
    if config.model_type == "audio-spectrogram-transformer":
        columns = (config.max_length - config.patch_size) // config.time_stride
        return SpectrogramLayout(config.num_mel_bins, 1, config.patch_size + columns * config.time_stride, before=2)
    # The adapter's convolutions mix padding into real positions.
    return SpectrogramLayout(config.feature_projection_input_dim, 1, 1500, masked=not config.add_adapter)


def whisper_pieces(sound: np.ndarray, max_frames: int) -> Iterator[np.ndarray]:
    """Sound [S] in pieces of like length, of whole positions and with a second of silence behind each."""
    longest = (max_frames // 2 - SILENT_POSITIONS) * SAMPLES_PER_POSITION
    for piece in np.array_split(sound, max(1, -(-len(sound) // longest))):
        silence = max(1, len(piece)) // -SAMPLES_PER_POSITION * -SAMPLES_PER_POSITION - len(piece)
        yield np.pad(piece, (0, silence + SILENT_POSITIONS * SAMPLES_PER_POSITION))


def at_least(sound: np.ndarray, frames: int) -> np.ndarray:
    """Sound [S], padded with silence where it is too short for this many frames."""
    return np.pad(sound, (0, max(0, WINDOW + (frames - 1) * HOP - len(sound))))
