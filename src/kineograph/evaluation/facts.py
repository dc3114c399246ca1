"""Facts of a model's training, kept beside its weights as `training.json`, from which its card is written.

{"preset": "playground", "clips": 4096, "latents": 40960, "seed": 1, "machine": "2 cores of …", "init": "",
 "stages": [{"name": "tokenizer", "minutes": 28.0, "steps": 2100, "clips_per_second": 10.0,
             "metric": "psnr", "curve": [[0, -3.3], …, [2099, 31.2]]}, …]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from kineograph.data import records
from kineograph.errors import ModelError, RequestError

FILE = "training.json"
POINTS = 60  # of a learning curve
CONTINUED = ", continued"


@dataclass(frozen=True)
class Stage:
    """One training run. `curve` holds (step, value) points of `metric`, means over the steps around them.

    A step on crops counts as the whole clips that have as many pixels.
    """

    name: str
    minutes: float
    steps: int
    clips_per_second: float
    metric: str
    curve: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Facts:
    """How a model was trained on the rendered world.

    `clips` were drawn from `seed` and kept as pixels; `latents`, these among them, is how many there were in
    all, all of the `world` of that name. `machine` says in words where it was. If it went on from a model
    `init`, the stages of that one's training come first, and all else is of the last training.
    """

    preset: str
    clips: int
    latents: int
    seed: int
    machine: str
    stages: tuple[Stage, ...] = ()
    init: str = ""
    world: str = "full"

    @property
    def minutes(self) -> float:
        """Of all stages."""
        return sum(stage.minutes for stage in self.stages)


def continued(init: str, earlier: Facts, later: Facts) -> Facts:
    """The facts of a training that went on from the model `init`: its earlier stages first, those of their
    names "continued"."""
    names = {stage.name.removesuffix(CONTINUED) for stage in earlier.stages}
    stages = [replace(s, name=s.name + CONTINUED) if s.name in names else s for s in later.stages]
    return replace(later, stages=(*earlier.stages, *stages), init=init)


def write(folder: Path, facts: Facts) -> None:
    """Put the facts beside the model in `folder`, whole or not at all."""
    records.write(folder / FILE, asdict(facts))


def read(folder: Path) -> Facts | None:
    """The facts beside the model in `folder`; None where there are none.

    Raises:
        ModelError: they are damaged.
    """
    path = folder / FILE
    try:
        return records.read(path, Facts)
    except RequestError as error:
        raise ModelError(f"'{path}' is damaged: get the model again or delete this file.") from error


def stage_of(name: str, lines: Sequence[Mapping[str, float]], batch: int, metric: str) -> Stage:
    """A stage of `batch` clips a step from the lines of its log, which have `step`, `seconds` and metrics."""
    seconds, steps = lines[-1]["seconds"], int(lines[-1]["step"]) + 1
    curve = _thinned([line["step"] for line in lines], [line[metric] for line in lines])
    rate = round(steps * batch / max(seconds, 1e-9), 1)
    return Stage(name, round(seconds / 60, 1), steps, rate, metric, curve)


def _thinned(steps: Sequence[float], values: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    parts = np.array_split(np.array([steps, values], float), min(POINTS, len(steps)), axis=1)
    return tuple((float(part[0].mean().round(1)), float(f"{part[1].mean():.4g}")) for part in parts)
