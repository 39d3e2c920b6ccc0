"""What the ONNX export gives in size and speed, and what encoders in 8 bits cost the embedded model on MELD."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from m2fnet_hf.data.meld import read_meld
from m2fnet_hf.evaluation.evaluate import compare_labels
from m2fnet_hf.hub.load import load_pipeline

from .measurements import NotHereError, at_least, at_most, told
from .timing import in_turns, ratios

SPLIT = "dev"
LARGEST_DIFFERENCE = 1e-4
LEAST_AGREEMENT = 0.95
LARGEST_LOSS = 1.0  # points of weighted F1
TIMED = 8  # dialogues, each a batch


def measure(quick: bool = False, meld: Path | None = None, repetitions: int = 7) -> dict[str, Any]:
    """Torch, its export and its export in 8 bits; sizes are those of the encoders in bytes."""
    try:
        from m2fnet_hf.export.onnx import export_onnx
        from m2fnet_hf.export.quantize import quantize_encoders
        from m2fnet_hf.export.runner import OnnxEmotionModel
    except ImportError as error:
        raise NotHereError(f"needs {error.name}: pip install 'm2fnet-hf[export]'") from None
    if meld is None:
        raise NotHereError("MELD's csv files: give --meld FOLDER")
    dialogues = read_meld(meld, names=(SPLIT,))[SPLIT][: TIMED if quick else None]
    reader = load_pipeline("meld-mini" if quick else None, batch_size=8, device="cpu")  # which has fewer graphs
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        single, eight = Path(folder) / "single", Path(folder) / "eight"
        difference = export_onnx(reader.model, reader.processor, single)
        sizes = quantize_encoders(single, eight)
        folders = {"onnx": single, "int8": eight}
        pipes = {"torch": reader, **{name: load_pipeline(str(path), batch_size=8) for name, path in folders.items()}}
        models = {"torch": reader.model, **{name: OnnxEmotionModel(path) for name, path in folders.items()}}
        batches = [dict(reader.processor([one], modalities=("text",))) for one in dialogues[:TIMED]]
        jobs = {name: partial(_answer, model, batches) for name, model in models.items()}
        times = in_turns(jobs, 1 if quick else repetitions)
        labels = compare_labels(pipes, dialogues)
    lost = 100 * (labels["torch"]["weighted_f1"] - labels["int8"]["weighted_f1"])
    return {
        "ran": f"the embedded model on {sum(map(len, dialogues))} utterances of MELD's {SPLIT} split",
        "bytes": {name: {"float32": before, "int8": after} for name, (before, after) in sizes.items()},
        "labels": labels,
        "measurements": {
            "onnx: largest difference of a logit to torch's": at_most(LARGEST_DIFFERENCE, [difference]),
            "onnx: times as fast as torch": told(ratios(times["torch"], times["onnx"])),
            "int8: times as fast as torch": told(ratios(times["torch"], times["int8"])),
            "int8: share of the labels that are torch's": at_least(LEAST_AGREEMENT, [labels["int8"]["agreement"]]),
            "int8: points of weighted F1 lost": at_most(LARGEST_LOSS, [lost]),
        },
    }


def _answer(model: Any, batches: list[dict[str, Any]]) -> None:
    for batch in batches:
        model(**batch)
