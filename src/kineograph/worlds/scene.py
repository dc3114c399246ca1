"""Scenes: what a rendered clip shows, small enough to write down, and how to draw many of them at random."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from kineograph.config import from_dict
from kineograph.errors import RequestError
from kineograph.worlds import layout
from kineograph.worlds.actions import ACTIONS
from kineograph.worlds.layout import BLOCK, Draw
from kineograph.worlds.world import FULL, SMALL, World

# The options of the small world.
KINDS = SMALL.kinds
COLORS = SMALL.colors
SIZES = SMALL.sizes
MOTIONS = SMALL.motions
GROUNDS = SMALL.grounds
TIMES = SMALL.times
MAX_THINGS = SMALL.most_things


def _choose(name: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise RequestError(f"{name} {value!r} is unknown: choose one of {', '.join(options)}.")


@dataclass(frozen=True)
class Thing:
    """One moving thing.

    x, y: its centre at the motion's reference (start of a straight path, rest of a hop, middle of a circle,
    lowest point of a swing) in fractions of the frame, y pointing down. phase in [0, 1): where in its hop,
    circle or stride it starts.
    """

    kind: str
    color: str
    size: str
    motion: str
    x: float
    y: float
    phase: float = 0.0

    def __post_init__(self) -> None:
        for name, options in (("kind", FULL.kinds), ("color", FULL.colors), ("size", FULL.sizes)):
            _choose(name, getattr(self, name), options)
        _choose("motion", self.motion, FULL.motions)
        for name, place in (("x", self.x), ("y", self.y)):
            if not math.isfinite(place):
                raise RequestError(f"{name} is {place}: give a place in fractions of the frame, such as 0.5.")
        if not 0 <= self.phase < 1:
            raise RequestError(f"phase is {self.phase}: give a number from 0 up to, but not including, 1.")


@dataclass(frozen=True)
class Scene:
    """One to three things on a ground at a time of day; `seed` picks small variations of the backdrop.

    actions: what somebody who controls the first thing does in each eighth of a second (see `actions`);
    empty if nobody does.
    """

    things: tuple[Thing, ...]
    ground: str
    time: str
    seed: int = 0
    weather: str = "clear"
    style: str = "plain"
    camera: str = "static"
    actions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.things) <= FULL.most_things:
            raise RequestError(f"A scene has {len(self.things)} things: give one to {FULL.most_things}.")
        if sum(thing.motion == "collides" for thing in self.things) not in (0, 2):
            raise RequestError("It takes two things to collide: give none or two the motion 'collides'.")
        _choose("ground", self.ground, FULL.grounds)
        _choose("time", self.time, FULL.times)
        _choose("weather", self.weather, FULL.weathers)
        _choose("style", self.style, FULL.styles)
        _choose("camera", self.camera, FULL.cameras)
        for action in self.actions:
            _choose("action", action, ACTIONS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Scene:
        """The inverse of `to_dict`.

        Raises:
            RequestError: a value is missing, unknown, of the wrong type or out of range.
        """
        return from_dict(Scene, values)

    @property
    def in_small_world(self) -> bool:
        """Whether its backdrop is one of the small world's: clear, plain and seen by a static camera."""
        return (self.weather, self.style, self.camera) == ("clear", "plain", "static")


# Drawing at random


def _candidates(generator: torch.Generator, objects: int | None, world: World) -> list[Scene]:
    """Up to BLOCK scenes; groups that look alike, don't fit or always overlap are left out."""

    def integers(high: int, *shape: int) -> Tensor:
        return torch.randint(high, (BLOCK, *shape), generator=generator)

    most = world.most_things
    options = (world.kinds, world.colors, world.sizes, world.motions)
    looks = torch.stack([integers(len(names), most) for names in options], -1)
    phase = torch.rand(BLOCK, most, generator=generator, dtype=torch.float64)
    scenery = [integers(n).tolist() for n in (len(world.grounds), len(world.times), 1 << 16)]
    count = 1 + integers(most) if objects is None else torch.full((BLOCK,), objects)
    manner = [
        integers(len(names)).tolist() if len(names) > 1 else [0] * BLOCK
        for names in (world.weathers, world.styles, world.cameras)
    ]
    draw = layout.pair_up(Draw(looks, phase, count), world)
    cameras = torch.tensor(manner[2])
    place, fits = layout.lay_out(generator, draw, cameras, world)

    scenes = []
    for b in torch.nonzero(fits)[:, 0].tolist():
        drawn = tuple(
            _thing(draw.looks[b, k], place[b, k], phase[b, k], world) for k in range(int(draw.count[b]))
        )
        ground, time, seed = (values[b] for values in scenery)
        weather, style, camera = (
            names[values[b]]
            for names, values in zip((world.weathers, world.styles, world.cameras), manner, strict=True)
        )
        scenes.append(Scene(drawn, world.grounds[ground], world.times[time], seed, weather, style, camera))
    return scenes


def _thing(choice: Tensor, place: Tensor, phase: Tensor, world: World) -> Thing:
    kind, color, size, motion = choice.tolist()
    x, y = (round(value, 4) for value in place.tolist())
    named = (world.kinds[kind], world.colors[color], world.sizes[size], world.motions[motion])
    return Thing(*named, x, y, int(phase * 1000) / 1000)


def sample_scenes(
    n: int, seed: int, objects: Literal[1, 2, 3] | None = None, world: World = SMALL
) -> list[Scene]:
    """Draw n scenes of some things (None: any number that the world shows, equally often), every attribute
    uniformly.

    Things stay inside a square frame for 17 frames at 8 fps (if no camera moves); any two differ in kind or
    colour and seldom overlap (what can't be kept apart is redrawn). The first m of n scenes are those of a
    draw of m.
    """
    if objects is not None and objects not in range(1, world.most_things + 1):
        choices = ", ".join(map(str, range(1, world.most_things + 1)))
        raise RequestError(f"objects is {objects}: choose {choices} or None for any.")
    generator = torch.Generator().manual_seed(seed)
    scenes: list[Scene] = []
    while len(scenes) < n:
        scenes += _candidates(generator, objects, world)
    return scenes[:n]
