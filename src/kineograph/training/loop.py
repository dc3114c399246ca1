"""The training loop. It knows no family: it is given objectives, batches by step, and a time or a step limit.

Every random draw and every batch depends on the seed and the step alone, so a run that was killed and
resumed makes the same losses, to the last bit on a CPU, as one that was not. (Where the clock sets the
length, a kill may move the step at which the cooldown begins; once a checkpoint holds it, it stays.)
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from kineograph.config import from_dict
from kineograph.errors import RequestError, TrainingError
from kineograph.models.precision import autocast
from kineograph.sampling.noise import Noise
from kineograph.training import checkpoint, log
from kineograph.training.ema import Ema
from kineograph.training.optim import OptimConfig, Optimizer, learning_rate

Batch = dict[str, Tensor]


class Objective(Protocol):
    """A loss and the parameters that it moves. A GAN has two, most models one."""

    def parameters(self) -> Sequence[tuple[str, nn.Parameter]]: ...

    def loss(self, batch: Batch, draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to minimise and figures to log, for one batch; random numbers come from `draw`."""
        ...


class Trainable(Protocol):
    """What is trained: `module` holds all the weights that a checkpoint must keep.

    `hot` are the modules worth compiling, where a C++ compiler is at hand.
    """

    @property
    def module(self) -> nn.Module: ...

    @property
    def objectives(self) -> Sequence[Objective]: ...

    @property
    def hot(self) -> Sequence[nn.Module]: ...


class Data(Protocol):
    def batch(self, step: int) -> Batch:
        """The batch of a step: the same whenever it is asked for."""
        ...


@dataclass(frozen=True)
class TrainConfig:
    """How long and how. A run ends after `steps`, or after `minutes` if that comes first."""

    steps: int = 1_000_000
    minutes: float = math.inf
    optim: OptimConfig = field(default_factory=OptimConfig)
    ema: float = 0.999
    seed: int = 0
    checkpoint_every: int = 250
    compile: bool = False

    @property
    def rests(self) -> bool:
        """Whether nothing is to be trained."""
        return self.steps == 0 or self.minutes == 0


@dataclass
class Progress:
    """Where a run stands. `cooldown` is fixed once and kept: the schedule depends on the step alone."""

    step: int = 0
    elapsed: float = 0.0
    cooldown: tuple[int, int] | None = None


@dataclass(frozen=True)
class TrainStep:
    """One step done: what it cost and how long is left, in seconds."""

    step: int
    loss: float
    metrics: dict[str, float]
    rate: float
    elapsed: float
    remaining: float
    saved: bool


