"""What hearing costs: processor time on one core, beside an encoder of the size of XLSR.

    python -m research.m2fnet_mini.speed

Writes `speed.json`: seconds of processor time per second of speech, medians of 5 runs, for the checkpoint given sound
alone (spectrogram, sound tower and fusion) and for Wav2Vec2 large with random weights on the same clips; milliseconds
an utterance for text alone; and the weights of each.
"""

import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

from m2fnet_hf import M2FNetForEmotionClassification, M2FNetProcessor, embedded

from .common import RUNS, acted_clips
from .sound import read_sound

CLIPS = 20
RATE = 16_000
RUNS_TIMED = 5
SAID = "Okay, please don't be mad. I thought it was mine."


def main() -> None:
    torch.set_num_threads(1)
    model = M2FNetForEmotionClassification.from_pretrained(embedded("m2fnet-mini"), dtype=torch.float32).eval()
    processor = M2FNetProcessor.from_pretrained(embedded("m2fnet-mini"))
    clips = [read_sound(clip.path) for clip in acted_clips()[:CLIPS]]
    seconds = sum(map(len, clips)) / RATE
    heard = [{"audio": clip, "sampling_rate": RATE} for clip in clips]
    large = Wav2Vec2Model(
        Wav2Vec2Config(
            hidden_size=1024,
            num_hidden_layers=24,
            num_attention_heads=16,
            intermediate_size=4096,
            do_stable_layer_norm=True,
            feat_extract_norm="layer",
        )
    ).eval()
    report = {
        "sound_alone_seconds_per_second": timed(lambda: model(**processor(heard)), RUNS_TIMED) / seconds,
        "wav2vec2_large_seconds_per_second": timed(lambda: listen(large, clips), 2) / seconds,
        "text_alone_milliseconds_per_utterance": 1000
        * timed(lambda: model(**processor([{"text": SAID}] * CLIPS)), RUNS_TIMED)
        / CLIPS,
        "weights": sum(weight.numel() for weight in model.parameters()),
        "wav2vec2_large_weights": sum(weight.numel() for weight in large.parameters()),
    }
    (RUNS / "speed.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


def listen(model: Wav2Vec2Model, clips: list[np.ndarray]) -> None:
    for clip in clips:
        model(torch.from_numpy(clip)[None])


def timed(work: Callable[[], Any], times: int) -> float:
    """Median of processor seconds, after one run that is not counted."""
    found = []
    with torch.inference_mode():
        for _ in range(times + 1):
            start = time.process_time()
            work()
            found.append(time.process_time() - start)
    return median(found[1:])


if __name__ == "__main__":
    main()
