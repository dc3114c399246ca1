"""Latents as codes: finite scalar quantization (FSQ; Mentzer et al. 2023, arXiv 2309.15505) of a tokenizer's
latents, learnt by itself before anything is learnt of the codes.

A code is a cell of a fixed grid in a few dimensions, so there is no codebook to learn or to lose. 2 x 2
latent cells become one cell of G codes, so that a clip is 80 tokens and not 320; after 410 steps 4 codes of
1000 left 11% of the variance of clips not learnt from. Encoder and decoder also see the latent frame before,
never one after, so the codes of a beginning are the same whatever follows.

    B clips; t latent frames, h x w cells, C latent channels; n = h w / 4 cells of codes a latent frame, each
    of G codes of K = prod(levels); d = len(levels) numbers in [-1, 1] a code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from kineograph.models.tokenizer import Block, Project, Resize

PATCH = 2  # latent cells along the side of a cell of codes


@dataclass(frozen=True)
class CodesConfig:
    """`levels` of each number of a code, `groups` codes a cell; `width` of the convolutions."""

    levels: tuple[int, ...] = (8, 5, 5, 5)
    groups: int = 4
    width: int = 48

    @property
    def count(self) -> int:
        """How many codes there are."""
        return math.prod(self.levels)


class Fsq(nn.Module):
    """Numbers to the nearest of L evenly spaced values from -1 to 1, and these to codes and back."""

    steps: Tensor
    strides: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"every number of a code needs 2 levels or more, not {levels}")
        strides = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("steps", torch.tensor(levels) - 1, persistent=False)
        self.register_buffer("strides", torch.tensor(strides), persistent=False)

    def quantized(self, values: Tensor) -> Tensor:
        """values (..., d) in [-1, 1] to the grid; the gradient passes straight through (arXiv 1308.3432)."""
        nearest = 2 * self._nearest(values) / self.steps - 1
        return values + (nearest - values).detach()

    def codes(self, values: Tensor) -> Tensor:
        """values (..., d) in [-1, 1] to codes (...) from 0 to K - 1."""
        return (self._nearest(values).long() * self.strides).sum(dim=-1)

    def values(self, codes: Tensor) -> Tensor:
        """Codes (...) to their values (..., d) on the grid: the inverse of `codes` there."""
        return 2 * self.places(codes) / self.steps - 1

    def places(self, codes: Tensor) -> Tensor:
        """Codes (...) to the levels (..., d) that they stand for, from 0 on."""
        return codes[..., None] // self.strides % (self.steps + 1)

    def _nearest(self, values: Tensor) -> Tensor:
        """Which of its levels each number is nearest to, from 0 on."""
        return ((values + 1) / 2 * self.steps).round()


def levels_of(levels: tuple[int, ...]) -> Tensor:
    """Of each code the rows of its d levels in one table of all levels of all numbers: (K, d)."""
    fsq = Fsq(levels)
    starts = torch.tensor([sum(levels[:i]) for i in range(len(levels))])
    return fsq.places(torch.arange(math.prod(levels))) + starts


class Codes(nn.Module):
    """Latents to codes and back, by few convolutions that are causal in time."""

    def __init__(self, config: CodesConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.fsq = Fsq(config.levels)
        width, numbers = config.width, config.groups * len(config.levels)
        self.encoder = nn.Sequential(
            Project(channels, width),
            Block(width, recalls=True),
            Resize(width, 2 * width, up=False),
            Project(2 * width, numbers),
        )
        self.decoder = nn.Sequential(
            Project(numbers, 2 * width),
            Resize(2 * width, width, up=True),
            Block(width, recalls=True),
            Block(width, recalls=False),
            Project(width, channels),
        )

    def encode(self, latents: Tensor) -> Tensor:
        """Latents (B, t, C, h, w) to codes (B, t, n, G)."""
        return self.fsq.codes(self._numbers(latents))

    def decode(self, codes: Tensor, height: int) -> Tensor:
        """Codes (B, t, n, G) to latents (B, t, C, h, w) of that height."""
        return self._latents(self.fsq.values(codes), height)

    def rebuilt(self, latents: Tensor) -> Tensor:
        """What the codes keep of latents (B, t, C, h, w), with a gradient."""
        return self._latents(self.fsq.quantized(self._numbers(latents)), latents.shape[3])

    def _numbers(self, latents: Tensor) -> Tensor:
        """Numbers (B, t, n, G, d) in [-1, 1], not rounded yet; in full precision, which the levels need."""
        numbers: Tensor = self.encoder(latents)
        return rearrange(numbers.float().tanh(), "b t (g d) h w -> b t (h w) g d", g=self.config.groups)

    def _latents(self, numbers: Tensor, height: int) -> Tensor:
        cells = rearrange(numbers, "b t (h w) g d -> b t (g d) h w", h=height // PATCH)
        latents: Tensor = self.decoder(cells)
        return latents.float()


class CodesObjective:
    """Mean squared error of the latents, straight through the rounding. Their variance is 1."""

    def __init__(self, codes: Codes) -> None:
        self.networks = codes

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.networks.named_parameters())

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` holds latents (B, t, C, h, w)."""
        latents = batch["latents"].float()
        error = (self.networks.rebuilt(latents) - latents).square().mean()
        return error, {"error": error.detach()}
