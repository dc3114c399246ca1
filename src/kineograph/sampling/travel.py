"""Prompts that change on the way: how much each counts in a frame, and the mixture of their velocities.

P prompts, B clips, t latent frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def shares(stops: Tensor, frames: Tensor) -> Tensor:
    """Linear interpolation between stops (P, B), which grow, at frames (B, t): the weight (P, B, t) of each.

    Before the first and after the last that one counts alone; of equal stops the last counts.
    """
    before, after = stops[:-1, :, None], stops[1:, :, None]
    on_the_way = ((frames - before) / (after - before)).clamp(0, 1)  # from each to the next
    passed = torch.where(after > before, on_the_way, (frames >= after).to(stops))
    edge = passed.new_zeros(1, *frames.shape)
    return torch.cat([edge + 1, passed]) - torch.cat([passed, edge])


def mixed(weights: Tensor, values: Sequence[Tensor]) -> Tensor:
    """The sum of P values (B, t, ...), each times its weight in (P, B, t, 1, ...)."""
    return torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum(dim=0)
