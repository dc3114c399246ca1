"""Which run follows which recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kineograph.training.diffusion_run import DiffusionRun
from kineograph.training.family_recipe import FamilyRecipe
from kineograph.training.family_run import FamilyRun
from kineograph.training.presets import DiffusionRecipe
from kineograph.training.recipe import Recipe
from kineograph.training.run import Run


def run_of(recipe: Recipe, out: Path, shards: Path | None = None) -> Run[Any]:
    """The run of a recipe in the folder `out`: see `Run`."""
    if isinstance(recipe, DiffusionRecipe):
        return DiffusionRun(recipe, out, shards)
    assert isinstance(recipe, FamilyRecipe)
    return FamilyRun(recipe, out, shards)
