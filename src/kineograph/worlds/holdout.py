"""Combinations that no training scene shows, so that composition can be measured.

Every single value still appears in many other combinations.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal

from kineograph.worlds.scene import Scene, Thing, sample_scenes
from kineograph.worlds.world import SMALL, World

Objects = Literal[1, 2, 3] | None

HELD_OUT_KIND_COLOR = frozenset({("ball", "purple"), ("box", "yellow"), ("car", "green")})
HELD_OUT_KIND_MOTION = frozenset({("star", "bounces"), ("ring", "left"), ("car", "up")})
# Of the full world: none of these can be said of a scene of the small one.
HELD_OUT_FULL_KIND_COLOR = frozenset({("robot", "pink"), ("bird", "black"), ("star", "orange")})
HELD_OUT_FULL_KIND_MOTION = frozenset({("robot", "swings"), ("bird", "jumps"), ("box", "grows")})
HELD_OUT_STYLE_TIME = frozenset({("neon", "dawn"), ("sketch", "night")})
HELD_OUT_WEATHER_GROUND = frozenset({("fog", "road"), ("rain", "sand")})
_BATCH = 256


def is_held_out(scene: Scene) -> bool:
    """Whether the scene, or any thing of it, shows a held-out combination."""
    manner = (scene.style, scene.time) in HELD_OUT_STYLE_TIME
    setting = (scene.weather, scene.ground) in HELD_OUT_WEATHER_GROUND
    return manner or setting or any(_is_held_out(thing) for thing in scene.things)


def training_scenes(n: int, seed: int, objects: Objects = None, world: World = SMALL) -> list[Scene]:
    """`n` scenes without any held-out combination; a smaller `n` gives the first of them."""
    return list(islice(_filtered(seed, objects, world, lambda scene: not is_held_out(scene)), n))


def held_out_scenes(n: int, seed: int, objects: Objects = None, world: World = SMALL) -> list[Scene]:
    """`n` scenes that each show a held-out combination; a smaller `n` gives the first of them."""
    return list(islice(_filtered(seed, objects, world, is_held_out), n))


def _is_held_out(thing: Thing) -> bool:
    color_unseen = (thing.kind, thing.color) in HELD_OUT_KIND_COLOR | HELD_OUT_FULL_KIND_COLOR
    return color_unseen or (thing.kind, thing.motion) in HELD_OUT_KIND_MOTION | HELD_OUT_FULL_KIND_MOTION


def _filtered(seed: int, objects: Objects, world: World, keep: Callable[[Scene], bool]) -> Iterator[Scene]:
    seeds = random.Random(seed)
    while True:
        scenes = sample_scenes(_BATCH, seeds.getrandbits(31), objects, world)
        # It takes two to collide, even where one thing is drawn.
        yield from (one for one in scenes if keep(one) and objects in (None, len(one.things)))
