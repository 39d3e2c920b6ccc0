"""Turn training runs into a checkpoint to publish: half-precision weights, processor, and a results file.

    python research/meld_mini/release_checkpoint.py runs/seed-{0,1,2} --beside seeds runs/seed-{0,1,2} \\
        --beside without_context runs/control-{0,1,2} --beliefs runs/taught/teachers/beliefs.jsonl \\
        --meld MELD.Raw --output m2fnet_hf/checkpoints/meld-mini

Weights of several epochs, or of several runs from one start, are averaged. How far rare classes are favoured is fitted
on what the teachers believed of the training split, the temperature on dev. Choose the runs on dev too: this script
reads the test split.
"""

import argparse
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import pipeline

from m2fnet_hf import Dialogue, M2FNetForEmotionClassification, M2FNetProcessor, MultimodalEmotionPipeline
from m2fnet_hf.data.meld import load_meld_split
from m2fnet_hf.evaluation.calibration import calibrate, calibration_metrics, set_temperature, softmax
from m2fnet_hf.evaluation.evaluate import evaluate, figures_of
from m2fnet_hf.evaluation.metrics import HEADLINE, emotion_metrics
from m2fnet_hf.evaluation.predictions import Predictions
from m2fnet_hf.evaluation.utterance_predictions import predict_records, read_records
from m2fnet_hf.hub.run_files import weights_sha256
from m2fnet_hf.registration import TASK

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders that `m2fnet train` wrote, or its epochs")
    parser.add_argument(
        "--beside", nargs="+", action="append", default=[], metavar=("NAME", "RUN"), help="runs to publish as well"
    )
    parser.add_argument("--beliefs", type=Path, metavar="FILE", help="predictions of the split train that taught them")
    parser.add_argument("--meld", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    dev, test = (load_meld_split(options.meld, split) for split in ("dev", "test"))

    beliefs = None if options.beliefs is None else Predictions(read_records(options.beliefs))
    offsets = {} if beliefs is None else class_offsets(beliefs)
    save(options.runs, options.output, offsets)
    calibration = calibrate(load(options.output), dev)
    set_temperature(options.output, calibration["temperature"])
    results = {
        **measure(options.output, dev, test),
        "averaged": [f"{run.parent.name}/{run.name}" for run in options.runs],
        "class_offsets": offsets,
        "temperature": calibration["temperature"],
        "beside": {name: [headline(Path(run), dev, test) for run in runs] for name, *runs in options.beside},
        "beliefs": None if beliefs is None else _chosen(figures_of(beliefs)),
        "recipe": "README.md, section Training",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "tokenizers", "m2fnet-hf")},
        },
    }
    text = json.dumps(results, indent=2) + "\n"
    (options.output / "results.json").write_text(text)
    print(text)


def load(folder: Path) -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(folder), device="cpu", batch_size=8, dtype=torch.float32)


def class_offsets(beliefs: Predictions) -> dict[str, float]:
    """What is added to the logits of the classes: a share of how rare they are in training (Menon et al., 2021).

    The most probable label makes the most utterances right, F1 asks for rare ones somewhat sooner. The share is the one
    with the highest weighted F1 on beliefs out of fold.
    """
    scores = np.log(beliefs.probabilities.astype(float))
    rarity = -np.log(np.bincount(beliefs.labels, minlength=len(beliefs.names)) / len(beliefs))

    def reached(share: float) -> float:
        predicted = (scores + share * rarity).argmax(1)
        return emotion_metrics(beliefs.labels, predicted, beliefs.names)["weighted_f1"]

    offsets = max(SHARES, key=reached) * rarity
    return dict(zip(beliefs.names, offsets.tolist(), strict=True))


def save(runs: list[Path], output: Path, offsets: Mapping[str, float]) -> None:
    """Config and processor of the first run, the mean of all weights, with the offsets of the classes, as float16."""
    model = M2FNetForEmotionClassification.from_pretrained(runs[0], dtype=torch.float32)
    M2FNetProcessor.from_pretrained(runs[0]).save_pretrained(output)
    # The config says float32: half precision is for storage, a CPU computes in single precision.
    model.config.save_pretrained(output)
    states = [load_file(run / "model.safetensors") for run in runs]
    mean = {name: torch.stack([state[name].float() for state in states]).mean(0) for name in states[0]}
    if offsets:
        mean["classifier.output.bias"] += torch.tensor([offsets[name] for name in model.config.label_names])
    save_file(
        {name: weights.half() for name, weights in mean.items()},
        output / "model.safetensors",
        metadata={"format": "pt"},
    )


def measure(checkpoint: Path, dev: Sequence[Dialogue], test: Sequence[Dialogue]) -> dict[str, Any]:
    """What `m2fnet evaluate` gives on test, with the figures on dev and those of uncalibrated probabilities beside."""
    pipe = load(checkpoint)
    on_dev, on_test = evaluate(pipe, dev), Predictions(predict_records(pipe, test))
    logits = pipe.model.config.softmax_temperature * np.log(on_test.probabilities.astype(float))
    return {
        "model": checkpoint.name,
        "weights": weights_sha256(checkpoint),
        "dataset": "MELD",
        "split": "test",
        **figures_of(on_test),
        "calibration_before": calibration_metrics(softmax(logits), on_test.labels),
        "dev": _chosen(on_dev),
    }


def headline(run: Path, dev: Sequence[Dialogue], test: Sequence[Dialogue]) -> dict[str, Any]:
    """The figures of one run, as it was trained."""
    pipe = load(run)
    seed = json.loads((run / "run.json").read_text())["training"]["seed"]
    return {"seed": seed, "dev": _chosen(evaluate(pipe, dev)), "test": _chosen(evaluate(pipe, test))}


def _chosen(figures: dict[str, Any]) -> dict[str, float]:
    return {name: figures[name] for name in HEADLINE}


if __name__ == "__main__":
    main()
