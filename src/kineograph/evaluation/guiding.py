"""Does a clip go the way that its guides ask? The world renders what is asked for; detectors read the clip.

The caption leaves open what the guide is to tell: how things move, or, for a camera, how that does. Clips of
the same captions without the guide show what chance does; the rendered truth, rebuilt from latents, is the
ceiling. How it is measured: `obedience`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from kineograph.canvas import Canvas
from kineograph.data.lessons import GROUP, lessons
from kineograph.evaluation.adherence import SEED
from kineograph.evaluation.figures import Figure, Values
from kineograph.evaluation.making import fill, rebuild, text_canvases
from kineograph.evaluation.obedience import MEASURES, Asked, Measure, Read, asked_of, see
from kineograph.models.family import Model
from kineograph.video import Frames
from kineograph.worlds.captions import describe, left_open, sentence
from kineograph.worlds.holdout import training_scenes
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import FULL, SMALL, World

Found = dict[tuple[Read, str], list[Values]]  # what is read, and of which clips


# Scenes


@dataclass(frozen=True)
class Ground:
    """Scenes of a world, and the kinds of guides that are tried on them."""

    name: str
    kinds: tuple[str, ...]
    draw: Callable[[int, World], list[Scene]]
    world: World = FULL

    def scenes(self, count: int) -> list[Scene]:
        """So many, always the same."""
        return self.draw(count, self.world)


def _any(count: int, world: World) -> list[Scene]:
    return training_scenes(count, SEED, world=world)


def _with_robots(count: int, world: World) -> list[Scene]:
    return _chosen(count, world, lambda scene: any(thing.kind == "robot" for thing in scene.things))


def _filmed(count: int, world: World) -> list[Scene]:
    return _chosen(count, world, lambda scene: scene.camera != "static")


def _chosen(count: int, world: World, fits: Callable[[Scene], bool]) -> list[Scene]:
    """The first `count` scenes that fit."""
    drawn = count
    while len(found := list(filter(fits, _any(drawn, world)))) < count:
        drawn *= 2
    return found[:count]


def _played(count: int, world: World) -> list[Scene]:
    return [lesson.scene for lesson in lessons(GROUP * count, SEED, world) if lesson.scene.actions]


GROUNDS = (
    Ground("things", ("tracks", "boxes", "depth", "edges"), _any),
    Ground("robots", ("pose",), _with_robots),
    Ground("cameras", ("camera",), _filmed),
    Ground("actions", ("actions",), _played),
    Ground("actions of the small world", ("actions",), _played, SMALL),
)


def captions_without(kinds: Sequence[str], scenes: Sequence[Scene], world: World) -> list[str]:
    """A caption for each scene that leaves open what these guides tell, always the same one."""
    draws = (random.Random(f"{SEED}/{index}") for index in range(len(scenes)))
    told = {"camera" if "camera" in kinds else "motion"}
    said = [left_open(describe(scene, world), told) for scene in scenes]
    return [sentence(one, rng, world) for one, rng in zip(said, draws, strict=True)]


# The whole


@dataclass(frozen=True)
class Control:
    """One measure of one kind of guide: clips made with it, clips made from the same captions without it, and
    as ceiling the truth rebuilt from latents. For `unit` see `Measure`."""

    guide: str
    measure: str
    unit: str
    model: Figure
    unguided: Figure
    ceiling: Figure | None


def ways_of(ground: Ground, abilities: AbstractSet[str]) -> int:
    """How many clips are made and read for each scene; 0 if no guide can be tried."""
    kinds = [kind for kind in ground.kinds if kind in abilities]
    return len(kinds) + 1 + ("inpainting" in abilities) if kinds else 0  # which rebuilds the truth


def measure_control(
    ground: Ground, count: int, model: Model, batch: int
) -> Generator[int, None, tuple[Control, ...]]:
    """Guide clips of `count` scenes, the i-th with the random seed i, by every kind that the model knows;
    yields how many it has just made and read."""
    kinds = [kind for kind in ground.kinds if kind in model.spec.abilities]
    scenes = ground.scenes(count)
    captions = captions_without(kinds, scenes, ground.world)
    found: Found = {}
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        true, asked = asked_of(scenes[part], model.spec)
        plain = text_canvases(captions[part], model.spec)
        for way, clips in _made(kinds, plain, asked, true, model, start):
            seen = see(clips, model.spec.fps)
            for read in _reads([way] if way in kinds else kinds):
                found.setdefault((read, way), []).extend(map(read, asked, seen))
            yield len(clips)
    return tuple(_control(kind, measure, found) for kind in kinds for measure in MEASURES[kind])


def _made(
    kinds: Sequence[str],
    plain: Sequence[Canvas],
    asked: Sequence[Asked],
    true: Frames,
    model: Model,
    seed: int,
) -> Iterator[tuple[str, Frames]]:
    """Clips with each kind of guide, `unguided` ones, and, for `ceiling`, the truth rebuilt."""
    for kind in kinds:
        told = [replace(c, guides={kind: a.guide(kind)}) for c, a in zip(plain, asked, strict=True)]
        yield kind, fill(told, model, seed=seed).frames
    yield "unguided", fill(plain, model, seed=seed).frames
    if (rebuilt := rebuild(true, model)) is not None:
        yield "ceiling", rebuilt


def _reads(kinds: Sequence[str]) -> list[Read]:
    return list(dict.fromkeys(measure.read for kind in kinds for measure in MEASURES[kind]))


def _control(kind: str, measure: Measure, found: Found) -> Control:
    def figure(way: str) -> Figure:
        return measure.figure(np.stack(found[measure.read, way]))

    ceiling = figure("ceiling") if (measure.read, "ceiling") in found else None
    return Control(kind, measure.name, measure.unit, figure(kind), figure("unguided"), ceiling)
