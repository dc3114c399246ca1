"""Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598): a function of velocities alone."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from kineograph.sampling.solvers import Velocity

Both = Callable[[Tensor, float], tuple[Tensor, Tensor]]


def guided(velocity: Velocity, both: Both, scale: float, interval: tuple[float, float]) -> Velocity:
    """v0 + scale (v - v0) at times within `interval` (arXiv 2404.07724), plain v elsewhere.

    `both` gives the velocities with and without the prompt, evaluated together; `velocity` the first alone.
    """

    def push(z: Tensor, time: float) -> Tensor:
        if scale == 1.0 or not interval[0] <= time <= interval[1]:
            return velocity(z, time)
        with_prompt, without = both(z, time)
        return without + scale * (with_prompt - without)

    return push
