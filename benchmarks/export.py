"""What the ONNX export gives in size and speed, and what 8 bits cost in weighted F1: `python -m benchmarks.export`."""

import argparse
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from m2fnet_hf.commands.model import load_pipeline, model_name
from m2fnet_hf.commands.terminal import progress
from m2fnet_hf.data.meld import read_meld
from m2fnet_hf.export.onnx import export_onnx
from m2fnet_hf.export.quantize import compare_labels, quantize_encoders, time_ratio

from .machine import machine, versions

RESULTS = Path(__file__).parent / "results" / "export.json"
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
# Dialogues on which the time is taken, each a batch.
TIMED = 8


def measure(meld: Path, model: str | None = None, split: str = "dev", repetitions: int = 7) -> dict[str, Any]:
    """Torch, its export and its export in 8 bits, on the transcripts of a split of MELD.

    Args:
        meld: folder of MELD's csv files.
        model: folder or Hub name; default: the embedded model.

    Returns:
        Bytes of each encoder before and after, ratios of processor time (one thread, the two in turn), and weighted
        F1, accuracy and agreement of each.
    """
    torch.set_num_threads(1)
    dialogues = read_meld(meld, names=(split,))[split]
    pipes = {"torch": load_pipeline(model, batch_size=8, device="cpu")}
    reader = pipes["torch"]
    with tempfile.TemporaryDirectory() as folder:
        single, eight = Path(folder) / "single", Path(folder) / "eight"
        difference = export_onnx(reader.model, reader.processor, single)
        sizes = quantize_encoders(single, eight)
        pipes |= {name: load_pipeline(str(path), batch_size=8) for name, path in (("onnx", single), ("int8", eight))}
        batches = [
            dict(reader.processor([one], modalities=reader.model.config.modalities)) for one in dialogues[:TIMED]
        ]
        times = {
            f"{after}/{before}": time_ratio(pipes[before].model, pipes[after].model, batches, repetitions)
            for before, after in (("torch", "onnx"), ("onnx", "int8"), ("torch", "int8"))
        }
        labels = compare_labels(pipes, dialogues, progress)
    return {
        "model": model_name(model),
        "dataset": "MELD",
        "split": split,
        "utterances": sum(map(len, dialogues)),
        "largest_logit_difference": difference,
        "bytes": {name: {"float32": before, "int8": after} for name, (before, after) in sizes.items()},
        "time_ratios": times,
        "repetitions": repetitions,
        "labels": labels,
        "machine": machine(),
        "versions": versions() | {name: version(name) for name in PACKAGES},
    }


def main() -> None:
    """Measure, and write `benchmarks/results/export.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meld", type=Path, required=True, metavar="FOLDER", help="of MELD's csv files")
    parser.add_argument("--model", metavar="NAME", help="folder or Hub name; default: the embedded meld-mini")
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="default: dev")
    options = parser.parse_args()
    results = measure(options.meld, options.model, options.split)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
