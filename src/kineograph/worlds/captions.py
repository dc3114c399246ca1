"""Sentences about a scene, written by a small grammar and read back from free text.

Lower-case words without punctuation:
`a small red ball bounces over sand at sunset`,
`a big blue cube slides to the left and a tiny white star circles on the grass by day`.

What a caption leaves out, it leaves open: `parse` returns None there.
One thing takes at most 16 words, two at most 28.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from kineograph.worlds.scene import COLORS, GROUNDS, KINDS, MOTIONS, SIZES, TIMES, Scene

# What the grammar writes for each value; the first phrase is the canonical one.
PHRASES: dict[str, tuple[str, ...]] = {
    "ball": ("ball", "sphere"),
    "box": ("box", "cube"),
    "star": ("star",),
    "ring": ("ring", "hoop"),
    "car": ("car", "toy car"),
    "red": ("red",),
    "yellow": ("yellow",),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "white": ("white",),
    "small": ("small", "tiny", "little"),
    "medium": ("medium",),
    "large": ("large", "big", "huge"),
    "still": ("stays still", "is still", "rests", "staying still", "resting"),
    "left": ("moves left", "goes left", "slides to the left", "moves to the left", "moving left"),
    "right": ("moves right", "goes right", "slides to the right", "moves to the right", "moving right"),
    "up": ("rises", "floats up", "moves up", "goes up", "rising", "floating up"),
    "down": ("falls", "sinks down", "moves down", "goes down", "falling", "sinking down"),
    "bounces": ("bounces", "hops", "bouncing", "hopping"),
    "circles": ("circles", "goes round in circles", "moves in circles", "circling"),
    "grass": ("over grass", "on grass", "over the grass", "on the grass", "over the meadow"),
    "sand": ("over sand", "on sand", "over the sand", "on the sand", "on the beach"),
    "snow": ("over snow", "on snow", "over the snow", "on the snow", "in the snow"),
    "water": ("over water", "on water", "over the water", "on the water", "over the sea"),
    "day": ("by day", "in daylight", "in the daytime", "on a sunny day"),
    "sunset": ("at sunset", "at dusk"),
    "night": ("at night", "in moonlight", "under the stars"),
}
# Verbs that suit one kind of thing alone; they take `left` or `right`.
OWN_VERBS = {"ball": ("rolls", "rolling"), "car": ("drives", "driving")}

# Which words name a value when text is read: more than the grammar writes, and each of them once.
READINGS: dict[str, str] = {
    "ball": "ball balls sphere spheres orb",
    "box": "box boxes cube cubes block",
    "star": "star",
    "ring": "ring rings hoop hoops torus",
    "car": "car cars automobile",
    "red": "red crimson scarlet",
    "yellow": "yellow golden",
    "green": "green",
    "blue": "blue",
    "purple": "purple violet",
    "white": "white",
    "small": "small tiny little",
    "medium": "medium",
    "large": "large big huge giant",
    "still": "still rests resting rest motionless",
    "left": "left leftwards",
    "right": "right rightwards",
    "up": "up upwards rises rising rise",
    "down": "down downwards falls falling fall sinks sinking sink",
    "bounces": "bounces bouncing bounce hops hopping hop jumps jumping jump",
    "circles": "circles circling circle orbits orbiting",
    "grass": "grass lawn meadow",
    "sand": "sand beach desert",
    "snow": "snow",
    "water": "water sea lake",
    "day": "day daylight daytime sunny noon",
    "sunset": "sunset dusk evening",
    "night": "night moonlight stars starry midnight",
}
VALUES: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "color": COLORS,
    "size": SIZES,
    "motion": MOTIONS,
    "ground": GROUNDS,
    "time": TIMES,
}
# How readily an attribute is left out, as a share of `drop`. The kind is always named.
_DROP_SHARE = {"size": 1.0, "ground": 0.5, "time": 0.5, "color": 0.25, "motion": 0.25}
# A new thing may begin at these.
_BOUNDARY = {"a", "an", "another", "and", "with", "while", "the", ",", ";", "."}

Choose = Callable[[tuple[str, ...]], str]


@dataclass(frozen=True)
class ThingDescription:
    """What is said of one thing; None where nothing is said."""

    kind: str | None = None
    color: str | None = None
    size: str | None = None
    motion: str | None = None


@dataclass(frozen=True)
class Description:
    """What is said of a scene; None where nothing is said."""

    things: tuple[ThingDescription, ...] = ()
    ground: str | None = None
    time: str | None = None


def describe(scene: Scene) -> Description:
    """Everything that words can say of a scene."""
    things = tuple(ThingDescription(t.kind, t.color, t.size, t.motion) for t in scene.things)
    return Description(things, scene.ground, scene.time)


def canonical(scene: Scene) -> str:
    """The one plain sentence that names everything: `a small red ball bounces over sand at sunset`."""
    return _write(describe(scene), lambda options: options[0])


def caption(scene: Scene, rng: random.Random, drop: float = 0.2) -> str:
    """One of the many sentences about a scene.

    `drop` in [0, 1] is the chance that a size goes unnamed; ground and time go half as often,
    color and motion a quarter as often. With 0 everything is named.
    """
    assert 0 <= drop <= 1, drop
    return _write(_leave_out(describe(scene), rng, drop), rng.choice)


def parse(text: str) -> Description:
    """Read a caption, or any prompt: unknown words are passed over, the first naming counts."""
    tokens = re.findall(r"[a-z]+|[,;.]", text.lower())
    ground, time = (_first(tokens, attribute) for attribute in ("ground", "time"))
    things = tuple(thing for part in _parts(tokens) if (thing := _thing(part)) != ThingDescription())
    return Description(things, ground, time)


@cache
def words() -> tuple[str, ...]:
    """Every word that the grammar can write, sorted."""
    phrases = [phrase for options in (*PHRASES.values(), *OWN_VERBS.values()) for phrase in options]
    return tuple(sorted({"a", "and", *" ".join(phrases).split()}))


def _leave_out(description: Description, rng: random.Random, drop: float) -> Description:
    def keep(attribute: str, value: str | None) -> str | None:
        return None if rng.random() < drop * _DROP_SHARE[attribute] else value

    things = tuple(
        replace(
            thing,
            color=keep("color", thing.color),
            size=keep("size", thing.size),
            motion=keep("motion", thing.motion),
        )
        for thing in description.things
    )
    return Description(things, keep("ground", description.ground), keep("time", description.time))


def _write(description: Description, choose: Choose) -> str:
    """Fill one of the word orders: `0` and `1` are the things, `g` the ground, `t` the time."""
    parts = {str(index): _write_thing(thing, choose) for index, thing in enumerate(description.things)}
    parts |= {"&": "and", "g": _phrase(description.ground, choose), "t": _phrase(description.time, choose)}
    orders = ("0gt", "0tg", "t0g") if len(description.things) == 1 else ("0&1gt", "0gt&1", "t0&1g", "0g&1t")
    return " ".join(parts[symbol] for symbol in choose(orders) if parts[symbol])


def _write_thing(thing: ThingDescription, choose: Choose) -> str:
    article = choose(("a", "a", "a", ""))
    nouns = (_phrase(value, choose) for value in (thing.size, thing.color, thing.kind))
    verbs = PHRASES[thing.motion] if thing.motion else ("",)
    if thing.motion in ("left", "right"):
        verbs += tuple(f"{verb} {thing.motion}" for verb in OWN_VERBS.get(thing.kind or "", ()))
    return " ".join(filter(None, (article, *nouns, choose(verbs))))


def _phrase(value: str | None, choose: Choose) -> str:
    return choose(PHRASES[value]) if value else ""


@cache
def _lexicon(attribute: str) -> dict[str, str]:
    """Word -> the value of `attribute` that it names."""
    return {word: value for value in VALUES[attribute] for word in READINGS[value].split()}


def _first(tokens: list[str], attribute: str) -> str | None:
    lexicon = _lexicon(attribute)
    return next((lexicon[token] for token in tokens if token in lexicon), None)


def _parts(tokens: list[str]) -> list[list[str]]:
    """Cut the text into one part for each noun, at the boundaries that a noun follows."""
    nouns = _lexicon("kind")
    parts: list[list[str]] = [[]]
    for start, stop in _spans(tokens):
        span = tokens[start:stop]
        if nouns.keys() & span and nouns.keys() & parts[-1]:
            parts.append([])
        parts[-1] += span
    return parts


def _spans(tokens: list[str]) -> list[tuple[int, int]]:
    starts = [0, *(index for index, token in enumerate(tokens) if token in _BOUNDARY)]
    return list(zip(starts, [*starts[1:], len(tokens)], strict=True))


def _thing(part: list[str]) -> ThingDescription:
    # In "over green grass" the color is the ground's.
    grounds = _lexicon("ground")
    own = [token for token, after in pairwise([*part, ""]) if after not in grounds]
    kind, color, size, motion = (_first(own, name) for name in ("kind", "color", "size", "motion"))
    return ThingDescription(kind, color, size, motion)
