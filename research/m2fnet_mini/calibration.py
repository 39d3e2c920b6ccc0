"""Whether probabilities are as high as answers are right, by which modalities are given.

    python -m research.m2fnet_mini.calibration

Writes `calibration.json` into the folder of each measured run that has none: by what is given the reliability table,
with the run's temperature (fitted on MELD's development split, text alone; the strangers' runs have none).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from m2fnet_hf.evaluation.calibration import calibration_metrics, softmax

from .common import RUNS, SHARES, acted_clips
from .evaluate import MODALITIES, STRANGER_CONVERSATIONS, paired, predict, stage_of, stranger_clips
from .model import M2FNetMini
from .simulate import Conversation, Tables
from .train import STRANGERS, prepare

# As in `evaluate.recordings`, which draws the clips in this order.
RECORDED = ("sound", "faces", "sound_faces", "all")


def main() -> None:
    torch.set_num_threads(1)
    for results in sorted((RUNS / "runs").glob("*-s[0-9]/results-test.json")):
        path = results.with_name("calibration.json")
        run = json.loads((results.parent / "training.json").read_text())["run"]
        if run != "all" and not path.is_file():
            path.write_text(json.dumps(measure(results.parent, run), indent=1))
            print(path.parent.name, flush=True)


def measure(folder: Path, run: str) -> dict[str, Any]:
    """By what is given, the reliability table."""
    model = M2FNetMini.load(folder)
    tables, heard, confusion = prepare(run, np.random.default_rng(0))
    if run.startswith(STRANGERS):
        temperature, talks = 1.0, strangers(tables, stranger_clips(run))
    else:
        temperature = json.loads((folder / "results-test.json").read_text())["text"]["temperature"]
        unheard = np.array([n for n, clip in enumerate(acted_clips()) if clip.speaker not in heard.actors])
        talks = recordings_and_pairs(tables, unheard, confusion)
    return {name: reliability(model, tables, *found, temperature) for name, found in talks}


def strangers(tables: Tables, clips: np.ndarray) -> Iterator[tuple[str, tuple[list[Conversation], np.ndarray]]]:
    """The conversations of `evaluate.strangers`, with their labels."""
    stage = stage_of(tables, clips, 1)
    talks = [
        stage.acted(stage.random.integers(3, 15, size=stage.random.integers(1, 3)).tolist(), SHARES)
        for _ in range(STRANGER_CONVERSATIONS)
    ]
    yield "strangers, sound", (talks, acted_labels(talks))


def recordings_and_pairs(
    tables: Tables, clips: np.ndarray, confusion: np.ndarray
) -> Iterator[tuple[str, tuple[list[Conversation], np.ndarray]]]:
    """Each actor's recordings, and MELD's test dialogues in their voices, with their labels."""
    ravdess = np.array([n for n in clips if acted_clips()[n].corpus == "ravdess"])
    stage = stage_of(tables, ravdess, 0)
    for name in RECORDED:
        talks = [stage.acted([60], None, MODALITIES[name], [actor]) for actor in stage.actors]
        yield f"recordings, {name}", (talks, acted_labels(talks))
    texts = tables.splits["test"]
    for name in ("sound_faces", "all"):
        talks = paired(stage_of(tables, ravdess, 2), texts, confusion, MODALITIES[name])
        yield f"pairs, {name}", (talks, texts.labels)
    yield "pairs, text_sound", (paired(stage_of(tables, clips, 3), texts, confusion, ("text", "sound")), texts.labels)


def acted_labels(talks: list[Conversation]) -> np.ndarray:
    return np.concatenate([one.target.argmax(1) for one in talks])


def reliability(
    model: M2FNetMini, tables: Tables, talks: list[Conversation], true: np.ndarray, temperature: float
) -> list[dict[str, Any]]:
    return calibration_metrics(softmax(predict(model, tables, talks) / temperature), true)["reliability"]


def pooled_error(parts: list[list[dict[str, Any]]]) -> float:
    """The expected calibration error of several reliability tables together."""
    gaps: dict[float, float] = {}
    for row in (row for part in parts for row in part):
        gaps.setdefault(row["low"], 0.0)
        gaps[row["low"]] += row["utterances"] * (row["confidence"] - row["accuracy"])
    return sum(map(abs, gaps.values())) / sum(row["utterances"] for part in parts for row in part)


if __name__ == "__main__":
    main()
