"""What a run tells as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kineograph.training.loop import TrainStep


@dataclass(frozen=True)
class Prepared:
    """Clips are being made ready: `done` so far of `total`, None where that is not known yet."""

    doing: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Stepped:
    """A training step of a stage."""

    stage: str
    step: TrainStep


@dataclass(frozen=True)
class Shown:
    """A picture was written, a contact sheet or the loss as a curve."""

    path: Path


@dataclass(frozen=True)
class Note:
    """Something worth saying."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The model's folder, and a caption of its training to try it with."""

    folder: Path
    prompt: str


Event = Prepared | Stepped | Shown | Note | Finished
