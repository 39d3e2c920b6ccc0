"""Turn training runs into a checkpoint to publish: half-precision weights, processor, and a results file.

    python research/meld_mini/release_checkpoint.py runs/seed-{0,1,2} --beside seeds runs/seed-{0,1,2} \\
        --beside without_context runs/control-{0,1,2} --meld MELD.Raw --output m2fnet_hf/checkpoints/meld-mini \\
        --teacher-predictions runs/out_of_fold/teachers/predictions.jsonl

Weights of several epochs, or of several runs from one start, are averaged. How far rare classes are favoured is fitted
on the teachers' predictions for the training split, the temperature on dev. Choose the runs on dev too: this script
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
from m2fnet_hf.evaluation.columns import PredictionColumns
from m2fnet_hf.evaluation.evaluate import compute_metrics, evaluate
from m2fnet_hf.evaluation.metrics import HEADLINE, emotion_metrics
from m2fnet_hf.evaluation.predictions import predict_utterances, read_predictions
from m2fnet_hf.hub.run_files import weights_sha256
from m2fnet_hf.registration import TASK
from m2fnet_hf.utils.files import write_json

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders that `m2fnet train` wrote, or its epochs")
    parser.add_argument(
        "--beside", nargs="+", action="append", default=[], metavar=("NAME", "RUN"), help="runs to publish as well"
    )
    parser.add_argument(
        "--teacher-predictions", type=Path, metavar="FILE", help="of the split train, from teachers that did not see it"
    )
    parser.add_argument("--meld", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    dev, test = (load_meld_split(options.meld, split) for split in ("dev", "test"))

    path = options.teacher_predictions
    teachers = None if path is None else PredictionColumns(read_predictions(path))
    offsets = {} if teachers is None else class_offsets(teachers)
    save(options.runs, options.output, offsets)
    calibration = calibrate(load(options.output), dev)
    set_temperature(options.output, calibration["temperature"])
    results = {
        **measure(options.output, dev, test),
        "averaged": [f"{run.parent.name}/{run.name}" for run in options.runs],
        "class_offsets": offsets,
        "temperature": calibration["temperature"],
        "beside": {name: [headline(Path(run), dev, test) for run in runs] for name, *runs in options.beside},
        "out_of_fold": None if teachers is None else _chosen(compute_metrics(teachers)),
        "recipe": "README.md, section Training",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "tokenizers", "m2fnet-hf")},
        },
    }
    write_json(results, options.output / "results.json")
    print(json.dumps(results, indent=2))


def load(folder: Path) -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(folder), device="cpu", batch_size=8, dtype=torch.float32)


def class_offsets(teachers: PredictionColumns) -> dict[str, float]:
    """What is added to the logits of the classes: a share of how rare they are in training (Menon et al., 2021).

    The most probable label makes the most utterances right, F1 asks for rare ones somewhat sooner. The share is the one
    with the highest weighted F1 on predictions out of fold.
    """
    scores = np.log(teachers.probabilities.astype(float))
    rarity = -np.log(np.bincount(teachers.labels, minlength=len(teachers.names)) / len(teachers))

    def reached(share: float) -> float:
        predicted = (scores + share * rarity).argmax(1)
        return emotion_metrics(teachers.labels, predicted, teachers.names)["weighted_f1"]

    offsets = max(SHARES, key=reached) * rarity
    return dict(zip(teachers.names, offsets.tolist(), strict=True))


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
    """What `m2fnet evaluate` gives on test, with the metrics on dev and those of uncalibrated probabilities beside."""
    pipe = load(checkpoint)
    on_dev, on_test = evaluate(pipe, dev), PredictionColumns(predict_utterances(pipe, test))
    logits = pipe.model.config.softmax_temperature * np.log(on_test.probabilities.astype(float))
    return {
        "model": checkpoint.name,
        "weights": weights_sha256(checkpoint),
        "dataset": "MELD",
        "split": "test",
        **compute_metrics(on_test),
        "calibration_before": calibration_metrics(softmax(logits), on_test.labels),
        "dev": _chosen(on_dev),
    }


def headline(run: Path, dev: Sequence[Dialogue], test: Sequence[Dialogue]) -> dict[str, Any]:
    """The metrics of one run, as it was trained."""
    pipe = load(run)
    seed = json.loads((run / "run.json").read_text())["training"]["seed"]
    return {"seed": seed, "dev": _chosen(evaluate(pipe, dev)), "test": _chosen(evaluate(pipe, test))}


def _chosen(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: metrics[name] for name in HEADLINE}


if __name__ == "__main__":
    main()
