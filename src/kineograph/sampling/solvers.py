"""Solvers of dz/dt = v(z, t): functions of a velocity, yielding the state after every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
Solver = Callable[[Velocity, Tensor, Sequence[float]], Iterator[Tensor]]


def euler(velocity: Velocity, z: Tensor, times: Sequence[float]) -> Iterator[Tensor]:
    """First order, one evaluation a step."""
    for now, then in pairwise(times):
        z = z + (then - now) * velocity(z, now)
        yield z


def heun(velocity: Velocity, z: Tensor, times: Sequence[float]) -> Iterator[Tensor]:
    """Second order, two evaluations a step (Karras et al. 2022, Algorithm 1); the last step is Euler's."""
    for now, then in pairwise(times):
        slope = velocity(z, now)
        ahead = z + (then - now) * slope
        if then < times[-1]:
            slope = (slope + velocity(ahead, then)) / 2
            ahead = z + (then - now) * slope
        z = ahead
        yield z


def multistep(velocity: Velocity, z: Tensor, times: Sequence[float]) -> Iterator[Tensor]:
    """Second order, one evaluation a step: Adams-Bashforth with uneven steps, begun and ended by Euler,
    as a last step that looks back overshoots where it is long."""
    before: Tensor | None = None
    length_before = 0.0
    for now, then in pairwise(times):
        slope, length = velocity(z, now), then - now
        if before is None or then == times[-1]:
            z = z + length * slope
        else:
            z = z + length * (slope + length / (2 * length_before) * (slope - before))
        before, length_before = slope, length
        yield z


SOLVERS: dict[str, Solver] = {"euler": euler, "heun": heun, "multistep": multistep}


def evaluations(solver: str, steps: int) -> int:
    """How many times `solver` calls the velocity in `steps` steps."""
    return 2 * steps - 1 if solver == "heun" else steps
