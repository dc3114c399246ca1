"""What a model learns from: scenes of the rendered world, some in pairs that differ in one thing alone.

Half of all lessons come two by two: the same scene with another style, ground or colour, or with a thing more
or less. From those, edits are learnt. One of eight shows a thing that somebody controls.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from kineograph.worlds.actions import ACTIONS, play
from kineograph.worlds.captions import COMMON, caption, caption_of_plate
from kineograph.worlds.holdout import is_held_out, training_scenes
from kineograph.worlds.pairs import LOOKS, partner
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import FULL, World

# Weather, style and camera are as in the small world: what most prompts mean that don't speak of them.
CALM = replace(FULL, name="calm", weathers=("clear",), styles=("plain",), cameras=("static",))
DROP = 0.15  # how often a caption leaves an attribute open
EDGES = 0.1, 0.9  # between which things that somebody controls stay, in fractions of the width
GROUP = 8  # lessons drawn together, of which PAIRS are pairs and one is played
PAIRS = 2
SCENES = GROUP - PAIRS
LAST_ACTIONS = 16
STANDING = ("still", "bounces", "jumps", "left", "right")  # motions that begin on the ground

# How a pair differs, and how often, where the world has a choice. "fewer" leaves a thing out, "plate" all of
# them, in the full world alone.
CHANGES = {
    "style": 5,
    "color": 3,
    "kind": 3,
    "ground": 3,
    "time": 3,
    "weather": 2,
    "size": 1,
    "fewer": 5,
    "plate": 6,
}


@dataclass(frozen=True)
class Lesson:
    """A scene and what is said of it; without `things`, the scene's plate. `partner` is how many lessons
    further (1) or before (-1) its partner stands, 0 if it has none."""

    scene: Scene
    caption: str
    things: bool = True
    partner: int = 0


def lessons(count: int, seed: int, world: World = FULL) -> list[Lesson]:
    """The first `count` lessons about a world; a smaller count gives the first of them, the last of which has
    no partner if that is left out. No scene is a held-out one."""
    drawn = _scenes(SCENES * -(-count // GROUP), seed, world)
    groups = (drawn[start : start + SCENES] for start in range(0, len(drawn), SCENES))
    rows = (_group(scenes, random.Random(f"{seed}/{n}"), world) for n, scenes in enumerate(groups))
    found = list(islice(chain.from_iterable(rows), count))
    if found and found[-1].partner == 1:  # which the count has cut off
        found[-1] = replace(found[-1], partner=0)
    return found


def _scenes(count: int, seed: int, world: World) -> list[Scene]:
    """Scenes of a world; of the full one every other is calm."""
    if world != FULL:
        return training_scenes(count, seed, world=world)
    calm, rich = (training_scenes(count // 2, seed + offset, world=half) for offset, half in _HALVES)
    return [scene for pair in zip(calm, rich, strict=True) for scene in pair]


_HALVES = ((0, CALM), (1000, FULL))


def _group(scenes: Sequence[Scene], rng: random.Random, world: World) -> Iterator[Lesson]:
    """Two pairs, three single scenes and one that is played, of six scenes."""
    for scene in scenes[:PAIRS]:
        yield from _pair(scene, rng, world)
    for scene in scenes[PAIRS:-1]:
        yield Lesson(scene, _said(scene, rng, world))
    played = _anywhere(_played(scenes[-1], rng), rng)
    yield Lesson(played, _said(played, rng, world))


def _said(scene: Scene, rng: random.Random, world: World, keep: str | None = None) -> str:
    return caption(scene, rng, DROP, world, keep=keep, common=COMMON)


def _pair(scene: Scene, rng: random.Random, world: World) -> Iterator[Lesson]:
    """A scene and its partner, either of them first."""
    changes = {name: often for name, often in CHANGES.items() if world == FULL or name in world.values}
    change = rng.choices(list(changes), list(changes.values()))[0]
    colliding = any(thing.motion == "collides" for thing in scene.things)
    if change == "fewer" and (colliding or len(scene.things) == 1):
        change = "plate"
    one = Lesson(scene, _said(scene, rng, world, change))
    other = _plate(scene, rng) if change == "plate" else _partner(scene, change, rng, world)
    first, second = rng.sample((one, other), 2)
    yield replace(first, partner=1)
    yield replace(second, partner=-1)


def _plate(scene: Scene, rng: random.Random) -> Lesson:
    return Lesson(scene, caption_of_plate(scene, rng, 3 * DROP), things=False)


def _partner(scene: Scene, change: str, rng: random.Random, world: World) -> Lesson:
    changed = scene
    while changed == scene or is_held_out(changed) or not _fits(changed):
        changed = _changed(scene, change, rng, world)
    return Lesson(changed, _said(changed, rng, world, change))


def _changed(scene: Scene, change: str, rng: random.Random, world: World) -> Scene:
    which = rng.randrange(len(scene.things))
    if change == "fewer":
        return replace(scene, things=(*scene.things[:which], *scene.things[which + 1 :]))
    return partner(scene, change, rng.choice(world.values[change]), which if change in LOOKS else 0)


def _fits(scene: Scene) -> bool:
    """Whether the scene could have been drawn: its things can be told apart and move as such things do."""
    looks = {(thing.kind, thing.color) for thing in scene.things}
    moves = {(thing.kind, thing.motion) for thing in scene.things}
    return len(looks) == len(scene.things) and not moves & FULL.unfit


def _played(scene: Scene, rng: random.Random) -> Scene:
    """A thing of the scene, alone on the ground in the middle, that does what somebody says."""
    standing = (thing for thing in scene.things if thing.motion in STANDING)
    hero = next(standing, replace(scene.things[0], y=0.75))
    alone = (replace(hero, motion="still", x=0.5),)
    return replace(scene, things=alone, camera="static", actions=random_actions(rng))


def _anywhere(played: Scene, rng: random.Random) -> Scene:
    """The same, begun anywhere from where the thing stays in the frame: a world that is played goes on from
    wherever the thing has come to."""
    (thing,), path = played.things, play(played.actions).x
    low, high = (edge - reach for edge, reach in zip(EDGES, (min(path), max(path)), strict=True))
    return replace(played, things=(replace(thing, x=rng.uniform(low, high)),))


def random_actions(rng: random.Random, ticks: int = LAST_ACTIONS) -> tuple[str, ...]:
    """What somebody might do: runs and rests of one to six ticks, and leaps."""
    done: list[str] = []
    while len(done) < ticks:
        action = rng.choice(ACTIONS)
        done += [action] * (1 if action == "jump" else rng.randint(1, 6))
    return tuple(done[:ticks])
