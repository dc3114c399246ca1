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
from kineograph.worlds.backdrop import GROUND_PAINT, TIME_LIGHT
from kineograph.worlds.motion import MOVES, offsets
from kineograph.worlds.shapes import EXTENTS, PALETTE, SHAPES

KINDS = tuple(SHAPES)
COLORS = tuple(PALETTE)
SIZES = tuple(EXTENTS)
MOTIONS = tuple(MOVES)
GROUNDS = tuple(GROUND_PAINT)
TIMES = tuple(TIME_LIGHT)
MAX_THINGS = 2


def _choose(name: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise RequestError(f"{name} {value!r} is unknown: choose one of {', '.join(options)}.")


@dataclass(frozen=True)
class Thing:
    """One moving thing.

    x, y: its centre at the motion's reference (start of a straight path, rest of a hop, middle of a circle)
    in fractions of the frame, y pointing down. phase in [0, 1): where in its hop or circle it starts.
    """

    kind: str
    color: str
    size: str
    motion: str
    x: float
    y: float
    phase: float = 0.0

    def __post_init__(self) -> None:
        _choose("kind", self.kind, KINDS)
        _choose("color", self.color, COLORS)
        _choose("size", self.size, SIZES)
        _choose("motion", self.motion, MOTIONS)
        for name, place in (("x", self.x), ("y", self.y)):
            if not math.isfinite(place):
                raise RequestError(f"{name} is {place}: give a place in fractions of the frame, such as 0.5.")
        if not 0 <= self.phase < 1:
            raise RequestError(f"phase is {self.phase}: give a number from 0 up to, but not including, 1.")


@dataclass(frozen=True)
class Scene:
    """One or two things on a ground at a time of day; `seed` picks small variations of the backdrop."""

    things: tuple[Thing, ...]
    ground: str
    time: str
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.things) <= MAX_THINGS:
            raise RequestError(f"A scene has {len(self.things)} things: give one or {MAX_THINGS}.")
        _choose("ground", self.ground, GROUNDS)
        _choose("time", self.time, TIMES)

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


# Drawing at random. A block of B candidates is laid out at once, each in L ways.

BLOCK = 64
LAYOUTS = 16
MARGIN = 0.02
GROUND_LINES = (0.64, 0.955)  # where the foot of a thing, or its shadow, may stand
MAX_OVERLAP = 0.08  # mean over time of the common area, as a share of the smaller box
CLIP_SECONDS = torch.arange(17, dtype=torch.float64) / 8


def _integers(generator: torch.Generator, high: int, *shape: int) -> Tensor:
    return torch.randint(high, shape, generator=generator)


def _between(generator: torch.Generator, low: Tensor, high: Tensor) -> Tensor:
    share = torch.rand(low.shape, generator=generator, dtype=torch.float64)
    return low + share * (high - low)


def half_extents(kind: Tensor, size: Tensor) -> Tensor:
    """(…,) indices of kinds and sizes → (…, 2) half width and height, in shorter sides of the frame."""
    outline = torch.tensor([(s.half_width, s.half_height) for s in SHAPES.values()], dtype=torch.float64)
    extent = torch.tensor(list(EXTENTS.values()), dtype=torch.float64)
    return outline.to(kind.device)[kind] * extent.to(size.device)[size][..., None]


def ground_line(motion: Tensor, half_height: Tensor) -> Tensor:
    """How far below a thing's reference the ground lies on which it stands or throws its shadow."""
    drop = torch.tensor([move.drop for move in MOVES.values()], dtype=torch.float64)
    return drop.to(motion.device)[motion] + half_height


def _lay_out(generator: torch.Generator, half: Tensor, path: Tensor, line: Tensor) -> Tensor:
    """References (B, L, K, 2) that keep things of half extents (B, K, 2) on paths (B, K, T, 2) in view."""
    low = half - path.amin(2) + MARGIN
    high = 1 - half - path.amax(2) - MARGIN
    floor, ceiling = (place - line for place in GROUND_LINES)
    low[..., 1] = torch.maximum(low[..., 1], floor)
    high[..., 1] = torch.minimum(high[..., 1], ceiling)
    assert bool((low <= high).all()), "a thing does not fit into the frame"
    low, high = (bound[:, None].expand(-1, LAYOUTS, -1, -1) for bound in (low, high))
    return _between(generator, low, high)


def _overlap(centre: Tensor, half: Tensor) -> Tensor:
    """Centres (B, L, K, T, 2), half extents (B, K, 2) → (B, L) mean share of the smaller box in both."""
    half = half[:, None, :, None]
    low, high = (centre - half).amax(2), (centre + half).amin(2)
    common = (high - low).clamp(min=0).prod(-1)
    return (common / (4 * half.prod(-1).amin(2))).mean(-1)


def _candidates(generator: torch.Generator, objects: int | None) -> list[Scene]:
    """Up to BLOCK scenes; pairs that look alike or always collide are left out."""
    counts = (len(KINDS), len(COLORS), len(SIZES), len(MOTIONS))
    things = torch.stack([_integers(generator, n, BLOCK, MAX_THINGS) for n in counts], -1)
    kind, color, size, motion = things.unbind(-1)
    phase = torch.rand(kind.shape, generator=generator, dtype=torch.float64)
    scenery = [_integers(generator, n, BLOCK).tolist() for n in (len(GROUNDS), len(TIMES), 1 << 16)]
    pair = _integers(generator, 2, BLOCK) == 1 if objects is None else torch.full((BLOCK,), objects == 2)

    half = half_extents(kind, size)
    path = offsets(motion, CLIP_SECONDS, phase)[..., :2]
    place = _lay_out(generator, half, path, ground_line(motion, half[..., 1]))
    overlap, best = _overlap(place[..., None, :] + path[:, None], half).min(1)
    apart = (overlap <= MAX_OVERLAP) & ((kind != kind.flip(1)) | (color != color.flip(1))).any(1)
    place = place[torch.arange(BLOCK), torch.where(pair, best, 0)]

    scenes = []
    for b in torch.nonzero(apart | ~pair)[:, 0].tolist():
        drawn = tuple(_thing(things[b, k], place[b, k], phase[b, k]) for k in range(1 + int(pair[b])))
        ground, time, seed = (values[b] for values in scenery)
        scenes.append(Scene(drawn, GROUNDS[ground], TIMES[time], seed))
    return scenes


def _thing(choice: Tensor, place: Tensor, phase: Tensor) -> Thing:
    kind, color, size, motion = choice.tolist()
    x, y = (round(value, 4) for value in place.tolist())
    named = (KINDS[kind], COLORS[color], SIZES[size], MOTIONS[motion])
    return Thing(*named, x, y, int(phase * 1000) / 1000)


def sample_scenes(n: int, seed: int, objects: Literal[1, 2] | None = None) -> list[Scene]:
    """Draw n scenes of one or two things (None: either, equally often), every attribute uniformly.

    Things stay inside a square frame for 17 frames at 8 fps; two things differ in kind or colour and seldom
    overlap (pairs that can't be kept apart are redrawn). The first m of n scenes are those of a draw of m.
    """
    if objects not in (None, 1, 2):
        raise RequestError(f"objects is {objects}: choose 1, 2 or None for either.")
    generator = torch.Generator().manual_seed(seed)
    scenes: list[Scene] = []
    while len(scenes) < n:
        scenes += _candidates(generator, objects)
    return scenes[:n]
