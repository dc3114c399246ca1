"""Training: clips to latents, and steps of the tokenizer and of the flow through the real loop."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.report import Row
from benchmarks.setup import Setup, networks_of
from benchmarks.timing import Effort, best_device, flops_of, measure_one
from kineograph.data.latents import encode_parts
from kineograph.heap import keep_freed
from kineograph.models.flow import DiffusionConfig, FlowLoss, FlowObjective
from kineograph.models.guides import TELL_OF, untold
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import Tokenizer, TokenizerObjective
from kineograph.training.loop import Trainer, TrainStep
from kineograph.training.presets import DiffusionRecipe
from kineograph.training.recipe import Stage
from kineograph.training.run import Learner

ENCODED = 32  # clips at once
FOREVER = 10**9  # steps before a checkpoint is due


@dataclass(frozen=True)
class Repeated:
    """The same batch at every step: its contents don't matter to the speed."""

    values: dict[str, Tensor]

    def batch(self, step: int) -> dict[str, Tensor]:
        return self.values


def rows(setup: Setup) -> Iterator[Row]:
    """Rates at the batch sizes of the recipe, with memory asked for as `kineo train` asks for it."""
    keep_freed()
    recipe, effort = setup.recipe, setup.effort
    networks = networks_of(recipe).to(best_device())
    yield _encoding(networks.tokenizer, recipe, effort)
    learner = Learner(networks.tokenizer, [TokenizerObjective(networks.tokenizer)], [])
    yield _steps("tokenizer", learner, _clips(recipe), recipe.tokenizer_stage, effort)
    moved = nn.ModuleDict({"denoiser": networks.denoiser, "text": networks.text})
    objective = FlowObjective(networks, FlowLoss(push=recipe.push))
    learner = Learner(moved, [objective], [networks.denoiser, networks.text])
    yield _steps("flow", learner, _latents(recipe, networks.config), recipe.flow_stage, effort)


def _frames(recipe: DiffusionRecipe, clips: int) -> Tensor:
    return torch.randint(0, 256, (clips, recipe.frames, recipe.size, recipe.size, 3), dtype=torch.uint8)


def _encoding(tokenizer: Tokenizer, recipe: DiffusionRecipe, effort: Effort) -> Row:
    part = {"frames": _frames(recipe, ENCODED)}, [""] * ENCODED

    def encode() -> None:
        for _ in encode_parts(tokenizer, iter([part])):
            pass

    measured = measure_one(encode, effort, flops_of(encode))
    return Row("encoding to latents", measured, ENCODED, "clips", f"{ENCODED} at once")


def _clips(recipe: DiffusionRecipe) -> Repeated:
    frames = _frames(recipe, recipe.tokenizer_stage.batch)
    return Repeated({"frames": frames, "focus": torch.randint(0, 2, frames.shape[:-1], dtype=torch.uint8)})


def _latents(recipe: DiffusionRecipe, config: DiffusionConfig) -> Repeated:
    stage, grid, channels = recipe.flow_stage, config.denoiser.grid, config.denoiser.channels
    return Repeated(
        {
            "latents": torch.randn(stage.batch, grid[0], channels, *grid[1:]),
            "caption": torch.randint(len(config.words), (stage.batch, config.text_length)),
            "open": torch.randint(len(config.words), (stage.guided, len(TELL_OF), config.text_length)),
            "frames": _frames(recipe, stage.canvas),
            **{kind: value.nan_to_num(0.5) for kind, value in untold(stage.guided, grid, channels).items()},
        }
    )


def _steps(name: str, learner: Learner, data: Repeated, stage: Stage, effort: Effort) -> Row:
    """Operations are those of forward and backward, without the optimizer's."""
    config = replace(stage.train, steps=FOREVER, minutes=math.inf, checkpoint_every=FOREVER)
    flops = _flops(learner, data)
    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(learner, data, config, Path(out) / name)
        with closing(cast(Generator[TrainStep, None, None], trainer.run())) as steps:
            measured = measure_one(partial(next, steps), effort, flops)
    how = "compiled where it can be" if stage.train.compile and learner.hot else "eager"
    return Row(f"{name}, a step", measured, 1, "steps", f"{stage.batch} clips a step, {how}")


def _flops(learner: Learner, data: Repeated) -> float:
    device = best_device()
    batch = {key: value.to(device) for key, value in data.values.items()}

    def forward_and_backward() -> None:
        for objective in learner.objectives:
            with autocast(device):
                loss, _ = objective.loss(batch, torch.Generator())
            loss.backward()  # type: ignore[no-untyped-call]

    flops = flops_of(forward_and_backward)
    learner.module.zero_grad()
    return flops
