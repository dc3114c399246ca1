"""Drawing clips of the world with all of their truth, as a training does it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.report import Row
from benchmarks.setup import Setup
from benchmarks.timing import measure
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import sample_scenes

CLIPS = 64  # at once


def rows(setup: Setup) -> Iterator[Row]:
    """At the recipe's size and at half of it."""
    scenes, frames, size = sample_scenes(CLIPS, seed=0), setup.recipe.frames, setup.recipe.size
    jobs = {
        f"{frames} frames of {side}x{side}": partial(render, scenes, frames, side)
        for side in (size, size // 2)
    }
    for name, measured in measure(jobs, setup.effort).items():
        yield Row(name, measured, CLIPS, "clips", f"{CLIPS} at once")
