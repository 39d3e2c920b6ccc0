"""Peak memory of `m2fnet predict` on a video of a minute against one of five seconds."""

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from transformers import Wav2Vec2FeatureExtractor, pipeline

from m2fnet_hf import M2FNetForEmotionClassification, M2FNetProcessor
from m2fnet_hf.registration import TASK

from . import workload
from .measurements import NotHereError, at_most
from .processes import peak_memory

SECONDS = (5, 60)
SIZE = (640, 360)
FRAME_RATE = 25
UTTERANCE = 2.5  # seconds


def measure(quick: bool = False, repetitions: int = 3) -> dict[str, Any]:
    """Decoding, faces by OpenCV and a small model of text and sound, each run in a process of its own."""
    try:
        import cv2  # noqa: F401
    except ImportError:
        raise NotHereError("OpenCV finds the faces: pip install 'm2fnet-hf[appearance]'") from None
    short, long = (1, 2) if quick else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_video(Path(folder) / f"{seconds}.mp4", seconds) for seconds in (short, long)]
        peaks = [
            [peak_memory(_predict, path, seconds)[1] for path, seconds in zip(paths, (short, long), strict=True)]
            for _ in range(1 if quick else repetitions)
        ]
    return {
        "ran": f"{SIZE[0]}x{SIZE[1]} at {FRAME_RATE} frames a second, faces twice a second, {short} and {long} s",
        "measurements": {"memory: peak of a long video against a short one": at_most(1.05, [b / a for a, b in peaks])},
    }


def prediction(model: Any, path: Path, seconds: float) -> Callable[[], Any]:
    """A job that has a model predict the utterances of a video."""
    processor = M2FNetProcessor(workload.tokenizer(model.config.text_config.vocab_size), Wav2Vec2FeatureExtractor())
    pipe: Any = pipeline(TASK, model=model, processor=processor, device="cpu")
    starts = np.arange(0, seconds, UTTERANCE).tolist()
    said = [{"text": "7 8 9", "start": start, "end": min(start + UTTERANCE, seconds)} for start in starts]
    return lambda: pipe({"recording": path, "utterances": said}, faces="opencv", cache=False)


def _predict(path: Path, seconds: float) -> Callable[[], Any]:
    config = workload.config(quick=True, visual_config=None, face_pooling=None)
    return prediction(M2FNetForEmotionClassification(config).eval(), path, seconds)


def write_video(path: Path, seconds: float) -> Path:
    """A video of moving noise with a tone."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (SIZE[1], 2 * SIZE[0], 3), np.uint8)
    tone = (3000 * np.sin(np.arange(round(seconds * workload.SAMPLING_RATE)) / 20)).astype(np.int16)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=FRAME_RATE)
        picture.width, picture.height, picture.pix_fmt = *SIZE, "yuv420p"
        sound = container.add_stream("aac", rate=workload.SAMPLING_RATE)
        for number in range(round(seconds * FRAME_RATE)):
            image = np.ascontiguousarray(np.roll(noise, -4 * number, axis=1)[:, : SIZE[0]])
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            first = round(number / FRAME_RATE * workload.SAMPLING_RATE)
            block = tone[None, first : first + workload.SAMPLING_RATE // FRAME_RATE]
            samples = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            samples.sample_rate, samples.pts = workload.SAMPLING_RATE, first
            samples.time_base = Fraction(1, workload.SAMPLING_RATE)
            container.mux(sound.encode(samples))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
    return path
