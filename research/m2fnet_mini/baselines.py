"""Beside the model: a linear classifier on the tower's features and the Action Units.

    python -m research.m2fnet_mini.baselines

Writes `baselines.json`: `eight`, accuracy on RAVDESS's eight emotions (calm is one of its own), folds of actors apart,
an actor's clips normalised together, by `sound`, `faces` and `sound_faces`, three seeds; and `strangers`, the tower
without normalisation per speaker in the conversations of `evaluate.strangers`, trained on the clips as they were
recorded and on all versions of them.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from m2fnet_hf.evaluation.metrics import emotion_metrics

from .common import CLASSES, FOLDS, MELD_EMOTIONS, RUNS, SHARES, VERSIONS, acted_clips, fold_speakers, labels
from .evaluate import STRANGER_CONVERSATIONS, stage_of
from .model import NUM_UNITS, SOUND_SIZE, SpeakerNormalization
from .simulate import Tables
from .train import STRANGERS

STEPS = 600


def main() -> None:
    torch.set_num_threads(1)
    results = {
        "eight": [eight_classes(seed) for seed in range(3)],
        "strangers": {
            name: {corpus: [plain_tower(corpus, seed, versions) for seed in range(3)] for corpus in STRANGERS}
            for name, versions in (("as_recorded", 1), ("all_versions", VERSIONS))
        },
    }
    (RUNS / "baselines.json").write_text(json.dumps(results, indent=1))
    print(json.dumps(results))


def eight_classes(seed: int) -> dict[str, float]:
    """Accuracy by modalities."""
    clips = acted_clips()
    ravdess = np.array([n for n, clip in enumerate(clips) if clip.corpus == "ravdess"])
    names = sorted({clips[n].acted for n in ravdess})
    classes = torch.tensor([names.index(clips[n].acted) for n in ravdess])
    speakers = np.array([clips[n].speaker for n in ravdess])
    right: dict[str, int] = {"sound": 0, "faces": 0, "sound_faces": 0}
    for fold in range(FOLDS):
        held_out = fold_speakers(fold)
        test = torch.from_numpy(np.isin(speakers, sorted(held_out)))
        tables = Tables(held_out)
        by_version = tables.sound.view(-1, SOUND_SIZE)[: VERSIONS * tables.clips].view(VERSIONS, -1, SOUND_SIZE)
        units = tables.faces[ravdess]
        parts = [
            torch.stack([normalised(version[ravdess], speakers, ~test) for version in by_version]),
            normalised(units, speakers, ~test).expand(VERSIONS, -1, -1),
        ]
        for name, chosen in (("sound", parts[:1]), ("faces", parts[1:]), ("sound_faces", parts)):
            features = torch.cat(chosen, dim=-1)
            layer = fit(features[:, ~test].flatten(0, 1), classes[~test].repeat(VERSIONS), len(names), seed)
            right[name] += int((layer(features[0, test]).argmax(-1) == classes[test]).sum())
    return {name: count / len(ravdess) for name, count in right.items()}


def normalised(values: torch.Tensor, speakers: np.ndarray, train: torch.Tensor) -> torch.Tensor:
    """Each speaker's clips as one conversation, [N, D] to [N, size], scaled by the clips trained with."""
    norm = SpeakerNormalization(values.shape[1], 2.0, 4.0, masked=values.shape[1] == NUM_UNITS)
    norm.fit(values[train], speakers[train.numpy()].tolist())
    result = torch.empty(len(values), norm.size)
    for name in sorted(set(speakers)):
        own = torch.from_numpy(speakers == name)
        alone = torch.zeros(1, int(own.sum()), dtype=torch.long)
        result[own] = norm(values[own].unsqueeze(0), ~values[own].unsqueeze(0).isnan(), alone)[0]
    return result


def plain_tower(corpus: str, seed: int, versions: int) -> dict[str, Any]:
    """Trained on some versions of one corpus's clips, heard on the other's; standardised, but not per speaker."""
    clips, tables = acted_clips(), Tables()
    own = np.array([n for n, clip in enumerate(clips) if clip.corpus == corpus and labels()[n] >= 0])
    other = np.array([n for n, clip in enumerate(clips) if clip.corpus != corpus])
    rows = np.concatenate([version * tables.clips + own for version in range(versions)])
    mean, scale = tables.sound[rows].mean(0), tables.sound[rows].std(0)
    classes = torch.from_numpy(np.tile(labels()[own], versions))
    layer = fit((tables.sound[rows] - mean) / scale, classes, CLASSES, seed)
    stage = stage_of(tables, other, 1)
    talks = [
        stage.acted(stage.random.integers(3, 15, size=stage.random.integers(1, 3)).tolist(), SHARES)
        for _ in range(STRANGER_CONVERSATIONS)
    ]
    heard = (tables.sound[np.concatenate([one.sound for one in talks])] - mean) / scale
    true = np.concatenate([one.target.argmax(1) for one in talks])
    found = emotion_metrics(true, layer(heard).argmax(-1).numpy(), MELD_EMOTIONS)
    return {name: found[name] for name in ("accuracy", "weighted_f1", "macro_f1")}


def fit(features: torch.Tensor, classes: torch.Tensor, count: int, seed: int) -> nn.Linear:
    """A linear classifier by Adam with weight decay."""
    torch.manual_seed(seed)
    layer = nn.Linear(features.shape[1], count)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=3e-3, weight_decay=0.3)
    for _ in range(STEPS):
        chosen: Sequence[int] | torch.Tensor = torch.randint(len(features), (512,))
        loss = nn.functional.cross_entropy(layer(features[chosen]), classes[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer.eval().requires_grad_(False)


if __name__ == "__main__":
    main()
