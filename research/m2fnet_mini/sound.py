"""Sound of a clip: read, changed at random for training, and encoded by the first layers of Whisper.

Shapes: S samples at 16 kHz, M mel frames (10 ms each), L positions (20 ms each), H = 384.
"""

from pathlib import Path

import av
import numpy as np
import torch
from torch import nn
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.audio_utils import mel_filter_bank

RATE = 16_000
WINDOW, HOP = 400, 160  # samples of a mel frame and between two
SAMPLES_PER_POSITION = 2 * HOP  # the second convolution has a stride of 2
SILENCE = RATE  # appended to the sound, as Whisper heard silence behind what it was trained on
LONGEST = 29 * RATE  # Whisper has positions for 30 s


def read_sound(path: str | Path) -> np.ndarray:
    """Any file that FFmpeg reads to mono sound [S] at 16 kHz, float32 from -1 to 1."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path)) as file:
        frames = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def augment(sound: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Another recording of the same voice: pace, silence around it, room, microphone, noise and gain, at random."""
    if random.random() < 0.7:
        sound = _change_pace(sound, random.uniform(0.9, 1.12))
    if random.random() < 0.7:
        sound = _cut_silence(sound, random)
    if random.random() < 0.4:
        sound = _reverberate(sound, random.uniform(0.1, 0.6), random)
    if random.random() < 0.5:
        sound = _limit_band(sound, random.uniform(40, 300), random.uniform(3_000, 8_000))
    if random.random() < 0.6:
        sound = _add_noise(sound, random.uniform(8, 35), random.uniform(0, 1), random)
    peak = np.abs(sound).max() + 1e-9
    return (sound / peak * 10 ** (random.uniform(-26, 0) / 20)).astype(np.float32)


def _change_pace(sound: np.ndarray, factor: float) -> np.ndarray:
    """Played faster by `factor`, and higher with it."""
    place = np.arange(0, len(sound) - 1, factor)
    return np.interp(place, np.arange(len(sound)), sound)


def _cut_silence(sound: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Without a random share of the silence before and after the speech (35 dB below the loudest 20 ms)."""
    blocks = sound[: len(sound) // SAMPLES_PER_POSITION * SAMPLES_PER_POSITION].reshape(-1, SAMPLES_PER_POSITION)
    energy = np.square(blocks).mean(1)
    loud = np.flatnonzero(energy > energy.max() * 10**-3.5)
    first, last = loud[0] * SAMPLES_PER_POSITION, (loud[-1] + 1) * SAMPLES_PER_POSITION
    start = int(first * random.random())
    return sound[start : last + int((len(sound) - last) * random.random())]


def _reverberate(sound: np.ndarray, seconds: float, random: np.random.Generator) -> np.ndarray:
    """In a room whose echo falls by 60 dB in these seconds: exponentially decaying noise behind the direct sound."""
    time = np.arange(int(seconds * RATE)) / RATE
    echo = random.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    echo *= random.uniform(0.2, 0.8) / np.sqrt(np.square(echo).sum())
    echo[0] = 1.0
    size = len(sound) + len(echo)
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(echo, size), size)[: len(sound)]


def _limit_band(sound: np.ndarray, low: float, high: float) -> np.ndarray:
    """Through a microphone of second order flanks at `low` and `high` Hz."""
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    passes = 1 / (1 + (frequency / high) ** 4) * (1 - 1 / (1 + (frequency / low) ** 4))
    return np.fft.irfft(np.fft.rfft(sound) * passes, len(sound))


def _add_noise(sound: np.ndarray, ratio: float, slope: float, random: np.random.Generator) -> np.ndarray:
    """With noise `ratio` dB below the sound, from white (`slope` 0) to pink in power per frequency (1)."""
    spectrum = np.fft.rfft(random.standard_normal(len(sound)))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 2)
    noise = np.fft.irfft(spectrum, len(sound))
    return sound + noise * np.sqrt(np.square(sound).mean() / np.square(noise).mean() * 10 ** (-ratio / 10))


class SoundTower(nn.Module):
    """Whisper's convolutions and first layers; their state before any final layer norm, as mean and standard deviation.

    Args:
        config: of Whisper.
        num_layers: kept of the encoder.
    """

    def __init__(self, config: WhisperConfig, num_layers: int = 2) -> None:
        super().__init__()
        whisper = WhisperForConditionalGeneration(config).get_encoder()
        self.conv1, self.conv2 = whisper.conv1, whisper.conv2
        self.embed_positions = whisper.embed_positions
        self.layers = whisper.layers[:num_layers]
        filters = mel_filter_bank(
            1 + WINDOW // 2, config.num_mel_bins, 0.0, 8_000.0, RATE, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    @classmethod
    def from_whisper(cls, folder: str | Path, num_layers: int = 2) -> "SoundTower":
        """The tower of a Whisper in the library's format, in single precision."""
        whisper = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        tower = cls(whisper.config, num_layers)
        tower.load_state_dict(whisper.get_encoder().state_dict(), strict=False)
        return tower.eval()

    def log_mel(self, sound: torch.Tensor) -> torch.Tensor:
        """Sound [S] to Whisper's log mel spectrogram [80, M]: log10, at most 8 below the loudest, (x + 4) / 4."""
        power = torch.stft(sound, WINDOW, HOP, window=self.window, return_complex=True)[:, :-1].abs().square()
        mel = (self.filters.T @ power).clamp(min=1e-10).log10()
        return (torch.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0

    def states(self, sound: torch.Tensor) -> torch.Tensor:
        """Sound [S] of at most 29 s to the states of its real positions [L, H], L = ceil(S / 320)."""
        real = -(-len(sound) // SAMPLES_PER_POSITION)
        padded = nn.functional.pad(sound, (0, real * SAMPLES_PER_POSITION - len(sound) + SILENCE))
        states = nn.functional.gelu(self.conv1(self.log_mel(padded).unsqueeze(0)))
        states = nn.functional.gelu(self.conv2(states)).transpose(1, 2)
        states = states + self.embed_positions.weight[: states.shape[1]]
        for layer in self.layers:
            output = layer(states, None)
            states = output[0] if isinstance(output, tuple) else output
        return states[0, :real]

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """Sound [S] of any length to its features [2 H]: mean and standard deviation (population) over positions."""
        pieces = sound.tensor_split(max(1, -(-len(sound) // LONGEST)))
        states = torch.cat([self.states(piece) for piece in pieces])
        return torch.cat([states.mean(0), states.std(0, correction=0)])
