"""Measure everything, or the named ones; the exit status is 1 when one falls short."""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from .machine import machine, versions
from .measurements import NotHereError, reached, sentence

RESULTS = Path(__file__).parent / "results"
GATE = "exactness"
NAMES = (
    GATE,
    "padding",
    "text",
    "audio",
    "fusion",
    "window",
    "scale",
    "online",
    "streaming",
    "memory",
    "faces",
    "precision",
    "export",
    "cold",
    "mini",
    "readers",
    "reports",
    "gpu",
)
# What is true of a small model, too; its times say nothing.
JUDGED_WHEN_QUICK = (GATE, "padding")
NEED_MELD = ("precision", "export")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the gate comes first, because without it the others mean nothing."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # for onnxruntime and other processes
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    names = [GATE, *(name for name in options.names or NAMES if name != GATE)]
    short: list[str] = []
    left_out = []
    for name in names:
        try:
            results = _measured(name, options)
        except NotHereError as error:
            left_out.append(name)
            print(f"{name}: not measured ({error})", flush=True)
            continue
        judged = not options.quick or name in JUDGED_WHEN_QUICK
        short += _told(results["measurements"], judged)
        if not options.quick:
            _write(name, results)
        if name == GATE and short:
            break
    print(_summary(len(names) - len(left_out), left_out, short, options.quick))
    return 1 if short else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="small models, only exactness is judged, nothing written")
    parser.add_argument(
        "--meld", type=Path, default=os.environ.get("MELD_ROOT"), metavar="FOLDER", help="default: $MELD_ROOT"
    )
    return parser


def _measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    module = import_module(f".{name}", __package__)
    given = {"meld": options.meld} if name in NEED_MELD else {}
    return module.measure(quick=options.quick, **given)


def _told(measurements: dict[str, Any], judged: bool) -> list[str]:
    """Print the measurements; gives the names of those that fall short."""
    for name, measurement in measurements.items():
        print(sentence(name, measurement, judged), flush=True)
    return [name for name, measurement in measurements.items() if judged and not reached(measurement)]


def _write(name: str, results: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    results = {**results, "machine": machine(), "versions": versions()}
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _summary(count: int, left_out: list[str], short: list[str], quick: bool) -> str:
    parts = [f"{count} benchmarks ran" + (" in small" if quick else "")]
    if left_out:
        parts.append(f"not measured: {', '.join(left_out)}")
    parts.append(f"falls short: {', '.join(short)}" if short else "nothing falls short")
    return "; ".join(parts) + "."


if __name__ == "__main__":
    sys.exit(main())
