"""Pictures of a stage while it trains: contact sheets and the loss as a curve, at little cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from kineograph.errors import KineographError
from kineograph.training.events import Event, Note, Shown
from kineograph.training.loop import TrainStep
from kineograph.training.plots import plot_loss
from kineograph.training.sheets import Sheet

SHARE = 0.03  # of the training's time, at most


class Pictures:
    """OUT/sheets/STAGE-STEP.png and OUT/STAGE/loss.png, every `every` seconds after `elapsed`, 0 for none.

    A picture that can't be made is said once and then left out: no training ends for it.
    """

    def __init__(self, out: Path, stage: str, sheet: Sheet | None, every: float, elapsed: float) -> None:
        self.out, self.stage, self.sheet, self.every = out, stage, sheet, every
        self.due = elapsed + every
        self.plot = True

    def after(self, done: TrainStep, average: nn.Module) -> Iterator[Event]:
        """Make them if they are due after a step."""
        if not self.every or done.elapsed < self.due:
            return
        start = time.monotonic()
        yield from self.make(done.step + 1, average)
        cost = time.monotonic() - start
        self.due = done.elapsed + max(self.every, cost / SHARE)

    def make(self, step: int, average: nn.Module) -> Iterator[Event]:
        """Make them now, after `step` steps."""
        if self.plot:
            yield self._plotted()
        if self.sheet is not None:
            yield self._sheet(self.out / "sheets" / f"{self.stage}-{step:08d}.png", average)

    def _plotted(self) -> Event:
        try:
            return Shown(plot_loss(self.out / self.stage))
        except ImportError:
            self.plot = False
            return Note("The loss is not plotted; for that, pip install 'kineograph[plots]'")
        except OSError as error:
            self.plot = False
            return Note(f"The loss is not plotted: {error.strerror}")

    def _sheet(self, path: Path, average: nn.Module) -> Event:
        try:
            assert self.sheet is not None
            self.sheet(average, path)
            return Shown(path)
        except (ImportError, OSError, KineographError) as error:
            self.sheet = None
            return Note(f"There are no contact sheets: {error}")
