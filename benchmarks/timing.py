"""Times that other programs on the machine disturb little: of this process's own work, on one thread, in turns."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

# Rows, inputs and outputs of the matrix product that rates are compared with: a feed-forward layer of BART-large.
MATRIX = (512, 1024, 4096)
MATRIX_REPETITIONS = 8


def in_turns(jobs: Mapping[str, Callable[[], Any]], repetitions: int) -> dict[str, list[float]]:
    """Seconds of processor time of each job, all of them once a repetition, after one run that does not count."""
    for job in jobs.values():
        job()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repetitions):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            times[name].append(time.process_time() - start)
    return times


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Of each repetition."""
    return [one / other for one, other in zip(above, below, strict=True)]


def operations(job: Callable[[], Any]) -> int:
    """Floating-point operations of a job's matrix products, convolutions and attention."""
    # Nothing is counted of weight-normalised convolutions in inference mode.
    with torch.inference_mode(False), torch.no_grad(), FlopCounterMode(display=False) as counter:
        job()
    return counter.get_total_flops()


class MatrixProduct:
    """A job that does nothing but multiply matrices, and how many operations it takes."""

    def __init__(self) -> None:
        rows, inputs, outputs = MATRIX
        self.left, self.right = torch.randn(rows, inputs), torch.randn(outputs, inputs)
        self.operations = 2 * rows * inputs * outputs * MATRIX_REPETITIONS

    def __call__(self) -> None:
        for _ in range(MATRIX_REPETITIONS):
            torch.nn.functional.linear(self.left, self.right)

    def shares(self, operations: int, times: Sequence[float], own_times: Sequence[float]) -> list[float]:
        """Of its rate, which a job of that number of operations reached, by repetition."""
        return [operations / time / (self.operations / own) for time, own in zip(times, own_times, strict=True)]
