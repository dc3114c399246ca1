"""Few steps instead of many: the flow learns to leap, with guidance folded in.

A leap from the time t to r takes the mean velocity u of the way between: z_r = z_t + (r - t) u(z_t, t, r)
(MeanFlow, arXiv 2505.13447; shortcut models, arXiv 2410.12557). Here u is learnt from a teacher, the flow as
it was, that goes the same way in small guided steps. A clip is leapt from noise to data, and where its own
leaps have come to, there the teacher says how to go on (imitation on the learner's own way, Ross et al. 2011,
arXiv 1011.0686). One set of weights then does both, leaps and the flow.

B clips, t latent frames; see `diffusion` for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kineograph.models.flow import LEAPS, DiffusionNetworks, Drawn, FlowObjective
from kineograph.models.guides import Guides
from kineograph.sampling.guidance import guided
from kineograph.sampling.schedules import times
from kineograph.sampling.solvers import multistep


@dataclass(frozen=True)
class LeapLoss:
    """In `flow` of the steps the flow is learnt as before. The teacher goes the way of a leap in
    `small_steps`, under this much guidance."""

    flow: float = 0.2
    small_steps: int = 3
    guidance: float = 3.0


class LeapObjective:
    """Squared error between the velocity of a leap and the mean one of its teacher's way."""

    def __init__(self, networks: DiffusionNetworks, config: LeapLoss | None = None) -> None:
        self.networks = networks
        self.config = config or LeapLoss()
        self.flow = FlowObjective(networks)
        self.teacher = deepcopy(networks).requires_grad_(False)

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return self.flow.parameters()

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` is as for the flow."""
        if float(torch.rand((), generator=draw)) < self.config.flow:
            loss, _ = self.flow.loss(batch, draw)
            return loss, {"flow": loss.detach()}
        drawn = self.flow.drawn(batch, draw)
        told, length = drawn.told(self.networks.text), drawn.unknown / LEAPS
        z = drawn.at(torch.where(drawn.unknown, 0.0, 1.0))
        errors = []
        for number in range(LEAPS):
            begin = torch.where(drawn.unknown, number / LEAPS, 1.0)
            with torch.no_grad():
                aim = (self._taught(drawn, z, begin, length) - z) * LEAPS
            _, velocity = self.networks.velocity(z, begin, *told, length)
            errors.append((velocity - aim).square().mean(dim=(2, 3, 4)))
            z = z + _wide(length) * velocity.detach()
        error = (torch.stack(errors).mean(dim=0) * drawn.unknown).sum() / drawn.unknown.sum()
        return error, {"leap": error.detach()}

    def _taught(self, drawn: Drawn, z: Tensor, begin: Tensor, length: Tensor) -> Tensor:
        """Where the teacher comes to from z (B, t, C, h, w), at the times `begin` (B, t), after `length`."""
        text = self.teacher.text
        with_prompt, without = (drawn.told(text, prompted=prompted) for prompted in (True, False))

        def slope(z: Tensor, share: float, told: tuple[Tensor, Tensor | None, Guides | None]) -> Tensor:
            _, velocity = self.teacher.velocity(z, begin + share * length, *told)
            return _wide(length) * velocity

        push = guided(
            lambda z, share: slope(z, share, with_prompt),
            lambda z, share: (slope(z, share, with_prompt), slope(z, share, without)),
            self.config.guidance,
            (0.0, 1.0),
        )
        *_, arrived = multistep(push, z, times(self.config.small_steps))
        return arrived


def _wide(values: Tensor) -> Tensor:
    """(B, t) to (B, t, 1, 1, 1)."""
    return values[:, :, None, None, None]
