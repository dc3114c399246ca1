"""Combinations that no training scene shows, so that composition can be measured.

Every single value still appears in many other combinations.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal

from kineograph.worlds.scene import Scene, Thing, sample_scenes

Objects = Literal[1, 2] | None

HELD_OUT_KIND_COLOR = frozenset({("ball", "purple"), ("box", "yellow"), ("car", "green")})
HELD_OUT_KIND_MOTION = frozenset({("star", "bounces"), ("ring", "left"), ("car", "up")})
_BATCH = 256


def is_held_out(scene: Scene) -> bool:
    """Whether any thing of the scene shows a held-out combination."""
    return any(_is_held_out(thing) for thing in scene.things)


def training_scenes(n: int, seed: int, objects: Objects = None) -> list[Scene]:
    """`n` scenes without any held-out combination; a smaller `n` gives the first of them."""
    return list(islice(_filtered(seed, objects, lambda scene: not is_held_out(scene)), n))


def held_out_scenes(n: int, seed: int, objects: Objects = None) -> list[Scene]:
    """`n` scenes that each show a held-out combination; a smaller `n` gives the first of them."""
    return list(islice(_filtered(seed, objects, is_held_out), n))


def _is_held_out(thing: Thing) -> bool:
    color_unseen = (thing.kind, thing.color) in HELD_OUT_KIND_COLOR
    return color_unseen or (thing.kind, thing.motion) in HELD_OUT_KIND_MOTION


def _filtered(seed: int, objects: Objects, keep: Callable[[Scene], bool]) -> Iterator[Scene]:
    seeds = random.Random(seed)
    while True:
        scenes = sample_scenes(_BATCH, seeds.getrandbits(31), objects)
        yield from (scene for scene in scenes if keep(scene))
