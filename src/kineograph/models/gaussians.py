"""Independent normal distributions, such as a variational autoencoder has them, and what lies between two.

B clips; Z numbers, or channels of numbers, in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kineograph.sampling.guidance import pushed

LEAST = 0.02  # deviation


class Gaussian(NamedTuple):
    """Independent normal numbers: mean and deviation, both (B, ...)."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, moments: Tensor) -> Gaussian:
        """From what a head makes, (B, 2 Z, ...): mean 0 and deviation 1 where that is 0."""
        mean, spread = moments.float().chunk(2, dim=1)
        return cls(mean, F.softplus(spread + 0.52) + LEAST)

    def sample(self, noise: Tensor) -> Tensor:
        return self.mean + self.deviation * noise

    def detach(self) -> Gaussian:
        return Gaussian(self.mean.detach(), self.deviation.detach())

    def tempered(self, temperature: float) -> Gaussian:
        return Gaussian(self.mean, temperature * self.deviation)

    def instead(self, other: Gaussian, chosen: Tensor) -> Gaussian:
        """In the rows `chosen` (B,) this one, else the other."""
        rows = chosen.view(-1, *[1] * (self.mean.dim() - 1))
        return Gaussian(*(torch.where(rows, a, b) for a, b in zip(self, other, strict=True)))


def divergence(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) of each row in nats, (B,)."""
    apart = (q.deviation**2 + (q.mean - p.mean) ** 2) / (2 * p.deviation**2)
    return ((p.deviation / q.deviation).log() + apart - 0.5).flatten(1).sum(dim=1)


def guided_prior(priors: Sequence[Gaussian], scale: Tensor | None) -> Gaussian:
    """The prior with the caption, its mean pushed away from that without (arXiv 2207.12598) by each row's
    `scale` (B,), if there is one. Of two Gaussians of one deviation, p^scale p0^(1 - scale) is just that."""
    first, *others = priors
    if scale is None:
        return first
    [without] = others
    return Gaussian(pushed(first.mean, without.mean, scale), first.deviation)
