"""On a GPU: extraction and one training epoch at MELD's size, and shares of what the card was measured to do."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedConfig, Wav2Vec2Config

from m2fnet_hf.encoders_m2fnet import build_encoder, encode_audio, encode_text

from . import workload
from .measurements import NotHereError, told
from .timing import operations

UTTERANCES = 13_000
DIALOGUES = 1_038  # of MELD's train split
DIALOGUES_AT_ONCE = 32
UTTERANCES_AT_ONCE = 256
SIDE = 8_192  # of the matrices whose product and copy are timed
REPETITIONS = 20
LEARNING_RATE = 3e-4


def measure(quick: bool = False, device: str = "cuda") -> dict[str, Any]:
    """Encoders of the size of BART-large and wav2vec2-large and the report's core, random weights, fp32."""
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise NotHereError("no GPU is at hand")
    preset = workload.config(quick)
    count, dialogues, side = (8, 4, 64) if quick else (UTTERANCES, DIALOGUES, SIDE)
    tokens = workload.token_rows(count, preset.text_config.vocab_size)
    sounds = workload.sound_rows(count)
    text = partial(_encode, build_encoder(preset.text_config).eval().to(device), encode_text, tokens, device)
    large = preset.audio_config if quick else _wav2vec2_large()
    audio = partial(_encode, build_encoder(large).eval().to(device), encode_audio, sounds, device)
    core = workload.core(quick).to(device)
    batches = list(_batches(dialogues, core.config.feature_sizes, device))
    matrix = torch.randn(side, side, device=device)
    with torch.inference_mode():
        product, copy = _seconds(partial(torch.mm, matrix, matrix)), _seconds(matrix.clone)
        times = {"text": _seconds(text, 1), "audio": _seconds(audio, 1)}
        times["fusion"] = _seconds(partial(_forward, core, batches), 1)
        work = {"text": operations(text), "audio": operations(audio)}
    rate = 2 * side**3 / product
    epoch = _seconds(partial(_epoch, core.train(), batches), 1)
    return {
        "ran": f"{count} utterances and {dialogues} dialogues, fp32, on {_name(device)}",
        "measurements": {
            "gpu: seconds of extraction and fusion": told([sum(times.values())]),
            **{f"gpu: seconds of {name}": told([seconds]) for name, seconds in times.items()},
            "gpu: seconds of a training epoch on features": told([epoch]),
            "gpu: rate of the matrix product, 1e12 operations a second": told([rate / 1e12]),
            "gpu: bandwidth, 1e9 bytes a second": told([2 * matrix.nbytes / copy / 1e9]),
            **{f"gpu: share of the rate, {name}": told([work[name] / times[name] / rate]) for name in work},
        },
    }


def _wav2vec2_large() -> PreTrainedConfig:
    return Wav2Vec2Config(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        conv_bias=True,
    )


def _encode(encoder: Any, encode: Callable[..., torch.Tensor], rows: list[torch.Tensor], device: str) -> None:
    for start in range(0, len(rows), UTTERANCES_AT_ONCE):
        some = rows[start : start + UTTERANCES_AT_ONCE]
        values = pad_sequence(some, batch_first=True).to(device)
        real = pad_sequence([torch.ones(len(row), dtype=torch.bool) for row in some], batch_first=True).to(device)
        masks = [real, real] if encode is encode_text else [real]
        encode(encoder, values, *masks, 1)


def _batches(dialogues: int, sizes: dict[str, int], device: str) -> Iterator[dict[str, torch.Tensor]]:
    counts = workload.utterance_counts(dialogues)
    for start in range(0, dialogues, DIALOGUES_AT_ONCE):
        inputs = workload.features(counts[start : start + DIALOGUES_AT_ONCE], sizes)
        yield {name: values.to(device) for name, values in inputs.items()}


def _forward(core: Any, batches: list[dict[str, torch.Tensor]]) -> None:
    for inputs in batches:
        core(**inputs)


def _epoch(core: Any, batches: list[dict[str, torch.Tensor]]) -> None:
    optimiser = torch.optim.AdamW(core.parameters(), LEARNING_RATE)
    for inputs in batches:
        core(**inputs, labels=torch.zeros_like(inputs["utterance_mask"], dtype=torch.long)).loss.backward()
        optimiser.step()
        optimiser.zero_grad()


def _seconds(job: Callable[[], Any], repetitions: int = REPETITIONS) -> float:
    """Of one run by the clock, after one that does not count."""
    job()
    _finish()
    start = time.perf_counter()
    for _ in range(repetitions):
        job()
    _finish()
    return (time.perf_counter() - start) / repetitions


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if torch.device(device).type == "cuda" else device
