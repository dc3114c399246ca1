"""Clips on coarse grids, as detectors see them: colors scaled to [-1, 1], (n, 3, h, w)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from kineograph.worlds.backdrop import HORIZON
from kineograph.worlds.renderer import SHADOW

BELIEF = 0.6  # in shadows: in full, they would pass for the shaded side of a white thing on snow


def scaled(pixels: Tensor) -> Tensor:
    return rearrange(pixels, "n h w c -> n c h w").float() / 127.5 - 1


def grid_of(height: int, width: int, shorter: int) -> tuple[int, int]:
    unit = min(height, width)
    return round(height * shorter / unit), round(width * shorter / unit)


def pool(images: Tensor, grid: tuple[int, int]) -> Tensor:
    return F.interpolate(images, grid, mode="area")


def soften(images: Tensor) -> Tensor:
    """A small blur around the edges: half a pixel of misplacement, or a soft clip, costs a sprite less."""
    for axis in (-1, -2):
        images = (images.roll(1, axis) + 2 * images + images.roll(-1, axis)) / 4
    return images


def below_horizon(height: int) -> Tensor:
    """(h, 1): 1 on the ground, 0 in the sky."""
    return ((torch.arange(height) + 0.5) / height > HORIZON)[:, None].float()


def shaded(frames: Tensor, behind: Tensor, belief: float = BELIEF) -> Tensor:
    """The backdrop (..., 3, h, w) as (T, 3, h, w), under whatever shadow suits each pixel best."""
    on_ground = below_horizon(frames.shape[-2])
    light, lit = frames + 1, behind + 1
    shade = (light * lit).sum(1, keepdim=True) / lit.square().sum(-3, keepdim=True).clamp(min=1e-4)
    shade = torch.maximum(shade, 1 - SHADOW * on_ground).clamp(max=1)
    return (1 - belief * (1 - shade)) * lit - 1
