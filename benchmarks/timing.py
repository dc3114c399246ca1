"""Measuring: jobs in turn, medians, and a matrix product in between as the yardstick."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from kineograph.models.precision import compute_dtype

Job = Callable[[], object]

GEMM = "matrix product"


@dataclass(frozen=True)
class Effort:
    """How often jobs run: `most` times, or fewer once `seconds` are over, but `least` times.

    `matrix` is the side of the yardstick's matrices.
    """

    least: int
    most: int
    seconds: float
    matrix: int


FULL = Effort(least=3, most=9, seconds=8.0, matrix=2048)
QUICK = Effort(least=1, most=2, seconds=0.5, matrix=256)


@dataclass(frozen=True)
class Measured:
    """Median `seconds` of `runs`, and `gemm`, the FLOP/s of a matrix product that took turns with them.

    `flops` are the operations of one run; None where it has no matrix products.
    """

    seconds: float
    runs: int
    gemm: float
    flops: float | None = None

    @property
    def speed(self) -> float | None:
        """FLOP/s."""
        return None if self.flops is None else self.flops / self.seconds

    @property
    def share(self) -> float | None:
        """The speed as a share of the matrix product's."""
        return None if self.speed is None else self.speed / self.gemm


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def flops_of(job: Job) -> float:
    """Floating-point operations of the matrix products and convolutions in one run of `job`.

    Attention is counted as the products that it consists of: the fused kernel for CPUs is not counted at all.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        job()
    return float(counter.get_total_flops())


def in_turn(jobs: Mapping[str, Job], effort: Effort) -> dict[str, list[float]]:
    """Seconds of each run of each job. They take turns, so that a busy machine slows all of them alike; a
    first round is not measured."""
    for job in jobs.values():
        job()
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    started = time.perf_counter()
    for number in range(effort.most):
        if number >= effort.least and time.perf_counter() - started > effort.seconds:
            break
        for name, job in jobs.items():
            spent[name].append(_seconds(job))
    return spent


def measure(
    jobs: Mapping[str, Job], effort: Effort, flops: Mapping[str, float] | None = None
) -> dict[str, Measured]:
    """Measure jobs, with a matrix product in the number format that the package computes in in between.

    Args:
        jobs: what to run, by name.
        effort: how often.
        flops: the operations of the jobs that consist of matrix products, by name.
    """
    assert GEMM not in jobs
    device, side = best_device(), effort.matrix
    one, other = (torch.randn(side, side, device=device).to(compute_dtype(device)) for _ in range(2))
    spent = in_turn({**jobs, GEMM: lambda: one @ other}, effort)
    gemm = 2 * side**3 / statistics.median(spent.pop(GEMM))
    return {
        name: Measured(statistics.median(seconds), len(seconds), gemm, (flops or {}).get(name))
        for name, seconds in spent.items()
    }


def measure_one(job: Job, effort: Effort, flops: float | None = None) -> Measured:
    """Measure a job by itself, see `measure`."""
    return measure({"job": job}, effort, {} if flops is None else {"job": flops})["job"]


def _seconds(job: Job) -> float:
    _wait()
    start = time.perf_counter()
    job()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
