"""What the processor time of the main jobs goes to: `python -m benchmarks.profiles`."""

import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from m2fnet_hf import M2FNetForEmotionClassification
from m2fnet_hf.registration import DEFAULT_CHECKPOINT

from . import workload
from .memory import prediction, write_video

VIDEO_SECONDS = 60
DIALOGUES_AT_ONCE = 4
STEPS = 3
CONTEXT = 5  # utterances that the embedded model reads at a time
LEARNING_RATE = 5e-5
# What Python calls the parts of each job; a part's time includes what it calls.
PREDICT = {
    "look for faces (OpenCV)": "detect",
    "sound encoder": "encode_audio",
    "text encoder": "encode_text",
    "decode picture and sound": "read",
}
TRAIN = {
    "forward: text encoder": "encode_text",
    "backward": "<method 'run_backward' of 'torch._C._EngineBase' objects>",
    "optimiser": "step",
}


def predict(seconds: float = VIDEO_SECONDS, quick: bool = False) -> dict[str, float]:
    """Shares of a prediction for a video, by a model of BART-large, wav2vec2-base and the report's core."""
    model = M2FNetForEmotionClassification(workload.config(quick, visual_config=None, face_pooling=None)).eval()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        return shares(prediction(model, write_video(Path(folder) / "video.mp4", seconds), seconds), PREDICT)


def train(steps: int = STEPS) -> dict[str, float]:
    """Shares of training steps of the embedded model on dialogues of MELD's lengths, with their context."""
    model = M2FNetForEmotionClassification.from_pretrained(DEFAULT_CHECKPOINT, dtype=torch.float32).train()
    counts = workload.utterance_counts(DIALOGUES_AT_ONCE)
    alone = workload.token_rows(CONTEXT * sum(counts), model.config.text_config.vocab_size)
    ids, real = workload.padded([torch.cat(alone[u :: sum(counts)]) for u in range(sum(counts))], counts)
    inputs = {"input_ids": ids, "attention_mask": real, "utterance_mask": real.any(-1)}
    labels = torch.zeros_like(inputs["utterance_mask"], dtype=torch.long)
    optimiser = torch.optim.AdamW(model.parameters(), LEARNING_RATE)

    def job() -> None:
        for _ in range(steps):
            model(**inputs, labels=labels).loss.backward()
            optimiser.step()
            optimiser.zero_grad()

    return shares(job, TRAIN)


def shares(job: Callable[[], Any], parts: Mapping[str, str]) -> dict[str, float]:
    """Of a job's processor time, for each of its parts and all others."""
    profile = cProfile.Profile(time.process_time)
    start = time.process_time()
    profile.runcall(job)
    total = time.process_time() - start
    stats: Any = pstats.Stats(profile)
    found = {
        part: max((row[3] for (_, _, name), row in stats.stats.items() if name == function), default=0.0) / total
        for part, function in parts.items()
    }
    return {**found, "all others": 1 - sum(found.values())}


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    for job in (predict, train):
        print(job.__doc__)
        for part, share in job().items():
            print(f"    {part:28}{share:7.1%}")
