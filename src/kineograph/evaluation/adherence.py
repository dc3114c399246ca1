"""Does the model show what the prompt says? Detectors read its clips, and the same detectors set the ceiling.

The ceiling is what they read from rebuilt clips: the rendered truth of the same scenes, into latents and
back. No generator shows more than its latents hold, so what a model reaches is told as a share of that too.
"""

from __future__ import annotations

import math
import random
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from kineograph.evaluation.figures import Figure, Values, bootstrap, share
from kineograph.evaluation.frechet import Features, features
from kineograph.evaluation.making import draw, fill, rebuild, text_canvases
from kineograph.evaluation.metrics import thumbnails
from kineograph.models.family import Model
from kineograph.video import Frames
from kineograph.worlds.captions import caption, parse
from kineograph.worlds.detectors import detect
from kineograph.worlds.holdout import Objects, held_out_scenes, training_scenes
from kineograph.worlds.matching import score
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import FULL, SMALL, World

SEED = 90_001  # of the scenes to evaluate on; no training uses it
MOST_FULL = 128  # clips of a cell of the full world, of which each takes seconds to read

Verdict = dict[str, bool]


@dataclass(frozen=True)
class Cell:
    """Scenes of so many things (None: any number) of a world, either like those of the training or of
    combinations held out from it."""

    objects: Objects
    held_out: bool
    world: World = SMALL

    @property
    def name(self) -> str:
        things = NUMBERS[self.objects]
        combinations = "held-out combinations" if self.held_out else "seen combinations"
        if self.world == SMALL:
            return f"{things}, {combinations}"
        return f"full world, {combinations if self.held_out else things}"

    def clips(self, count: int) -> int:
        """How many of `count` clips are made."""
        return count if self.world == SMALL else min(count, MOST_FULL)

    def scenes(self, count: int, seed: int = SEED) -> list[Scene]:
        draw_scenes = held_out_scenes if self.held_out else training_scenes
        return draw_scenes(count, seed, self.objects, self.world)


NUMBERS: Mapping[Objects, str] = MappingProxyType(
    {1: "one thing", 2: "two things", 3: "three things", None: "any things"}
)
CELLS = (
    Cell(1, False),
    Cell(1, True),
    Cell(2, False),
    Cell(2, True),
    Cell(1, False, FULL),
    Cell(2, False, FULL),
    Cell(3, False, FULL),
    Cell(None, True, FULL),
)


@dataclass(frozen=True)
class Adherence:
    """For each named attribute, for `count` and for `all`, the share of a cell's clips that show it right.

    `model` is of the clips made from captions, `rebuilt` (the ceiling) and `truth` of the rendered truth.
    `of_ceiling` is the model's share of clips with all right, over the ceiling's.
    """

    cell: str
    model: dict[str, Figure]
    rebuilt: dict[str, Figure] | None
    truth: dict[str, Figure]
    of_ceiling: Figure


@dataclass
class Judged:
    """What the detectors found in a cell, clip by clip, thumbnails of what was made and of the truth, and
    features of what was made."""

    model: list[Verdict] = field(default_factory=list)
    rebuilt: list[Verdict] = field(default_factory=list)
    truth: list[Verdict] = field(default_factory=list)
    made_points: list[NDArray[np.float32]] = field(default_factory=list)
    true_points: list[NDArray[np.float32]] = field(default_factory=list)
    made_features: list[Features] = field(default_factory=list)


def captions_of(scenes: Sequence[Scene], world: World = SMALL) -> list[str]:
    """A caption for each scene that names everything, always the same one."""
    draws = (random.Random(f"{SEED}/{index}") for index in range(len(scenes)))
    return [caption(scene, rng, drop=0.0, world=world) for scene, rng in zip(scenes, draws, strict=True)]


def judge_cell(cell: Cell, count: int, model: Model, batch: int) -> Generator[int, None, Judged]:
    """Make and read `count` clips, the i-th with the random seed i; yields how many it has just done."""
    scenes = cell.scenes(count)
    captions = captions_of(scenes, cell.world)
    judged = Judged()
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        true = draw(scenes[part], model.spec).frames.numpy()
        made = fill(text_canvases(captions[part], model.spec), model, seed=start).frames
        rebuilt = rebuild(true, model)
        judged.model += judge(captions[part], made, model.spec.fps, cell.world)
        judged.truth += judge(captions[part], true, model.spec.fps, cell.world)
        if rebuilt is not None:
            judged.rebuilt += judge(captions[part], rebuilt, model.spec.fps, cell.world)
        judged.made_points.append(thumbnails(made))
        judged.true_points.append(thumbnails(true))
        judged.made_features.append(features(made))
        yield len(made)
    return judged


def judge(captions: Sequence[str], clips: Frames, fps: float, world: World = SMALL) -> list[Verdict]:
    """Which of the attributes that each caption names its clip shows right, both read as of a world."""
    found = detect(clips, fps, world)
    return [score(parse(text, world), detection) for text, detection in zip(captions, found, strict=True)]


def adherence(cell: Cell, judged: Judged) -> Adherence:
    """The figures of a cell."""
    return Adherence(
        cell=cell.name,
        model=shares(judged.model),
        rebuilt=shares(judged.rebuilt) if judged.rebuilt else None,
        truth=shares(judged.truth),
        of_ceiling=of_ceiling(judged.model, judged.rebuilt or judged.truth),
    )


def shares(verdicts: Iterable[Verdict]) -> dict[str, Figure]:
    """For each attribute the share that is right of those that are named."""
    named: dict[str, list[bool]] = {}
    for verdict in verdicts:
        for name, right in verdict.items():
            named.setdefault(name, []).append(right)
    return {name: share(sum(rights), len(rights)) for name, rights in named.items()}


def of_ceiling(model: Sequence[Verdict], ceiling: Sequence[Verdict]) -> Figure:
    """How many clips the model gets all right, over how many the ceiling does; NaN if that is none."""
    pairs = np.array([(m["all"], c["all"]) for m, c in zip(model, ceiling, strict=True)], float)
    return bootstrap(_ratio, pairs)


def _ratio(pairs: Values) -> float:
    made, possible = pairs.sum(axis=0)
    return float(made / possible) if possible else math.nan
