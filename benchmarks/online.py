"""What the 1,000th utterance of a stream costs against the 10th."""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from transformers import Wav2Vec2FeatureExtractor

from m2fnet_hf import M2FNetForEmotionClassification, M2FNetProcessor
from m2fnet_hf.online.stream import EmotionStream

from . import workload
from .measurements import at_most
from .timing import in_turns, ratios

EARLY, LATE = 10, 1_000
WINDOW = 64
LAYERS = 2  # of each kind: it takes the stream of a full model minutes to become long


def measure(quick: bool = False, repetitions: int = 15) -> dict[str, Any]:
    """Two streams, one of which has just begun, are told an utterance in turns."""
    torch.manual_seed(0)
    text = workload.config(quick=True).text_config  # a small encoder beside a wide core
    core = workload.config(
        quick,
        text_config=text,
        audio_config=None,
        visual_config=None,
        face_pooling=None,
        causal=True,
        attention_window=WINDOW,
        num_hidden_layers=LAYERS,
    )
    model = M2FNetForEmotionClassification(core).eval()
    processor = M2FNetProcessor(
        workload.tokenizer(text.vocab_size), Wav2Vec2FeatureExtractor(), context="past", past_utterances=3
    )
    late_start = 2 * WINDOW if quick else LATE
    early, late = (_stream(model, processor, begun) for begun in (EARLY, late_start))
    times = in_turns({"early": early, "late": late}, repetitions)
    return {
        "ran": f"a causal model of text, window {WINDOW}, around the utterances {EARLY} and {late_start}, fp32",
        "measurements": {
            "online: cost of a late utterance against an early one": at_most(1.2, ratios(times["late"], times["early"]))
        },
    }


def _stream(model: Any, processor: Any, begun: int) -> Callable[[], Any]:
    """A job that tells one more utterance to a stream that has `count`."""
    stream = EmotionStream(model, processor)
    words = itertools.cycle(["7 8 9", "10 11 12 13", "14 15"])

    def add() -> None:
        stream.add({"speaker": "A", "text": next(words)})

    for _ in range(begun):
        add()
    return add
