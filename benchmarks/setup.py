"""What is measured: a recipe's networks at their full size, or tiny ones that only show that it works."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.timing import FULL, QUICK, Effort
from kineograph import catalog
from kineograph.models import diffusion
from kineograph.models.denoiser import DenoiserConfig
from kineograph.models.flow import DiffusionConfig, DiffusionNetworks
from kineograph.models.tokenizer import TokenizerConfig
from kineograph.training.presets import DiffusionRecipe, playground
from kineograph.training.recipe import Stage
from kineograph.worlds.captions import words
from kineograph.worlds.world import FULL as WORLD


@dataclass(frozen=True)
class Setup:
    """The recipe whose training is measured, the folder of the model that makes clips, and how often."""

    recipe: DiffusionRecipe
    model: Path
    effort: Effort


def full(model: str | None, scratch: Path) -> Setup:
    """The shipped model's recipe and the given model: by default the shipped one, if there is one.

    Raises:
        ModelError: there is no such model.
    """
    recipe = playground()
    named = model or (recipe.name if recipe.name in catalog.names() else None)
    folder = catalog.folder_of(named) if named else untrained(recipe, scratch / "untrained")
    return Setup(recipe, folder, FULL)


def quick(scratch: Path) -> Setup:
    """Networks so small, and so few runs, that the figures mean nothing."""
    recipe = playground()
    tiny = replace(
        recipe,
        tokenizer=TokenizerConfig(8, (16, 16, 16), (1, 1, 1), (1, 1, 1)),
        denoiser=DenoiserConfig(8, (2, 4, 4), text_width=16, width=48, hidden=256, depth=2, heads=2),
        tokenizer_stage=_eager(recipe.tokenizer_stage, batch=2, canvas=0),
        flow_stage=_eager(recipe.flow_stage, batch=4, canvas=1, guided=2),
    )
    return Setup(tiny, untrained(tiny, scratch / "untrained"), QUICK)


def _eager(stage: Stage, batch: int, canvas: int, guided: int = 0) -> Stage:
    return replace(
        stage, batch=batch, canvas=canvas, guided=guided, played=0, train=replace(stage.train, compile=False)
    )


def networks_of(recipe: DiffusionRecipe) -> DiffusionNetworks:
    """The recipe's networks with random weights, always the same."""
    torch.manual_seed(0)
    return DiffusionNetworks(DiffusionConfig(tuple(words(WORLD)), recipe.tokenizer, recipe.denoiser))


def untrained(recipe: DiffusionRecipe, folder: Path) -> Path:
    """A model of the recipe's sizes with random weights, which is as fast as a trained one."""
    networks = networks_of(recipe)
    diffusion.save(folder, networks, diffusion.spec_of("untrained", networks.config))
    return folder
