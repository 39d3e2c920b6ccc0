"""Memory of a job in a process of its own, where nothing that ran before counts."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from .measurements import NotHereError

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"


def peak_memory(prepare: Callable[..., Callable[[], Any]], *arguments: Any) -> tuple[int, int]:
    """Bytes of a new process before and at most during a job, which `prepare` gives for the arguments.

    Raises:
        NotHereError: where the system does not tell a process's peak.
    """
    if not CLEAR.exists():
        raise NotHereError("only Linux tells the peak of a process's memory")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, prepare, arguments).result()


def _peak(prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> tuple[int, int]:
    torch.set_num_threads(1)
    with torch.inference_mode():
        job = prepare(*arguments)
        CLEAR.write_text(RESET_PEAK)
        before = _bytes("VmRSS")
        job()
    return before, _bytes("VmHWM")


def _bytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
