"""What the stages share: where things are, in which order, and the tables of features."""

import csv
import os
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

import m2fnet_hf
from m2fnet_hf.data.acted import ActedClip, read_acted, speaker_folds
from m2fnet_hf.names_m2fnet import MELD_EMOTIONS, PYFEAT_ACTION_UNITS

if "M2FNET_DATA" not in os.environ:
    raise SystemExit(
        "M2FNET_DATA must name the folder that holds meld/, ravdess/ and emodb/, found it unset; export it."
    )
DATA = Path(os.environ["M2FNET_DATA"])
RUNS = Path(os.environ.get("M2FNET_MINI_RUNS", "runs/m2fnet_mini"))
WHISPER = RUNS / "whisper-tiny.en"
TEACHER = Path(m2fnet_hf.__file__).parent / "checkpoints" / "meld-mini"
TEACHER_TEMPERATURE = 0.8831981735694626
VERSIONS = int(os.environ.get("M2FNET_MINI_VERSIONS", "6"))  # of each acted clip
FOLDS = 4
CLASSES = len(MELD_EMOTIONS)
NEUTRAL = MELD_EMOTIONS.index("neutral")
# MELD's shares of emotions, of its training split.
SHARES = np.array([4710, 1205, 268, 683, 1743, 271, 1109]) / 9989

# py-feat's units that OpenFace measures, and under which name. Units whose clip means correlate by less than 0.4 on the
# shared clips (17, 20, 23, 28), and those that OpenFace does not have (11, 24), are unknown.
OPENFACE_UNITS = {
    **{f"AU{n:02d}": f"AU{n:02d}_r" for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 25, 26)},
    "AU43": "AU45_r",
}


@cache
def acted_clips() -> tuple[ActedClip, ...]:
    """RAVDESS and EmoDB in the order of all files of features; calm counts as neutral."""
    return (
        *read_acted(DATA / "ravdess", "ravdess", calm_as_neutral=True),
        *read_acted(DATA / "emodb", "emodb"),
    )


@cache
def labels() -> np.ndarray:
    """MELD's class of each acted clip, -1 for boredom."""
    return np.array([-1 if clip.emotion is None else MELD_EMOTIONS.index(clip.emotion) for clip in acted_clips()])


def fold_speakers(fold: int) -> set[str]:
    """The speakers of both corpora that are tested in a fold: 6 actors of RAVDESS and 2 or 3 of EmoDB."""
    return {clip.speaker for clip in speaker_folds(acted_clips(), FOLDS)[fold][1]}


def sound_table() -> torch.Tensor:
    """Sound features [VERSIONS, clips, 768]."""
    return torch.stack([load_file(RUNS / f"acted-{version}.safetensors")["sound"] for version in range(VERSIONS)])


@cache
def _clip_means() -> tuple[list[dict[str, float]], list[dict[str, float] | None]]:
    """OpenFace's and py-feat's clip means of each RAVDESS clip."""
    tables = []
    for name in ("openface_clip_means.csv", "pyfeat_clip_means_360.csv"):
        with (DATA / "ravdess" / name).open(encoding="utf-8") as file:
            tables.append(
                {row.pop("id")[3:]: {k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)}
            )
    names = [clip.path.stem[3:] for clip in acted_clips() if clip.corpus == "ravdess"]
    return [tables[0][name] for name in names], [tables[1].get(name) for name in names]


def unit_tables(without: set[str]) -> tuple[torch.Tensor, torch.Tensor, dict[str, list[float]]]:
    """OpenFace's units on py-feat's scale, and py-feat's own, [clips, 20] each with NaN where unknown; and the map.

    The map is a line that gives the shared clips the same mean and standard deviation, then a cut at 0 and 1: slope and
    intercept by unit. Fitted on the shared clips of all speakers but `without`.
    """
    openface, pyfeat = _clip_means()
    clips = acted_clips()
    ours, theirs = (torch.full((len(clips), len(PYFEAT_ACTION_UNITS)), torch.nan) for _ in range(2))
    shared = [n for n, row in enumerate(pyfeat) if row is not None and clips[n].speaker not in without]
    lines = {}
    for column, unit in enumerate(PYFEAT_ACTION_UNITS):
        for n, row in enumerate(pyfeat):
            if row is not None:
                theirs[n, column] = row[f"{unit}_mean"]
        if unit not in OPENFACE_UNITS:
            continue
        values = torch.tensor([row[OPENFACE_UNITS[unit]] for row in openface])
        goal, given = theirs[shared, column], values[shared]
        slope = goal.std() / given.std()
        lines[unit] = [float(slope), float(goal.mean() - slope * given.mean())]
        ours[: len(values), column] = (values * lines[unit][0] + lines[unit][1]).clamp(0, 1)
    return ours, theirs, lines


warnings.filterwarnings("ignore", message=".*are twice in.*|.*ends before it starts.*")