class Trainer:
    """Weights, average, optimizers and progress of one run in the folder `out`, named after its stage."""

    def __init__(self, trainable: Trainable, data: Data, config: TrainConfig, out: Path) -> None:
        self.trainable, self.data, self.config, self.out = trainable, data, config, out
        self.device = next(trainable.module.parameters()).device
        self.ema = Ema(trainable.module, config.ema)
        self.optimizers = [Optimizer(o.parameters(), config.optim) for o in trainable.objectives]
        self.progress = Progress()
        self._saved: int | None = None  # the step of the newest checkpoint

    def resume(self) -> bool:
        """Continue from the newest whole checkpoint; False where there is none.

        Raises:
            TrainingError: there are checkpoints, but all are damaged, or they are of other networks.
        """
        checkpoint.clear(self.out)
        found = checkpoint.newest(self.out)
        if found is None and checkpoint.exists(self.out):
            raise TrainingError(
                f"Every checkpoint in {self.out} is damaged: remove them to start this again."
            )
        if found is None:
            return False
        try:
            self._load(found)
        except (KeyError, ValueError, TypeError, RuntimeError, RequestError) as error:
            raise TrainingError(
                f"The checkpoints in {self.out} are of other networks: resume with the settings of then."
            ) from error
        return True

    def _load(self, found: checkpoint.Checkpoint) -> None:
        self.trainable.module.load_state_dict(found.tensors["weights"])
        self.ema.average.load_state_dict(found.tensors["average"])
        for index, optimizer in enumerate(self.optimizers):
            optimizer.load_tensors(found.tensors[f"optimizer{index}"])
        told = {field.name: found.state[field.name] for field in fields(Progress)}
        self.progress = from_dict(Progress, told)
        if self.progress.step < 0 or not math.isfinite(self.progress.elapsed):
            raise ValueError("no run has come so far")
        self._saved = self.progress.step

    def run(self) -> Iterator[TrainStep]:
        """Train until the limit; yields after every step. Closing the iterator stops the run where it stands.

        Raises:
            TrainingError: the loss is not finite.
        """
        if self._finished():
            return
        if self.config.compile and _compiles(self.device):
            for module in self.trainable.hot:
                module.compile()
        self.out.mkdir(parents=True, exist_ok=True)
        started = time.monotonic() - self.progress.elapsed
        with log.open_at(self.out, self.progress.step) as lines:
            while not self._finished():
                step = self.progress.step
                loss, metrics, rate = self._step(step)
                self.progress.step += 1
                self.progress.elapsed = time.monotonic() - started
                self._maybe_start_cooldown()
                due = self.progress.step % self.config.checkpoint_every == 0 or self._finished()
                done = TrainStep(step, loss, metrics, rate, self.progress.elapsed, self._remaining(), due)
                log.write(lines, _logged(done))
                if due:  # after its line, so that no checkpoint knows of a step that the log doesn't
                    os.fsync(lines)
                    self.save()
                yield done

    def save(self) -> None:
        """Write a checkpoint of the state between two steps, unless it is saved already."""
        if self._saved == self.progress.step:
            return
        groups = {
            "weights": self.trainable.module.state_dict(),
            "average": self.ema.average.state_dict(),
        }
        groups |= {f"optimizer{i}": o.tensors() for i, o in enumerate(self.optimizers)}
        state: dict[str, Any] = asdict(self.progress)
        checkpoint.save(checkpoint.Checkpoint(groups, state), self.out, self.progress.step)
        self._saved = self.progress.step

    def _step(self, step: int) -> tuple[float, dict[str, float], float]:
        rate = learning_rate(self.config.optim, step, self.progress.cooldown)
        batch = {k: v.to(self.device) for k, v in self.data.batch(step).items()}
        draw = Noise(self.config.seed).generator("train", step)
        total = 0.0
        logged: dict[str, float] = {}
        for objective, optimizer in zip(self.trainable.objectives, self.optimizers, strict=True):
            with autocast(self.device):
                loss, metrics = objective.loss(batch, draw)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = optimizer.clip()
            if not (torch.isfinite(loss) and torch.isfinite(norm)):
                self._stop_not_finite(step)
            optimizer.step(rate)
            total += float(loss.detach())
            logged |= {k: float(v) for k, v in metrics.items()} | {"norm": float(norm)}
        self.ema.update(self.trainable.module, step)
        return total, logged, rate

    def _stop_not_finite(self, step: int) -> NoReturn:
        """Stop, and save nothing: the last good state is the newest from which a good step was made."""
        checkpoint.retreat(self.out, step)
        again = "resume" if checkpoint.exists(self.out) else "start again"
        rate = f"{self.out.name}_stage.train.optim.rate={self.config.optim.rate / 2:g}"
        raise TrainingError(
            f"The loss is not finite at step {step}: {again} with a lower rate, such as --set {rate}."
        )

    def _finished(self) -> bool:
        cooldown = self.progress.cooldown
        if self.config.rests:
            return True
        return self.progress.step >= (cooldown[1] if cooldown else self.config.steps)

    def _maybe_start_cooldown(self) -> None:
        """Fix the cooldown when its share of the budget is what is left, by steps or by the clock."""
        if self.progress.cooldown is not None:
            return
        share, step = self.config.optim.cooldown, self.progress.step
        if step >= self.config.steps * (1 - share):
            self.progress.cooldown = (step, self.config.steps)
        elif self.progress.elapsed >= self.config.minutes * 60 * (1 - share):
            length = max(1, round(step * share / max(1e-9, 1 - share)))
            self.progress.cooldown = (step, min(self.config.steps, step + length))

    def _remaining(self) -> float:
        each = self.progress.elapsed / max(1, self.progress.step)
        if self.progress.cooldown:
            return each * (self.progress.cooldown[1] - self.progress.step)
        by_steps = each * (self.config.steps - self.progress.step)
        return min(by_steps, self.config.minutes * 60 - self.progress.elapsed)


def _compiles(device: torch.device) -> bool:
    """Whether there is the compiler that torch.compile needs: of C++ for a CPU, of C for a GPU."""
    variable, usual = (
        ("CXX", ("c++", "g++", "clang++")) if device.type == "cpu" else ("CC", ("cc", "gcc", "clang"))
    )
    return any(map(shutil.which, (os.environ.get(variable, ""), *usual)))


def _logged(done: TrainStep) -> dict[str, float | int]:
    seconds = round(done.elapsed, 2)
    return {"step": done.step, "loss": done.loss, "rate": done.rate, "seconds": seconds, **done.metrics}
