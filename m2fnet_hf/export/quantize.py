"""An exported model with encoders in 8 bits, and what that costs."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from ..utils.files import new_folder
from .onnx import quiet

# The encoder of faces is too small to gain by it.
QUANTIZED = ("text_encoder.onnx", "audio_encoder.onnx")
# Convolutions stay as they are: in 8 bits onnxruntime runs them slower.
OPERATORS = ["MatMul", "Gemm", "Gather"]


def quantize_encoders(source: Path, target: Path) -> dict[str, tuple[int, int]]:
    """Copy an exported model, the weights of its text and sound encoders rounded to 8 bits.

    Args:
        target: new or empty.

    Returns:
        Bytes before and after, by file.
    """
    with new_folder(target) as unfinished:
        shutil.copytree(source, unfinished, dirs_exist_ok=True)
        paths = [source / name for name in QUANTIZED if (source / name).is_file()]
        for path in paths:
            with quiet():
                # Seven bits of weights: products of eight overflow on processors without VNNI.
                quantize_dynamic(
                    path,
                    unfinished / path.name,
                    op_types_to_quantize=OPERATORS,
                    per_channel=True,
                    reduce_range=True,
                    weight_type=QuantType.QInt8,
                )
    return {path.name: (path.stat().st_size, (target / path.name).stat().st_size) for path in paths}


def time_ratio(
    before: Callable[..., Any], after: Callable[..., Any], batches: Sequence[dict[str, Any]], repetitions: int = 5
) -> dict[str, float]:
    """How much of the processor time of one model another takes on the same batches, measured in turn.

    Returns:
        `median`, `least` and `most` of the repetitions' ratios.
    """
    ratios = []
    for repetition in range(repetitions + 1):
        seconds = [_seconds(model, batches) for model in (before, after)]
        if repetition:  # the first one warms up
            ratios.append(seconds[1] / seconds[0])
    return {"median": median(ratios), "least": min(ratios), "most": max(ratios)}


def _seconds(model: Callable[..., Any], batches: Sequence[dict[str, Any]]) -> float:
    start = time.process_time()
    with torch.inference_mode():
        for batch in batches:
            model(**batch)
    return time.process_time() - start
