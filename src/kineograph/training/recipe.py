"""Recipes: everything that `kineo train` needs to make a model, in frozen dataclasses."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from kineograph.errors import RequestError
from kineograph.models.tokenizer import SPACE_STRIDE, frames_of, latent_frames_of
from kineograph.models.windows import CONTEXT
from kineograph.training.loop import TrainConfig

WORLD = "world"


@dataclass(frozen=True)
class Stage:
    """One training run within a recipe: `batch` clips a step, of which `canvas` bring a canvas, and `guided`
    (those among them) guides; `played` of these, and some of those with a canvas, show a thing that somebody
    controls.

    Where pixels are learnt, most steps show crops of `crop` pixels instead (0: never), of as many clips more
    as keep the number of pixels: a step counts as `batch` clips all the same.
    """

    batch: int
    train: TrainConfig
    canvas: int = 0
    guided: int = 0
    played: int = 0
    crop: int = 0


@dataclass(frozen=True)
class Recipe(ABC):
    """What recipes of every family say; the stages are fields of their own.

    `name` is the model's, `preset` what the recipe was made by. `data` is "world" (rendered clips, of the
    `world` of that name) or a folder of clips, `init` a model to start from, "" for none, and `init_hash` the
    hash of its weights, "" until a run has loaded them. Of the world, `clips` are kept as pixels, `latents`
    (at least as many) as latents. `sheets` are the minutes from one contact sheet to the next, 0 for none.
    `balance` is what batches of latents are drawn in balance by, "" for nothing: see `data.balance`.
    `allow_unlicensed` lets clips pass of which nobody has told the licence: see `data.sources`.
    """

    name: str
    preset: str = ""
    data: str = WORLD
    world: str = "full"
    init: str = ""
    init_hash: str = ""
    clips: int = 4096
    latents: int = 24_576
    seed: int = 1
    sheets: float = 4.0
    balance: str = ""
    allow_unlicensed: bool = False

    @property
    @abstractmethod
    def grid(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns of cells."""

    @property
    @abstractmethod
    def stages(self) -> dict[str, Stage]:
        """The stages by name, in their order."""

    @property
    @abstractmethod
    def family(self) -> str:
        """The family of the model."""

    @abstractmethod
    def fits(self, config: Any) -> bool:
        """Whether a model of the family, with this config, has the recipe's networks."""

    @abstractmethod
    def starting_from(self, config: Any) -> Self:
        """The recipe with the networks of the model that it starts from, in place of its own."""

    @abstractmethod
    def rules(self) -> Iterator[tuple[bool, str]]:
        """What must hold of the family's own settings, and what to say if it doesn't."""

    @abstractmethod
    def try_networks(self) -> None:
        """Build the networks and run each once, over few pixels.

        Raises:
            RuntimeError, ValueError, TypeError, ZeroDivisionError: they don't fit together.
        """

    @property
    def frames(self) -> int:
        return frames_of(self.grid[0])

    @property
    def size(self) -> int:
        return SPACE_STRIDE * self.grid[1]


def grid_rules(name: str, grid: tuple[int, int, int]) -> Iterator[tuple[bool, str]]:
    """What must hold of a grid of that name."""
    frames, height, width = grid
    least = latent_frames_of(CONTEXT + 1)
    yield frames >= least, f"{name} must begin with at least {least} latent frames, not {frames}."
    yield height >= 1, f"{name} must be above 0."
    yield height == width, f"{name} must be square, not {height} by {width} cells."


def lasting(stage: Stage, minutes: float) -> Stage:
    """The stage with another length."""
    return replace(stage, train=replace(stage.train, minutes=minutes))


def with_minutes(recipe: Recipe, minutes: float) -> Recipe:
    """Share `minutes` out over the stages as the recipe does. If they are fewer than its own, so are the
    clips and latents, so that each is seen about as often and making them takes no larger share of the time.

    Raises:
        RequestError: `minutes` or the recipe's own are not a positive number.
    """
    own = sum(stage.train.minutes for stage in recipe.stages.values())
    if not (0 < minutes < math.inf):
        raise RequestError(f"minutes must be a number above 0, not {minutes:g}.")
    if not (0 < own < math.inf):
        raise RequestError("The stages have no minutes to share out: set the length of each.")
    scale = minutes / own
    shared: dict[str, Any] = {
        f"{name}_stage": lasting(stage, stage.train.minutes * scale) for name, stage in recipe.stages.items()
    }
    clips, latents = (math.ceil(count * min(1.0, scale)) for count in (recipe.clips, recipe.latents))
    return replace(recipe, clips=clips, latents=latents, **shared)
