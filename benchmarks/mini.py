"""m2fnet-mini on one core: its sound encoder, and a recording of an hour with faces from a file."""

import csv
import time
import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from m2fnet_hf.hub.load import load_pipeline
from m2fnet_hf.names_m2fnet import PYFEAT_ACTION_UNITS

from . import workload
from .measurements import at_most
from .timing import in_turns

UTTERANCES = 64
HOUR = 3600.0
FACES_PER_SECOND = 2
# OpenFace has none of these, and AU45 in the place of the last.
NOT_OPENFACE = ("AU11", "AU24", "AU28", "AU43")
UNITS = [f"{unit}_r" for unit in PYFEAT_ACTION_UNITS if unit not in NOT_OPENFACE] + ["AU45_r"]


def measure(quick: bool = False, repetitions: int = 3) -> dict[str, Any]:
    """Processor time: of the sound encoder with its spectrograms, and of all from the recording to the labels."""
    pipe = load_pipeline(None, device="cpu")
    sounds = [row.numpy() for row in workload.sound_rows(4 if quick else UTTERANCES)]
    spoken = sum(map(len, sounds)) / workload.SAMPLING_RATE
    length = 30.0 if quick else HOUR
    with torch.inference_mode():
        times = in_turns({"sound": partial(_encode, pipe, sounds)}, 1 if quick else repetitions)
    with TemporaryDirectory() as folder:
        seconds = _hour(pipe, Path(folder), length)
    return {
        "ran": f"{spoken:.0f} s of speech in {len(sounds)} utterances; {length:.0f} s of sound with OpenFace's csv",
        "measurements": {
            "mini: seconds of the sound encoder per second of speech": at_most(
                0.02, [one / spoken for one in times["sound"]]
            ),
            "mini: share of its length that a recording takes": at_most(0.05, [seconds / length]),
        },
    }


def _encode(pipe: Any, sounds: list[np.ndarray]) -> None:
    for sound in sounds:
        inputs = pipe.processor([[{"audio": sound, "sampling_rate": workload.SAMPLING_RATE}]], modalities=["audio"])
        names = ("input_features", "audio_attention_mask")
        pipe.model.model.get_audio_features(**{name: inputs[name] for name in names})


def _hour(pipe: Any, folder: Path, length: float) -> float:
    """Seconds from the files to the predictions."""
    random = np.random.default_rng(0)
    with wave.open(str(folder / "talk.wav"), "wb") as file:
        file.setparams((1, 2, workload.SAMPLING_RATE, 0, "NONE", ""))
        for _ in range(round(length)):
            file.writeframes((1000 * random.standard_normal(workload.SAMPLING_RATE)).astype(np.int16).tobytes())
    (folder / "talk.srt").write_text("\n".join(_cues(length)), encoding="utf-8")
    landmarks = {f"{axis}_{point}": 50 + point for axis in "xy" for point in range(68)}
    with (folder / "talk.csv").open("w", newline="", encoding="utf-8") as file:
        known = {"face_id": 0, "confidence": 0.9, "success": 1, **landmarks}
        writer = csv.writer(file)
        writer.writerow(["frame", "timestamp", *known, *UNITS])
        for frame in range(round(length * FACES_PER_SECOND)):
            units = (5 * random.random(len(UNITS))).round(2)
            writer.writerow([frame + 1, frame / FACES_PER_SECOND, *known.values(), *units])
    start = time.process_time()
    pipe(str(folder / "talk.wav"), transcript=str(folder / "talk.srt"), faces=str(folder / "talk.csv"), cache=False)
    return time.process_time() - start


def _cues(length: float) -> Iterator[str]:
    seconds = workload.lengths(workload.SECONDS, round(length / np.mean(workload.lengths(workload.SECONDS, 100))))
    time_of_day = "{:02.0f}:{:02.0f}:{:06.3f}".format
    start = 0.0
    for number, lasts in enumerate(seconds):
        stop = min(start + lasts, length)
        times = (time_of_day(one // 3600, one % 3600 // 60, one % 60).replace(".", ",") for one in (start, stop - 0.01))
        yield f"{number + 1}\n{' --> '.join(times)}\n{'AB'[number % 2]}: I nearly missed the train, and you came.\n"
        start = stop
        if start >= length - 1:
            return
