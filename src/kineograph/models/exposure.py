"""What a network that predicts is shown of the truth, and what of its own predictions.

Reverse scheduled sampling (Wang et al. 2021, arXiv 2103.09504): while the past is read, the truth
is at first kept back in part, so that more than the last step has to be remembered, and later shown whole; as
the future is predicted, it is at first shown in part and later never, as when nobody knows it.

    B clips, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

FIRST, LAST, PACE = 25_000, 50_000, 5_000  # in steps of training, as in the paper's experiments

StateT = TypeVar("StateT")


def reverse_schedule(
    step: float, first: int = FIRST, last: int = LAST, pace: int = PACE
) -> tuple[float, float]:
    """How often the truth is shown in the past and in the future, at a step of training.

    Both are 1/2 up to `first`; from there to `last` the one approaches 1 exponentially, at `pace`, and the
    other falls to 0 evenly.
    """
    if step < first:
        return 0.5, 0.5
    if step >= last:
        return 1.0, 0.0
    return 1 - 0.5 * math.exp(-(step - first) / pace), 0.5 * (last - step) / (last - first)


def draw_shown(past: Tensor, steps: int, chances: tuple[float, float], draw: torch.Generator) -> Tensor:
    """Of which steps the truth is shown, (B, T) bool: with the first of the `chances` in the `past` (B,), a
    number of steps, with the second after it, and always of the first step."""
    at = torch.arange(steps)
    chance = torch.where(at < past[:, None], *chances)
    return (at == 0) | (torch.rand(chance.shape, generator=draw) < chance)


def feed_back(
    x: Tensor,
    shown: Tensor,
    step: Callable[[Tensor, int, StateT], tuple[Tensor, StateT]],
    state: StateT,
) -> Iterator[tuple[Tensor, StateT]]:
    """Yield prediction and state after every step. `step` gets the maps of x (B, T, ...) where `shown` (B, T)
    is true, and always the first, elsewhere what was predicted for them; its number, and the state."""
    made = x[:, 0]
    for number in range(x.shape[1]):
        seen = shown[:, number].view(-1, *[1] * (made.dim() - 1))
        made, state = step(torch.where(seen, x[:, number], made), number, state)
        yield made, state


def mixed(x: Tensor, shown: Tensor, made: Tensor) -> Tensor:
    """x (B, T, ...) where `shown` (B, T) is true, elsewhere what the step before has `made` (B, T, ...)."""
    before = torch.cat([x[:, :1], made[:, :-1]], dim=1)
    return torch.where(shown.view(*shown.shape, *[1] * (x.dim() - 2)), x, before)
