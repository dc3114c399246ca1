"""Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598): a function of velocities alone."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from kineograph.sampling.solvers import Velocity

Both = Callable[[Tensor, float], tuple[Tensor, Tensor]]


def guided(velocity: Velocity, both: Both, scale: Tensor | None, interval: tuple[float, float]) -> Velocity:
    """v0 + scale (v - v0) at times within `interval` (arXiv 2404.07724), plain v elsewhere and without a
    `scale` (B,).

    `both` gives the velocities with and without the prompt, evaluated together; `velocity` the first alone.
    """

    def push(z: Tensor, time: float) -> Tensor:
        if scale is None or not interval[0] <= time <= interval[1]:
            return velocity(z, time)
        return pushed(*both(z, time), scale)

    return push


def pushed(with_prompt: Tensor, without: Tensor, scale: Tensor) -> Tensor:
    """Values (B, ...) pushed away from those without the prompt, each row by its scale (B,)."""
    rows = scale.view(-1, *[1] * (without.dim() - 1))
    return without + rows * (with_prompt - without)
