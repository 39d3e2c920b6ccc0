"""Turn training runs into a checkpoint to publish: half-precision weights, processor, and a results file.

    python examples/release_checkpoint.py runs/meld-mini/checkpoint-520 runs/meld-mini/checkpoint-1040 \\
        --meld MELD.Raw --output m2fnet_hf/checkpoints/meld-mini

Weights of several epochs, or of several runs from one start, are averaged. Choose them on dev: this script reads the
test split.
"""

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import pipeline

from m2fnet_hf import M2FNetForEmotionClassification, M2FNetProcessor
from m2fnet_hf.data.meld import load_meld_split
from m2fnet_hf.evaluation.evaluate import evaluate
from m2fnet_hf.registration import TASK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders that `m2fnet train` wrote, or its epochs")
    parser.add_argument("--meld", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    save(options.runs, options.output)
    results = measure(options.output, options.meld)
    results["averaged"] = [run.name for run in options.runs]
    text = json.dumps(results, indent=2) + "\n"
    (options.output / "results.json").write_text(text)
    print(text)


def save(runs: list[Path], output: Path) -> None:
    """Config and processor of the first run, the mean of all weights as float16."""
    model = M2FNetForEmotionClassification.from_pretrained(runs[0], dtype=torch.float32)
    M2FNetProcessor.from_pretrained(runs[0]).save_pretrained(output)
    # The config says float32: half precision is for storage, a CPU computes in single precision.
    model.config.save_pretrained(output)
    states = [load_file(run / "model.safetensors") for run in runs]
    mean = {name: torch.stack([state[name].float() for state in states]).mean(0).half() for name in states[0]}
    save_file(mean, output / "model.safetensors", metadata={"format": "pt"})


def measure(checkpoint: Path, meld: Path) -> dict[str, Any]:
    """What `m2fnet evaluate` gives on test, with the figures on dev and the versions beside it."""
    pipe = pipeline(TASK, model=str(checkpoint), device="cpu", batch_size=8)
    dev, test = (evaluate(pipe, load_meld_split(meld, split)) for split in ("dev", "test"))
    return {
        "model": checkpoint.name,
        "dataset": "MELD",
        "split": "test",
        **test,
        "dev": {name: dev[name] for name in ("accuracy", "weighted_f1", "macro_f1")},
        "recipe": "examples/configs/meld-mini.yaml",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "tokenizers", "m2fnet-hf")},
        },
    }


if __name__ == "__main__":
    main()
