"""Whether probabilities are as high as predictions are right, and the temperature that brings them there."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dialogue_m2fnet import Dialogue
from ..json_files_m2fnet import read_object
from ..names_m2fnet import TEMPERATURE_RANGE
from ..utils.console import Progress
from ..utils.files import write_json
from .columns import PredictionColumns
from .predictions import predict_utterances

if TYPE_CHECKING:
    from ..pipeline_m2fnet import MultimodalEmotionPipeline

BINS = 15
BLOCK = 4096  # utterances whose distances are computed at once
TEMPERATURES = (0.05, 20.0)
_LEAST = float(np.finfo(np.float32).tiny)  # a pipeline's probabilities are single precision


def calibration_metrics(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """How far probabilities [N, C] are from what happens.

    Args:
        labels: class indices [N].

    Returns:
        `ece`, the expected calibration error of the most probable class over 15 bins of equal width; `nll`, the mean
        negative log likelihood in nats; `brier`, the mean squared distance to the label (0 to 2); and `reliability`,
        per bin `low`, `high`, `utterances`, mean `confidence` and `accuracy`. A bin without utterances is absent.
    """
    table = _reliability(probabilities, labels)
    gaps = (row["utterances"] * abs(row["confidence"] - row["accuracy"]) for row in table)
    likelihoods = probabilities[np.arange(len(labels)), labels].astype(float)
    return {
        "ece": sum(gaps) / len(labels),
        "nll": float(-_log(likelihoods).mean()),
        "brier": float(_distances(probabilities, labels).mean()),
        "reliability": table,
    }


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, from 0.05 to 20, whose softmax of `logits / temperature` has the least negative log likelihood.

    Args:
        logits: [N, C]; logarithms of probabilities do as well.
        labels: class indices [N], never those of the test split.
    """
    # In the inverse temperature the likelihood has one optimum, where its slope changes sign: halving cannot miss it.
    low, high = map(math.log, TEMPERATURES)
    while high - low > 1e-6:
        middle = (high + low) / 2
        if _slope(logits, labels, math.exp(middle)) > 0:
            low = middle
        else:
            high = middle
    return math.exp((high + low) / 2)


def calibrate(
    pipe: "MultimodalEmotionPipeline",
    dialogues: Iterable[Dialogue | Mapping[str, Any]],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The temperature for a `MultimodalEmotionPipeline`, which is left as it is: store it with [`set_temperature`].

    Args:
        dialogues: labelled ones of the dev split, never of test; see [`predict_utterances`].
        progress: wraps the predicted dialogues, as `rich.progress.track` does.

    Returns:
        `temperature`, and [`calibration_metrics`] `before` (with the temperature that the model has) and `after`.

    Raises:
        ValueError: for a label that the model does not know, or where no utterance has one.
    """
    predictions = PredictionColumns(predict_utterances(pipe, dialogues, progress))
    labels, probabilities = predictions.labels, predictions.probabilities.astype(float)
    logits = pipe.model.config.softmax_temperature * _log(probabilities)
    temperature = fit_temperature(logits, labels)
    return {
        "temperature": temperature,
        "before": calibration_metrics(probabilities, labels),
        "after": calibration_metrics(softmax(logits / temperature), labels),
    }


def set_temperature(folder: str | Path, temperature: float) -> None:
    """Write `softmax_temperature` into the `config.json` of a checkpoint, and nothing else.

    Raises:
        FileNotFoundError: without that file.
        ValueError: for a temperature that a config refuses.
    """
    least, most = TEMPERATURE_RANGE
    if not least <= temperature <= most:
        raise ValueError(
            f"A temperature must be a number from {least} to {most}, found {temperature}; take what `calibrate` gives."
        )
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"A checkpoint must hold its config.json, found none in {folder}; check the folder.")
    settings = {**read_object(path), "softmax_temperature": temperature}
    write_json(settings, path, sort_keys=True)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [N, C]."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _slope(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Of the negative log likelihood by the inverse temperature: the expected logits less those of the labels."""
    expected = (softmax(logits / temperature) * logits).sum(1)
    return float((expected - logits[np.arange(len(labels)), labels]).mean())


def _reliability(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    confidence, right = probabilities.max(1).astype(float), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(np.uint8), BINS - 1)
    return [
        {
            "low": number / BINS,
            "high": (number + 1) / BINS,
            "utterances": int((bins == number).sum()),
            "confidence": float(confidence[bins == number].mean()),
            "accuracy": float(right[bins == number].mean()),
        }
        for number in np.unique(bins).tolist()
    ]


def _distances(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Squared distances to the labels [N]."""
    certain = np.eye(probabilities.shape[1])
    blocks = (slice(first, first + BLOCK) for first in range(0, len(labels), BLOCK))
    return np.concatenate([np.square(probabilities[block] - certain[labels[block]]).sum(1) for block in blocks])


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, _LEAST))
