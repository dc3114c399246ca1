"""Canvases on the latent grid, and random ones to train on.

B clips, T frames, H x W pixels; t latent frames, h x w cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from kineograph.models.tokenizer import SPACE_STRIDE, TIME_STRIDE

CANVAS = 4 * TIME_STRIDE * SPACE_STRIDE**2  # colours and mask of what one latent cell stands for
PAST = 2  # kinds of random canvases: the beginning is known
HOLE, MOVING_HOLE, ISLAND = 5, 6, 7  # and those in which a box matters


def fold_canvas(frames: Tensor, known: Tensor) -> Tensor:
    """Masked pixels and mask on the latent grid, without loss.

    frames (B, 1 + 4k, 3, H, W) in [-1, 1], known (B, 1 + 4k, H, W) bool -> (B, 1 + k, h, w, 4096).
    """
    mask = known[:, :, None].to(frames.dtype)
    pixels = torch.cat([frames * mask, mask], dim=2)
    empty = torch.zeros_like(pixels[:, : TIME_STRIDE - 1])
    return rearrange(
        torch.cat([empty, pixels], dim=1),
        "b (t r) c (h p) (w q) -> b t h w (r c p q)",
        r=TIME_STRIDE,
        p=SPACE_STRIDE,
        q=SPACE_STRIDE,
    )


def clean_groups(known: Tensor) -> Tensor:
    """Which latent frames are known with all of their past: (B, 1 + 4k, H, W) bool -> (B, 1 + k) bool."""
    past_known = known.flatten(2).all(dim=2).int().cumprod(dim=1).bool()
    return past_known[:, ::TIME_STRIDE]


def partly_known(known: Tensor, clean: Tensor) -> Tensor:
    """What is known outside of the clean groups."""
    groups = clean.repeat_interleave(TIME_STRIDE, dim=1)[:, TIME_STRIDE - 1 :]
    return known & ~groups[:, :, None, None]


# Canvases to train on


def draw_known(shape: Sequence[int], draw: torch.Generator, played: Tensor | None = None) -> Tensor:
    """Random canvases to train on, (B, T, H, W) bool: keyframes, past, future, every n-th frame, all but a
    box, all but a box that moves, nothing but a box. Of `played` (B,) bool rows the past is known."""
    rows, length = shape[:2]
    kind = torch.randint(0, 8, (rows, 1), generator=draw)
    if played is not None:
        kind[played] = PAST
    at = torch.arange(length)
    first = torch.rand(rows, 1, generator=draw) < 0.7
    keys = torch.rand(rows, length, generator=draw) < 0.1
    cut = torch.randint(1, length, (rows, 1), generator=draw)
    past, future = at < cut, at >= cut
    every = at % (2 ** torch.randint(1, 4, (rows, 1), generator=draw)) == 0
    last = (at == length - 1) | ((at == 0) & first)
    whole = torch.ones_like(keys)
    frames_known = torch.stack([last, keys | ((at == 0) & first), past, future, every, whole, whole, whole])
    known = frames_known[kind[:, 0], torch.arange(rows)][:, :, None, None]
    kind = kind[:, :, None, None]
    inside = _draw_boxes(shape, kind == MOVING_HOLE, kind == ISLAND, draw)
    return known & torch.where(kind == ISLAND, inside, ~inside | (kind < HOLE))


def _draw_boxes(shape: Sequence[int], moving: Tensor, large: Tensor, draw: torch.Generator) -> Tensor:
    """A random box in each row, (B, T, H, W) bool, 1 inside. Large ones reach from edge to edge in height or
    in width, two of three times, as footage of another shape does."""
    rows, length, height, width = shape
    low, extent, drift = torch.rand(3, rows, 2, 1, 1, 1, generator=draw).unbind(0)
    spans = torch.randint(0, 3, (rows, 1, 1, 1), generator=draw)
    begin = low * 0.7 + moving[:, None] * (drift - 0.5) * torch.linspace(0, 1, length)[:, None, None]
    begin = torch.where(large[:, None], low * 0.4, begin)
    end = begin + torch.where(large[:, None], 0.3 + 0.4 * extent, 0.2 + 0.5 * extent)
    y, x = torch.arange(height)[:, None] / height, torch.arange(width) / width
    in_rows, in_columns = ((p >= begin[:, i]) & (p < end[:, i]) for i, p in enumerate((y, x)))
    return (in_rows | (large & (spans == 0))) & (in_columns | (large & (spans == 1)))
