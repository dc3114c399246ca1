"""Editing without inversion: a clip is led from what it shows to what a prompt describes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from kineograph.sampling.solvers import Velocity


def edited(target: Velocity, source: Velocity, clip: Tensor, noise: Callable[[], Tensor]) -> Velocity:
    """The velocity that leads `clip` to what `target` describes (FlowEdit, arXiv 2412.08629, algorithm 1).

    At each time the clip and what has become of it are mixed with the same fresh noise; what the velocities
    of the two prompts have in common, such as where things are and how they move, cancels out.

    Args:
        target, source: the velocities under the prompt of the result and under that of the clip.
        clip: clean latents; a solver starts from them.
        noise: draws noise of their shape.
    """

    def lead(z: Tensor, time: float) -> Tensor:
        before = time * clip + (1 - time) * noise()
        return target(z + before - clip, time) - source(before, time)

    return lead
