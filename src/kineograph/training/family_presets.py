"""Presets of the small families: what each learns, and how, in about twelve minutes on two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from kineograph.models import small_diffusion
from kineograph.models.prompted import LatentFamily
from kineograph.models.small_diffusion import SmallDiffusionConfig
from kineograph.training.family_recipe import FamilyRecipe
from kineograph.training.loop import TrainConfig
from kineograph.training.optim import OptimConfig
from kineograph.training.recipe import Stage

HOME = "playground"  # the model that has the tokenizer
MINUTES = 11  # beside the captions' one


def _flow_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("blocks", "low", "down", "up"), weight_decay=0.01, warmup=200)
    return Stage(64, TrainConfig(minutes=MINUTES, optim=optim, compile=True), canvas=8)


@dataclass(frozen=True)
class SmallDiffusionRecipe(FamilyRecipe):
    """A small diffusion model."""

    network: SmallDiffusionConfig = field(default_factory=lambda: SmallDiffusionConfig(tokenizer_of=HOME))
    flow_stage: Stage = field(default_factory=_flow_stage)

    @property
    def kind(self) -> LatentFamily[Any, Any, Any]:
        return small_diffusion.FAMILY


def diffusion_small() -> SmallDiffusionRecipe:
    """A flow in a transformer, as the flagship's."""
    return SmallDiffusionRecipe("diffusion-small", preset="diffusion-small")


def unet() -> SmallDiffusionRecipe:
    """The same in a factorised U-Net."""
    transformer = diffusion_small()
    network = replace(transformer.network, network="unet")
    return replace(transformer, name="unet", preset="unet", network=network)
