"""What a clip costs, and on which machine."""

from __future__ import annotations

import math
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from kineograph import catalog
from kineograph.evaluation.making import fill, text_canvases
from kineograph.models.family import Model
from kineograph.models.precision import compute_dtype

RUNS = 5
WATTS = 5.0  # of a busy core: what server processors may draw at most, over their cores, is 3 to 6
PROMPT = "a small red ball bounces over sand at sunset"


@dataclass(frozen=True)
class Machine:
    """What the figures were measured on; `precision` is the format of matrix products."""

    processor: str
    cores: int
    threads: int
    precision: str
    torch: str

    @property
    def words(self) -> str:
        """As a card has it."""
        return f"{self.cores} cores of {self.processor}, {self.precision}, torch {self.torch}"


@dataclass(frozen=True)
class Cost:
    """One clip by itself at the model's own setting. `seconds` is the median of `runs` after a first one.

    `evaluations` counts the sampler's steps through the network; each runs it with and without the prompt
    where guidance acts. `joules` are those of the processor's busy cores, estimated at `WATTS` each, NaN on a
    GPU. `peak_memory` is the most that the process has held so far, in megabytes: on a GPU
    that of the GPU. `parameters` counts all numbers in the weights, `megabytes` their files.
    """

    seconds: float
    joules: float
    runs: int
    evaluations: int
    parameters: int
    megabytes: float
    peak_memory: float
    machine: Machine


def cost(model: Model, folder: Path) -> Cost:
    """Measure; to be called before anything else takes memory."""
    canvases = text_canvases([PROMPT], model.spec)
    seconds, busy = [], []
    for _ in range(1 + RUNS):
        start, started = time.perf_counter(), time.process_time()
        made = fill(canvases, model)
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - started)
    files = sorted(folder.glob("*.safetensors"))
    return Cost(
        seconds=statistics.median(seconds[1:]),
        joules=math.nan if _device().type == "cuda" else WATTS * statistics.median(busy[1:]),
        runs=RUNS,
        evaluations=made.evaluations,
        parameters=sum(map(_parameters, files)),
        megabytes=sum(file.stat().st_size for file in files) / 1e6,
        peak_memory=peak_memory(),
        machine=machine(),
    )


def cost_alone(folder: Path) -> Cost:
    """The cost of the model in a folder, measured in a process of its own, which holds nothing else."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_cost_of, folder).result()


def _cost_of(folder: Path) -> Cost:
    return cost(catalog.load(str(folder)), folder)


def machine() -> Machine:
    """This machine."""
    device = _device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else _processor()
    precision = str(compute_dtype(device)).removeprefix("torch.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(name, cores, torch.get_num_threads(), precision, torch.__version__)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _parameters(file: Path) -> int:
    with safe_open(file, framework="pt") as tensors:
        return sum(torch.Size(tensors.get_slice(name).get_shape()).numel() for name in tensors.keys())  # noqa: SIM118


def peak_memory() -> float:
    """The most memory that this process has held so far, in megabytes; on a GPU that of the GPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    known = Path("/proc/self/status")
    if known.exists():  # what stands elsewhere counts the parent's memory too, if this was split off from it
        lines = dict(line.split(":", 1) for line in known.read_text(encoding="utf-8").splitlines())
        return float(lines["VmHWM"].removesuffix("kB")) * 1.024 / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes there, kilobytes elsewhere
