"""Measuring: jobs in turn, medians, and a matrix product in between as the yardstick."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

Job = Callable[[], object]


@dataclass(frozen=True)
class Effort:
    """How many measured repetitions, and the side of the yardstick's matrices."""

    repetitions: int
    matrix: int


FULL = Effort(repetitions=9, matrix=2048)
QUICK = Effort(repetitions=2, matrix=256)


@dataclass(frozen=True)
class Measured:
    """Median seconds of one repetition, its operations, and its speed as a share of the yardstick's."""

    seconds: float
    flops: float | None = None
    share: float | None = None

    @property
    def gflops(self) -> float | None:
        """Achieved GFLOP/s."""
        return None if self.flops is None else self.flops / self.seconds / 1e9


def flops_of(job: Job) -> float:
    """Floating-point operations of the matrix products and convolutions in one run of `job`.

    Attention is counted as the products that it consists of: the fused kernel for CPUs is not counted at all.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        job()
    return float(counter.get_total_flops())


def interleaved(jobs: Mapping[str, Job], repetitions: int) -> dict[str, float]:
    """Median seconds of each job. They take turns, so that a busy machine slows all of them alike; the first
    round is not measured."""
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repetitions + 1):
        for name, job in jobs.items():
            spent[name].append(_seconds(job))
    return {name: statistics.median(times[1:]) for name, times in spent.items()}


def measure(
    jobs: Mapping[str, Job],
    flops: Mapping[str, float],
    device: torch.device,
    dtype: torch.dtype,
    effort: Effort,
) -> dict[str, Measured]:
    """Measure jobs whose floating-point operations are known, with a matrix product in `dtype` in between."""
    side = effort.matrix
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds = interleaved({**jobs, "": lambda: one @ other}, effort.repetitions)
    yardstick = 2 * side**3 / seconds[""]
    return {
        name: Measured(seconds[name], flops[name], flops[name] / seconds[name] / yardstick) for name in jobs
    }


def _seconds(job: Job) -> float:
    _wait()
    start = time.perf_counter()
    job()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
