"""The brush: signed distances, coverage, light and the rim that every drawn thing has.

Legend: u (B, 1, w) and v (B, h, 1) are a pixel's place relative to the thing's centre, in units of its size,
v pointing down; k (B, 1, 1) is that unit in pixels. Only operations that IEEE 754 rounds exactly are used on
pixels (+ - * / sqrt min max), so a pixel is the same bits in any batch, window or thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LIGHT = (-0.48, -0.62, 0.62)  # towards the light: upper left, in front of the page
HALFWAY = (-0.267, -0.344, 0.900)  # between the light and the viewer, for highlights
Part = tuple[Tensor, Tensor | float, Tensor | float]


@dataclass(frozen=True, eq=False)
class Paint:
    """A drawn thing: its pixels are own colour * body + gloss, over what lies behind by `cover` in [0, 1].

    distance: to its silhouette, in units of its size, negative inside.
    """

    cover: Tensor
    body: Tensor
    gloss: Tensor
    distance: Tensor

    def mark(self, cover: Tensor, body: Tensor | float, gloss: Tensor | float) -> Paint:
        """Colour a part of the thing, inside its silhouette."""
        return Paint(
            self.cover,
            self.body + cover * (body - self.body),
            self.gloss + cover * (gloss - self.gloss),
            self.distance,
        )


@dataclass(frozen=True)
class Shape:
    """How a kind is drawn, facing right; half width and half height of its silhouette in units of its size;
    whether it has a front, which turns with the way that it moves; and, if it has limbs, its strides
    per second: then `draw` also takes how far (B, 1, 1) in [0, 1) of its stride it is.
    """

    draw: Callable[..., Paint]
    half_width: float
    half_height: float
    front: bool = False
    strides: float = 0.0


def inside(distance: Tensor, k: Tensor) -> Tensor:
    """Coverage by a signed distance (negative inside): an edge one pixel wide."""
    return (0.5 - distance * k).clamp(0, 1)


def outlined(distance: Tensor, k: Tensor, body: Tensor, gloss: Tensor | float) -> Paint:
    """Darken the rim, so that a white thing shows on snow."""
    rim = ((distance + 0.15) * (1 / 0.15)).clamp(0, 1)
    rim = rim * rim
    return Paint(inside(distance, k), body * (1 - 0.5 * rim), gloss * (1 - rim), distance)


def assembled(k: Tensor, *parts: Part) -> Paint:
    """Paint parts (distance, body, gloss), each with its own rim, the hindmost first."""
    distance = parts[0][0]
    for part, _, _ in parts[1:]:
        distance = torch.minimum(distance, part)
    none = torch.zeros_like(distance)
    paint = Paint(inside(distance, k), none, none, distance)
    for part, body, gloss in parts:
        rim = ((part + 0.11) * (1 / 0.11)).clamp(0, 1)
        rim = 1 - 0.55 * rim * rim
        paint = paint.mark(inside(part, k), rim * body, rim * gloss)
    return paint


def lit(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Diffuse body and glossy highlight of a surface with unit normal (x, y, z)."""
    diffuse = (x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2]).clamp(min=0)
    shine = (x * HALFWAY[0] + y * HALFWAY[1] + z * HALFWAY[2]).clamp(min=0)
    for _ in range(5):  # to the 32nd power
        shine = shine * shine
    return 0.52 + 0.56 * diffuse, 0.65 * shine


def rounded_box(u: Tensor, v: Tensor, half_width: float, half_height: float, radius: float) -> Tensor:
    x, y = u.abs() - (half_width - radius), v.abs() - (half_height - radius)
    outside = (x.clamp(min=0).square() + y.clamp(min=0).square()).sqrt()
    return outside + torch.maximum(x, y).clamp(max=0) - radius


Point = tuple[Tensor | float, Tensor | float]


def limb(u: Tensor, v: Tensor, start: Point, end: Point, radius: float, tip: float | None = None) -> Tensor:
    """Distance to a thick line whose radius goes from `radius` to `tip`."""
    x, y = u - start[0], v - start[1]
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    length = along_x * along_x + along_y * along_y
    share = ((x * along_x + y * along_y) / length).clamp(0, 1)
    x, y = x - share * along_x, y - share * along_y
    thick = radius if tip is None else radius + share * (tip - radius)
    return (x * x + y * y).sqrt() - thick
