"""Training steps: the tokenizer's and the flow's, at the batch sizes of a recipe, through the real loop."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.report import Row
from benchmarks.timing import Effort, flops_of, measure
from kineograph.models.diffusion import DiffusionConfig, DiffusionNetworks, FlowObjective
from kineograph.models.precision import autocast, compute_dtype
from kineograph.models.tokenizer import TokenizerObjective
from kineograph.training.loop import Trainer
from kineograph.training.presets import Recipe, Stage
from kineograph.training.run import Learner
from kineograph.worlds.captions import words

FOREVER = 10**9  # steps before a checkpoint is due


@dataclass(frozen=True)
class Repeated:
    """The same batch at every step: its contents don't matter to the speed."""

    values: dict[str, Tensor]

    def batch(self, step: int) -> dict[str, Tensor]:
        return self.values


def rows(recipe: Recipe, effort: Effort) -> Iterator[Row]:
    """Steps a second; operations are those of forward and backward, without the optimizer's."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    networks = DiffusionNetworks(DiffusionConfig(tuple(words()), recipe.tokenizer, recipe.denoiser)).to(
        device
    )
    tokenizer = networks.tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = Learner(tokenizer, [TokenizerObjective(tokenizer)], [])
    yield _row("train tokenizer", learner, _clips(recipe), recipe.tokenizer_stage, effort)
    moved = nn.ModuleDict({"denoiser": networks.denoiser, "text": networks.text})
    learner = Learner(moved, [FlowObjective(networks)], [networks.denoiser])
    yield _row("train flow", learner, _latents(recipe, networks.config), recipe.flow_stage, effort)


def _clips(recipe: Recipe) -> Repeated:
    shape = (recipe.tokenizer_stage.batch, recipe.frames, recipe.size, recipe.size)
    frames = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8)
    return Repeated({"frames": frames, "focus": torch.randint(0, 2, shape, dtype=torch.uint8)})


def _latents(recipe: Recipe, config: DiffusionConfig) -> Repeated:
    stage, grid = recipe.flow_stage, config.denoiser.grid
    frames = (stage.canvas, recipe.frames, recipe.size, recipe.size, 3)
    return Repeated(
        {
            "latents": torch.randn(stage.batch, grid[0], config.denoiser.channels, *grid[1:]),
            "caption": torch.randint(len(config.words), (stage.batch, config.text_length)),
            "frames": torch.randint(0, 256, frames, dtype=torch.uint8),
        }
    )


def _row(name: str, learner: Learner, data: Repeated, stage: Stage, effort: Effort) -> Row:
    device = next(learner.module.parameters()).device
    dtype = compute_dtype(device)
    config = replace(stage.train, steps=FOREVER, minutes=math.inf, checkpoint_every=FOREVER)
    flops = _flops(learner, data, device)
    with tempfile.TemporaryDirectory() as out:
        steps = Trainer(learner, data, config, Path(out)).run()
        jobs = {"step": lambda: next(steps)}
        measured = measure(jobs, {"step": flops}, device, dtype, effort)["step"]
        steps.close()  # type: ignore[attr-defined]
    compiled = ", compiled where it can be" if stage.train.compile and learner.hot else ""
    note = f"{stage.batch} clips a step, {str(dtype)[6:]}{compiled}"
    return Row(name, measured, 1, "step", note)


def _flops(learner: Learner, data: Repeated, device: torch.device) -> float:
    batch = {key: value.to(device) for key, value in data.values.items()}

    def forward_and_backward() -> None:
        for objective in learner.objectives:
            with autocast(device):
                loss, _ = objective.loss(batch, torch.Generator())
            loss.backward()  # type: ignore[no-untyped-call]

    flops = flops_of(forward_and_backward)
    learner.module.zero_grad()
    return flops
