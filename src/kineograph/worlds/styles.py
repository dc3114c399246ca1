"""Styles: five ways of painting the same scene.

A style repaints the colours of backdrops, (..., 3, h, w) floats in [0, 255], draws contours and a texture
over them, and repaints things. Nothing here looks at neighbouring pixels, so things look alike anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kineograph.worlds.backdrop import HORIZON, Page
from kineograph.worlds.paint import Paint, inside

Color = tuple[float, float, float]
PAPER: Color = (250, 246, 236)


@dataclass(frozen=True)
class Style:
    """colors, thing: how backdrops and things are repainted; ink, stroke: the colour of contours and how
    strongly they show; texture: lines over the page, (H, W) in [0, 1]; bold: how strongly those show on dark
    and on light ground; blocks: how many squares fill the shorter side, or 0 for pixels."""

    colors: Callable[[Tensor], Tensor]
    thing: Callable[[Paint, Tensor, Tensor, Tensor], Paint]
    ink: Color = (0, 0, 0)
    stroke: float = 0.0
    texture: Callable[[Page], Tensor] | None = None
    bold: tuple[float, float] = (0.0, 0.0)
    blocks: int = 0


def luma(colors: Tensor) -> Tensor:
    red, green, blue = (colors[..., c : c + 1, :, :] for c in range(3))
    return 0.30 * red + 0.59 * green + 0.11 * blue


def _banded(values: Tensor, bands: float, soft: float = 0.3) -> Tensor:
    """Round to 1 / bands, with steps that are a little soft."""
    scaled = values * bands
    whole = scaled.floor()
    return (whole + ((scaled - whole - 0.5) * (1 / soft) + 0.5).clamp(0, 1)) * (1 / bands)


def _rim(paint: Paint, k: Tensor, width: float) -> Tensor:
    """Coverage of a line of this width, at least 3/4 of a pixel, along the inside of the silhouette."""
    return 1 - inside(paint.distance + torch.maximum(width + 0.0 * k, 0.75 / k), k)


# Backdrops


def _as_it_is(colors: Tensor) -> Tensor:
    return colors


def _flat(colors: Tensor) -> Tensor:
    light = luma(colors)
    flat = _banded(light * (1 / 255), 9.0) * 255
    return (flat + 1.3 * (colors - light)).clamp(0, 255)


def _on_paper(colors: Tensor) -> Tensor:
    paper = torch.tensor(PAPER, device=colors.device)[:, None, None]
    return paper + 0.46 * (colors - paper)


def _coarse(colors: Tensor) -> Tensor:
    return ((colors * (1 / 28)).round() * 28).clamp(0, 255)


def _dark(colors: Tensor) -> Tensor:
    deep = torch.tensor((16.0, 8.0, 40.0), device=colors.device)[:, None, None]
    light = luma(colors)
    return deep + 0.28 * (light + 2.0 * (colors - light)).clamp(0, 255)


def _hatching(page: Page) -> Tensor:
    """Strokes of a pencil."""
    across = 26 * (page.x * page.wide + 0.8 * page.y * page.high) + 0.35 * page.wave(2.0)
    return (1.15 - 4.6 * (torch.remainder(across, 1.0) - 0.5).abs()).clamp(0, 1)


def _grid(page: Page) -> Tensor:
    """A net of lines on the ground, seen in perspective; none in the sky."""
    ahead = (page.p + 0.136).log() * 5.5
    along = (page.x - 0.5) * page.wide / (page.p + 0.136) * 1.25
    thin = 0.5 * page.pixel
    beside = (torch.remainder(along + 0.5, 1.0) - 0.5).abs() * (page.p + 0.136) / 1.25
    between = (torch.remainder(ahead + 0.5, 1.0) - 0.5).abs() * (page.p + 0.136) / 5.5 * (1 - HORIZON)
    nearest = torch.minimum(beside / page.high, between)
    return (1.4 - nearest / (thin + 0.0035)).clamp(0, 1) * (page.p > 0)


# Things


def _thing_as_it_is(paint: Paint, u: Tensor, v: Tensor, k: Tensor) -> Paint:
    return paint


def _inked(paint: Paint, u: Tensor, v: Tensor, k: Tensor) -> Paint:
    flat = Paint(paint.cover, _banded(paint.body, 3.6), _banded(paint.gloss, 3.0), paint.distance)
    return flat.mark(_rim(paint, k, 0.10), 0.0, 0.07)


def _pencilled(paint: Paint, u: Tensor, v: Tensor, k: Tensor) -> Paint:
    across = 2.8 * (u + 0.8 * v)
    stroke = (1.2 - 4.0 * (across - across.floor() - 0.5).abs()).clamp(0, 1)
    shade = (1.15 - paint.body).clamp(0, 1)
    filled = 0.62 + 0.38 * stroke * (0.35 + shade).clamp(max=1)
    body, gloss = paint.body * filled, paint.gloss * 0.7 + (1 - filled) * 0.80
    return Paint(paint.cover, body, gloss, paint.distance).mark(0.9 * _rim(paint, k, 0.08), 0.0, 0.15)


def _chunky(paint: Paint, u: Tensor, v: Tensor, k: Tensor) -> Paint:
    whole = (paint.cover >= 0.5).to(paint.cover.dtype)
    return Paint(whole, _banded(paint.body, 5.0, 0.1), _banded(paint.gloss, 4.0, 0.1), paint.distance)


def _glowing(paint: Paint, u: Tensor, v: Tensor, k: Tensor) -> Paint:
    rim = _rim(paint, k, 0.13)
    heart = (1 + paint.distance * (1 / 0.45)).clamp(0, 1)
    inner = Paint(paint.cover, 0.20 + 0.18 * paint.body + 0.30 * heart, 0.45 * paint.gloss, paint.distance)
    return inner.mark(rim, 1.0, 0.20)


STYLES = {
    "plain": Style(_as_it_is, _thing_as_it_is),
    "cartoon": Style(_flat, _inked, ink=(34, 34, 52), stroke=0.8),
    "sketch": Style(
        _on_paper, _pencilled, ink=(70, 70, 80), stroke=0.7, texture=_hatching, bold=(-0.16, -0.05)
    ),
    "pixel": Style(_coarse, _chunky, blocks=48),
    "neon": Style(_dark, _glowing, ink=(120, 240, 255), stroke=0.9, texture=_grid, bold=(0.55, 0.55)),
}
