"""Few steps instead of many: an adapter of the flow learns to leap, with guidance folded in.

A leap from the time t to r takes the mean velocity u of the way between: z_r = z_t + (r - t) u(z_t, t)
(MeanFlow, arXiv 2505.13447; shortcut models, arXiv 2410.12557). Here all leaps are of one length, and u is
learnt from the flow itself, which goes the same way in small guided steps. A clip is leapt from noise to
data, and where its own leaps have come to, there the flow says how to go on (imitation on the learner's own
way, Ross et al. 2011, arXiv 1011.0686). Only what is added to the weights is learnt, so the flow stays what
it was (as in LCM-LoRA, arXiv 2311.05556).

B clips, t latent frames; see `diffusion` for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from kineograph.models.adapter import Adapter
from kineograph.models.flow import LEAPS, DiffusionNetworks, Drawn, FlowObjective, velocity_of
from kineograph.sampling.guidance import guided
from kineograph.sampling.schedules import times
from kineograph.sampling.solvers import multistep

Told = tuple[Any, ...]  # what a velocity depends on beside latents and times


@dataclass(frozen=True)
class LeapLoss:
    """The flow goes the way of a leap in `small_steps`, under this much guidance."""

    small_steps: int = 3
    guidance: float = 3.0


class LeapObjective:
    """Squared error between the velocity of a leap and the mean one of the flow's way. The flow is fixed."""

    def __init__(self, networks: DiffusionNetworks, adapter: Adapter, config: LeapLoss | None = None) -> None:
        self.networks, self.adapter = networks, adapter
        self.config = config or LeapLoss()
        self.flow = FlowObjective(networks)
        for part in (networks.denoiser, networks.text):
            part.requires_grad_(False)
        self._pupil = deepcopy(networks.denoiser)  # not compiled, as its weights change at every step

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.adapter.named_parameters())

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` is as for the flow."""
        drawn = self.flow.drawn(batch, draw)
        prompted, bare = (drawn.told(self.networks.text, prompted=prompted) for prompted in (True, False))
        weights = self.adapter.weights(self.networks.denoiser)
        z = drawn.at(torch.where(drawn.unknown, 0.0, 1.0))
        errors = []
        for number in range(LEAPS):
            begin = torch.where(drawn.unknown, number / LEAPS, 1.0)
            with torch.no_grad():
                aim = (self._taught(drawn, z, begin, prompted, bare) - z) * LEAPS
            velocity = self._leap(weights, z, begin, prompted)
            errors.append((velocity - aim).square().mean(dim=(2, 3, 4)))
            z = z + _wide(drawn.unknown / LEAPS) * velocity.detach()
        error = (torch.stack(errors).mean(dim=0) * drawn.unknown).sum() / drawn.unknown.sum()
        return error, {"leap": error.detach()}

    def _leap(self, weights: Mapping[str, Tensor], z: Tensor, begin: Tensor, told: Told) -> Tensor:
        """The velocity (B, t, C, h, w) with these weights of the denoiser."""

        def changed(*inputs: Any) -> Tensor:
            made: Tensor = functional_call(self._pupil, dict(weights), inputs)
            return made

        return velocity_of(changed, z, begin, *told)[1]

    def _taught(self, drawn: Drawn, z: Tensor, begin: Tensor, prompted: Told, bare: Told) -> Tensor:
        """Where the flow comes to from z (B, t, C, h, w), at the times `begin` (B, t), after a leap."""
        length = drawn.unknown / LEAPS

        def slope(z: Tensor, share: float, told: Told) -> Tensor:
            _, velocity = self.networks.velocity(z, begin + share * length, *told)
            return _wide(length) * velocity

        push = guided(
            lambda z, share: slope(z, share, prompted),
            lambda z, share: (slope(z, share, prompted), slope(z, share, bare)),
            self.config.guidance,
            (0.0, 1.0),
        )
        *_, arrived = multistep(push, z, times(self.config.small_steps))
        return arrived


def _wide(values: Tensor) -> Tensor:
    """(B, t) to (B, t, 1, 1, 1)."""
    return values[:, :, None, None, None]
