"""Rendered clips of a prompt, to compare with what a model makes: some groups are less sharp by nature."""

from __future__ import annotations

from dataclasses import replace

from kineograph.evaluation.audit.scoring import SEED, THING
from kineograph.evaluation.audit.statistics import sharpness
from kineograph.evaluation.making import draw
from kineograph.models.family import Spec
from kineograph.worlds.captions import SETTING, parse
from kineograph.worlds.holdout import training_scenes
from kineograph.worlds.world import World

EACH = 8  # clips of a prompt


def true_sharpness(prompt: str, world: World, spec: Spec) -> float | None:
    """The mean sharpness of rendered clips that show what the prompt says, and else vary; None if it doesn't
    name one kind of thing of the world."""
    said = parse(prompt, world)
    if len(said.things) != 1 or said.things[0].kind is None:
        return None
    looks = {name: value for name in THING if (value := getattr(said.things[0], name)) is not None}
    setting = {name: value for name in SETTING if (value := getattr(said, name)) is not None}
    scenes = [
        replace(scene, things=(replace(scene.things[0], **looks),), **setting)
        for scene in training_scenes(EACH, SEED, 1, world)
    ]
    return float(sharpness(draw(scenes, spec).frames.numpy()).mean())
