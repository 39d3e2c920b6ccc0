"""The sound encoder on utterances of MELD's lengths, against two ways that everybody has at hand."""

from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForAudioClassification, Wav2Vec2FeatureExtractor, pipeline

from m2fnet_hf.encoders_m2fnet import encode_audio

from . import workload
from .encoders import alone, speed_measurements
from .measurements import at_most
from .timing import MatrixProduct, in_turns, operations

UTTERANCES = 16
BATCH_SIZE = 8


def measure(quick: bool = False, repetitions: int = 3) -> dict[str, Any]:
    """Ours against one utterance at a time, the library's pipeline at batch 8, and the matrix product."""
    torch.manual_seed(0)
    # The library has no pipeline for sound to features; the head of this one costs nothing beside the encoder.
    classifier: Any = AutoModelForAudioClassification.from_config(workload.config(quick).audio_config).eval()
    encoder = classifier.base_model
    rows = workload.sound_rows(4 if quick else UTTERANCES)
    library = pipeline(
        "audio-classification", model=classifier, feature_extractor=Wav2Vec2FeatureExtractor(), device="cpu"
    )
    product = MatrixProduct()
    jobs = {
        "ours": partial(_ours, encoder, rows),
        "alone": partial(alone, encoder, rows),
        "library": partial(_library, library, [row.numpy() for row in rows]),
        "product": product,
    }
    with torch.inference_mode():
        difference = (jobs["ours"]() - jobs["alone"]()).abs().max().item()
        work = operations(jobs["alone"])
        times = in_turns(jobs, repetitions)
    seconds = sum(map(len, rows)) / workload.SAMPLING_RATE
    return {
        "ran": f"wav2vec2-base on {len(rows)} utterances, {seconds:.0f} s of sound, fp32",
        "measurements": {
            "audio: largest difference from one utterance at a time": at_most(1e-4, [difference]),
            **speed_measurements("audio", times, work, product, alone=0.97, library=2),
        },
    }


def _ours(encoder: Any, rows: list[torch.Tensor]) -> torch.Tensor:
    sound = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    real = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).bool()
    return encode_audio(encoder, sound, real, 1)


def _library(library: Any, sounds: list[np.ndarray]) -> list[Any]:
    return library(sounds, batch_size=BATCH_SIZE)
