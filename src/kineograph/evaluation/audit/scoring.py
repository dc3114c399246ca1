"""Scorers: which of some labels a clip shows. What no scorer reads is not guessed.

N clips of T frames, H x W pixels: (N, T, H, W, 3) uint8; L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from kineograph.evaluation.audit.statistics import distribution, total_variation
from kineograph.evaluation.figures import Figure, Values, share
from kineograph.evaluation.making import draw
from kineograph.models.family import Spec
from kineograph.video import Frames
from kineograph.worlds.detectors import Detection, detect
from kineograph.worlds.holdout import training_scenes
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import World

SEED = 90_002  # of the scenes on which a scorer's own error is measured; no training uses it
THING = ("kind", "color", "size", "motion")  # attributes of a thing; the others are of the scene
STEADY = ("kind", "color", "ground", "time")  # that can be changed in a scene, which still fits its frame


class Scorer(Protocol):
    """Something that reads clips. `name` is told in the report."""

    @property
    def name(self) -> str: ...

    def reads(self, group: str, labels: Sequence[str]) -> bool:
        """Whether it can tell these labels of a group from one another, and may."""
        ...

    def score(self, frames: Frames, labels: Sequence[str]) -> Values:
        """Probabilities (N, L) of the labels, of sum 1 at most; what is missing shows none of them."""
        ...


@dataclass(frozen=True)
class WorldScorer:
    """The detectors of a rendered world: they say which one label a clip shows, or none."""

    world: World
    fps: float
    name: str = "the world's detectors"

    def reads(self, group: str, labels: Sequence[str]) -> bool:
        return _attribute(labels, self.world) is not None

    def score(self, frames: Frames, labels: Sequence[str]) -> Values:
        attribute = _attribute(labels, self.world)
        assert attribute is not None, labels
        seen = [_shown(found, attribute) for found in detect(frames, self.fps, self.world)]
        return np.array([[float(value == label) for label in labels] for value in seen])


def _attribute(labels: Sequence[str], world: World) -> str | None:
    """The attribute of which all labels are options."""
    named = (name for name, options in world.values.items() if set(labels) <= set(options))
    return next(named, None)


def _shown(found: Detection, attribute: str) -> str | None:
    """What the clearest thing, or the scene, shows."""
    if attribute not in THING:
        return str(getattr(found, attribute))
    return getattr(found.things[0], attribute) if found.things else None


# The scorer's own error


@dataclass(frozen=True)
class Confusion:
    """What a scorer reads from rendered clips whose label is known, equally many of each: row by true label,
    mean probabilities by label. `right` is the share of clips in which the true label is the most probable;
    `bias` the total variation of all that it reads from what is there."""

    labels: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    right: Figure
    bias: float


def confusion(scorer: Scorer, labels: Sequence[str], world: World, spec: Spec, each: int) -> Confusion | None:
    """Show the scorer `each` rendered clips of every label; None where the world can't show these labels
    one in place of another."""
    attribute = _attribute(labels, world)
    if attribute not in STEADY:
        return None
    scenes = training_scenes(each, SEED, 1, world)
    rows = []
    for label in labels:
        shown = [_with(scene, attribute, label) for scene in scenes]
        rows.append(scorer.score(draw(shown, spec).frames.numpy(), labels))
    scores = np.stack(rows)  # (label, clip, probability)
    truth = np.arange(len(labels))[:, None]
    right = int(((scores.argmax(axis=2) == truth) & (scores.sum(axis=2) > 0)).sum())
    read = distribution(scores.reshape(-1, len(labels)))
    return Confusion(
        labels=tuple(labels),
        rows=tuple(tuple(row) for row in scores.mean(axis=1).tolist()),
        right=share(right, scores.shape[0] * scores.shape[1]),
        bias=total_variation(read, [1 / len(labels)] * len(labels)),
    )


def _with(scene: Scene, attribute: str, label: str) -> Scene:
    if attribute not in THING:
        return replace(scene, **{attribute: label})  # type: ignore[arg-type]
    thing = replace(scene.things[0], **{attribute: label})  # type: ignore[arg-type]
    return replace(scene, things=(thing, *scene.things[1:]))
