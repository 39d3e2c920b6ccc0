"""A whole process from its start to ten labelled lines, against one that imports torch and loads the same weights."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from m2fnet_hf.hub.load import load_pipeline
from m2fnet_hf.registration import DEFAULT_CHECKPOINT

from .measurements import NotHereError, at_most, told
from .timing import ratios

LINES = ("You came!", "I nearly missed the train.", "Sit down, please.", "Why is the package open?", "I am so sorry.")
WEIGHTS = f"from safetensors.torch import load_file; load_file({str(DEFAULT_CHECKPOINT / 'model.safetensors')!r})"
TORCH = ["-c", f"import torch; {WEIGHTS}"]
# What no model of the library does without.
LIBRARY = ["-c", f"from transformers import PreTrainedModel; {WEIGHTS}"]
M2FNET = ["-m", "m2fnet_hf"]


def measure(quick: bool = False, repetitions: int = 7) -> dict[str, Any]:
    """Processor time of processes on one thread, in turns; with torch, beside the floor that the library sets."""
    with tempfile.TemporaryDirectory() as folder:
        transcript, exported = Path(folder) / "ten.srt", Path(folder) / "exported"
        transcript.write_text("\n".join(map(_cue, range(10))), encoding="utf-8")
        _export(exported, "meld-mini" if quick else None)  # which has fewer graphs
        predict = [*M2FNET, "predict", str(transcript)]
        commands = {
            "torch": TORCH,
            "library": LIBRARY,
            "predict": predict,
            "exported": [*predict, "--model", str(exported)],
            "help": [*M2FNET, "predict", "--help"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for repetition in range(2 if quick else repetitions + 1):
            for name, command in commands.items():
                seconds = _seconds(command, folder)
                if repetition:  # the first one brings the files into memory
                    times[name].append(seconds)
    return {
        "ran": "m2fnet predict of ten lines by m2fnet-mini, whole processes on one thread",
        "measurements": {
            "cold: exported, times torch with the weights": at_most(0.6, ratios(times["exported"], times["torch"])),
            "cold: with torch, times what the library itself takes": at_most(
                1.2, ratios(times["predict"], times["library"])
            ),
            "cold: with torch, times torch with the weights": told(ratios(times["predict"], times["torch"])),
            "cold: the library itself, times torch with the weights": told(ratios(times["library"], times["torch"])),
            "cold: seconds of m2fnet predict --help": at_most(0.3, times["help"]),
        },
    }


def _cue(number: int) -> str:
    start = f"00:00:{3 * number:02d}"
    return f"{number + 1}\n{start},000 --> {start},900\n{('Anna', 'Ben')[number % 2]}: {LINES[number % len(LINES)]}\n"


def _export(folder: Path, model: str | None) -> None:
    try:
        from m2fnet_hf.export.onnx import export_onnx
    except ImportError as error:
        raise NotHereError(f"needs {error.name}: pip install 'm2fnet-hf[export]'") from None
    pipe = load_pipeline(model, device="cpu")
    export_onnx(pipe.model, pipe.processor, folder)


def _seconds(command: list[str], cache: str) -> float:
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "M2FNET_CACHE": cache}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, capture_output=True, env=variables)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
