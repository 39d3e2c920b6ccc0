"""How far the logits of a batch are from those of one dialogue at a time: the gate of every other measurement."""

from typing import Any

import torch

from m2fnet_hf import M2FNetForEmotionClassification

from . import workload
from .measurements import at_most


def measure(quick: bool = False) -> dict[str, Any]:
    """Text, sound and features of faces of ragged dialogues, through a model of full size."""
    torch.manual_seed(0)
    model = M2FNetForEmotionClassification(workload.config(quick)).eval()
    counts = [1, 3, 2]
    inputs = workload.inputs(counts, model.config)
    with torch.inference_mode():
        together = model(**inputs).logits
        differences = [
            (together[number, :count] - model(**workload.one_dialogue(inputs, number, count)).logits[0]).abs().max()
            for number, count in enumerate(counts)
        ]
    return {
        "ran": f"BART-large, wav2vec2-base and the report's core on {sum(counts)} utterances, fp32",
        "measurements": {
            "largest logit difference, batched against one dialogue at a time": at_most(1e-4, [max(differences).item()])
        },
    }
