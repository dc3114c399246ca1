"""Watching a training: a bar for each stage on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kineograph.cli.output import say
from kineograph.training.events import Note, Prepared, Shown, Stepped

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from kineograph.training.loop import TrainStep

EVERY = 10.0  # seconds between two lines
RECENT = 50  # steps over which loss and speed are taken


@dataclass(frozen=True)
class News:
    """What to show: `done` in [0, 1], or None where unknown, of `about`; all that is about "" is shown."""

    text: str
    about: str = ""
    done: float | None = None


class Tail:
    """The last steps of a stage."""

    def __init__(self) -> None:
        self._steps: deque[TrainStep] = deque(maxlen=RECENT)

    def add(self, step: TrainStep) -> None:
        self._steps.append(step)

    @property
    def loss(self) -> float:
        """The mean of the last losses."""
        return sum(step.loss for step in self._steps) / len(self._steps)

    @property
    def speed(self) -> float:
        """Steps a second, 0 until it is known."""
        first, last = self._steps[0], self._steps[-1]
        seconds = last.elapsed - first.elapsed
        return (last.step - first.step) / seconds if seconds > 0 else 0.0


class Teller:
    """Puts events into words."""

    def __init__(self) -> None:
        self._tails: dict[str, Tail] = {}

    def tell(self, event: Prepared | Stepped | Shown | Note) -> News:
        match event:
            case Prepared():
                return _prepared(event)
            case Stepped(stage, step):
                tail = self._tails.setdefault(stage, Tail())
                tail.add(step)
                return _stepped(stage, step, tail)
            case Shown(path):
                return News(f"wrote {path}")
            case Note(text):
                return News(text)


def _stepped(stage: str, step: TrainStep, tail: Tail) -> News:
    figures = f"loss {tail.loss:.4f}, {tail.speed:.2f} steps/s, {clock(step.remaining)} left"
    done = step.elapsed / max(1e-9, step.elapsed + step.remaining)
    return News(f"{stage}: step {step.step + 1}, {figures}", stage, done)


def _prepared(event: Prepared) -> News:
    if event.total is None:
        return News(f"{event.doing}: {event.done}", event.doing)
    return News(f"{event.doing}: {event.done} of {event.total}", event.doing, event.done / event.total)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03, 2:03."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


# Two ways to show it


@contextmanager
def shown() -> Iterator[Callable[[News], None]]:
    """A function that shows news on stderr."""
    if not sys.stderr.isatty():
        yield Lines().show
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bars(progress).show


class Lines:
    """A line at once for what is new, and every `EVERY` seconds for what goes on."""

    def __init__(self, write: Callable[[str], None] = say) -> None:
        self._write = write
        self._about = ""
        self._next = 0.0

    def show(self, news: News) -> None:
        now = time.monotonic()
        if not news.about or news.about != self._about or news.done == 1 or now >= self._next:
            self._write(news.text)
            self._about, self._next = news.about, now + EVERY


class Bars:
    """A bar for each thing that goes on, with all else above."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, news: News) -> None:
        if not news.about:
            self._progress.console.print(news.text, markup=False, highlight=False)
            return
        if news.about not in self._tasks:
            self._tasks[news.about] = self._progress.add_task(news.text, total=None)
        total = None if news.done is None else 1.0
        self._progress.update(
            self._tasks[news.about], description=news.text, completed=news.done or 0.0, total=total
        )
