"""Recipes of the small families: all but their networks, and what is learnt of those, is alike."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

import torch

from kineograph import catalog
from kineograph.errors import ModelError
from kineograph.models.prompted import LatentConfig, LatentFamily, LatentNetworks, encoder_hash
from kineograph.models.tokenizer import Tokenizer
from kineograph.training.loop import TrainConfig
from kineograph.training.optim import OptimConfig
from kineograph.training.recipe import WORLD, Recipe, Stage, grid_rules


def tokenizer_of(config: LatentConfig) -> Tokenizer:
    """The tokenizer that a model of this config rests on, in full precision.

    Raises:
        ModelError: the model that has it is not there, or has another one by now.
    """
    found: Any = catalog.load(config.tokenizer_of)
    tokenizer: Tokenizer = found.networks.tokenizer.cpu().float()
    if config.encoder_hash not in ("", encoder_hash(tokenizer)):
        raise ModelError(f"{config.tokenizer_of} has another tokenizer by now: begin in another --out.")
    return tokenizer


def text_stage() -> Stage:
    """What captions say, by itself."""
    return Stage(128, TrainConfig(steps=1500, minutes=1, optim=OptimConfig(rate=2e-3, muon=(), warmup=50)))


@dataclass(frozen=True)
class FamilyRecipe(Recipe):
    """A model of latents and captions; `network` is its config, but for the words. Each stage of its family
    has a field `NAME_stage`; what its loss is made of is in `loss`."""

    world: str = "small"
    latents: int = 8192
    network: LatentConfig = field(default_factory=LatentConfig)
    text_stage: Stage = field(default_factory=text_stage)
    loss: Any = None

    @property
    @abstractmethod
    def kind(self) -> LatentFamily[Any, Any, Any]:
        """The family's networks, objectives and model."""

    def objectives(self, stage: str, networks: LatentNetworks[Any]) -> list[Any]:
        """What the networks learn by in a stage."""
        return self.kind.objectives[stage](networks, self.loss)

    @property
    def family(self) -> str:
        return self.kind.name

    @property
    def grid(self) -> tuple[int, int, int]:
        return self.network.grid

    @property
    def stages(self) -> dict[str, Stage]:
        """The text first, where captions are the world's and no model is there that knows them."""
        names = [f.name.removesuffix("_stage") for f in fields(self) if f.name.endswith("_stage")]
        learnt = [name for name in names if name != "text" or (self.data == WORLD and not self.init)]
        return {name: getattr(self, f"{name}_stage") for name in learnt}

    def fits(self, config: LatentConfig) -> bool:
        return _nameless(self.network) == _nameless(config)

    def starting_from(self, config: LatentConfig) -> Self:
        taken: dict[str, Any] = {"network": _nameless(config)}
        return replace(self, **taken)

    def rules(self) -> Iterator[tuple[bool, str]]:
        yield from grid_rules("network.grid", self.grid)
        yield from loss_rules(asdict(self.loss))

    def try_networks(self) -> None:
        config = replace(self.network, words=("a",))
        networks = self.kind.networks(config)
        groups, height, width = config.grid
        batch = {
            "latents": torch.randn(2, groups, config.channels, height, width),
            "caption": torch.zeros(2, config.text_length, dtype=torch.long),
        }
        for stage in self.kind.objectives:
            for objective in self.objectives(stage, networks):
                objective.loss(batch, torch.Generator().manual_seed(0))


WEIGHTS = ("beta", "free", "lead", "looks", "gamma", "mismatched", "decouple")


def loss_rules(loss: Mapping[str, float]) -> Iterator[tuple[bool, str]]:
    """What must hold of what a loss is made of: but for weights, draws and places in time, it is shares."""
    for name, value in loss.items():
        if name in WEIGHTS:
            yield 0 <= value < math.inf, f"loss.{name} must be 0 or more, not {value:g}."
        elif name == "draws":
            yield value >= 1, f"loss.draws must be at least 1, not {value}."
        elif name != "location":
            yield 0 <= value <= 1, f"loss.{name} must be from 0 to 1, not {value:g}."


def _nameless(config: LatentConfig) -> LatentConfig:
    """The config without what its clips decide."""
    return replace(config, words=(), fps=0.0)
