"""Kill a run in the middle, as a machine that goes down would."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def killed(run: Callable[..., Any], arguments: Sequence[Any], folder: Path, files: int) -> int | None:
    """Run in a process of its own and kill it when a folder holds that number of safetensors files; its exit status."""
    # Forked, because starting anew takes seconds.
    process = multiprocessing.get_context("fork").Process(target=run, args=tuple(arguments))
    process.start()
    while process.is_alive() and _stored(folder) < files:
        time.sleep(0.001)
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode


def _stored(folder: Path) -> int:
    """Safetensors files in a folder; none while a folder in it is being removed."""
    try:
        return len(list(folder.rglob("*.safetensors")))
    except FileNotFoundError:
        return 0
