"""Which world: what there is to choose from when scenes are drawn, described and read.

`FULL` is the world that the shipped model learnt; `SMALL` is a part of it. Every tuple of `FULL`
begins with that of `SMALL`, so that a value has one number in both.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """The options of each attribute, the first one the default; and what doesn't go together."""

    name: str
    kinds: tuple[str, ...]
    colors: tuple[str, ...]
    motions: tuple[str, ...]
    grounds: tuple[str, ...]
    times: tuple[str, ...]
    sizes: tuple[str, ...] = ("small", "medium", "large")
    weathers: tuple[str, ...] = ("clear",)
    styles: tuple[str, ...] = ("plain",)
    cameras: tuple[str, ...] = ("static",)
    most_things: int = 2
    unfit: frozenset[tuple[str, str]] = frozenset()  # kinds and motions

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """Attribute -> its options, those of things first; without attributes that leave no choice."""
        every = {
            "kind": self.kinds,
            "color": self.colors,
            "size": self.sizes,
            "motion": self.motions,
            "ground": self.grounds,
            "time": self.times,
            "weather": self.weathers,
            "style": self.styles,
            "camera": self.cameras,
        }
        return {name: options for name, options in every.items() if len(options) > 1}


SMALL = World(
    name="small",
    kinds=("ball", "box", "star", "ring", "car"),
    colors=("red", "yellow", "green", "blue", "purple", "white"),
    motions=("still", "left", "right", "up", "down", "bounces", "circles"),
    grounds=("grass", "sand", "snow", "water"),
    times=("day", "sunset", "night"),
)
FULL = World(
    name="full",
    kinds=(*SMALL.kinds, "robot", "bird"),
    colors=(*SMALL.colors, "orange", "pink", "black"),
    motions=(*SMALL.motions, "rolls", "swings", "grows", "shrinks", "jumps", "drops", "collides"),
    grounds=(*SMALL.grounds, "road"),
    times=(*SMALL.times, "dawn"),
    weathers=("clear", "rain", "snowfall", "fog"),
    styles=("plain", "cartoon", "sketch", "pixel", "neon"),
    cameras=("static", "pan left", "pan right", "zoom in", "zoom out"),
    most_things=3,
    # Only round things show that they roll.
    unfit=frozenset((kind, "rolls") for kind in ("box", "star", "car", "robot", "bird")),
)
WORLDS = {world.name: world for world in (SMALL, FULL)}
