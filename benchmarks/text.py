"""The text encoder on utterances of MELD's lengths, against two ways that everybody has at hand."""

from functools import partial
from typing import Any

import torch
from transformers import pipeline

from m2fnet_hf.encoders_m2fnet import build_encoder, encode_text

from . import workload
from .encoders import alone, speed_measurements
from .measurements import at_most
from .timing import MatrixProduct, in_turns, operations

DIALOGUES = 8
BATCH_SIZE = 8


def measure(quick: bool = False, repetitions: int = 3) -> dict[str, Any]:
    """Ours against one utterance at a time, the library's pipeline at batch 8, and the matrix product."""
    torch.manual_seed(0)
    config = workload.config(quick).text_config
    encoder = build_encoder(config).eval()
    rows = workload.token_rows(sum(workload.utterance_counts(2 if quick else DIALOGUES)), config.vocab_size)
    library = pipeline(
        "feature-extraction", model=encoder, tokenizer=workload.tokenizer(config.vocab_size), device="cpu"
    )
    lines = [" ".join(map(str, row.tolist())) for row in rows]
    product = MatrixProduct()
    jobs = {
        "ours": partial(_ours, encoder, rows),
        "alone": partial(alone, encoder, rows),
        "library": partial(_library, library, lines),
        "product": product,
    }
    with torch.inference_mode():
        expected = jobs["alone"]()
        differences = [(jobs[name]() - expected).abs().max().item() for name in ("ours", "library")]
        work = operations(jobs["alone"])
        times = in_turns(jobs, repetitions)
    return {
        "ran": f"the encoder of BART-large on {len(rows)} utterances, {sum(map(len, rows))} tokens, fp32",
        "measurements": {
            "text: largest difference of ours and of the library's": at_most(1e-4, differences),
            **speed_measurements("text", times, work, product, alone=2.5, library=1.5),
        },
    }


def _ours(encoder: Any, rows: list[torch.Tensor]) -> torch.Tensor:
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    real = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).bool()
    return encode_text(encoder, ids, real, real, 1)


def _library(library: Any, lines: list[str]) -> torch.Tensor:
    states = library(lines, batch_size=BATCH_SIZE, return_tensors=True)
    # What it gives of a batch keeps the padding.
    return torch.stack([state[0, : len(line.split())].mean(0) for state, line in zip(states, lines, strict=True)])
