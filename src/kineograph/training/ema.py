"""An exponential moving average of a model's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """Keeps `average` close to `model`: average <- d average + (1 - d) model, d warmed up with the step."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.parameters()), list(model.parameters()), 1 - decay)
        for ours, theirs in zip(self.average.buffers(), model.buffers(), strict=True):
            ours.copy_(theirs)
