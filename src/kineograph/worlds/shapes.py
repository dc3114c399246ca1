"""What things look like: one small function per kind, drawn with signed distances.

Legend: u (B, 1, w) and v (B, h, 1) are a pixel's place relative to the thing's centre, in units of its size,
v pointing down; k (B, 1, 1) is that unit in pixels. Only operations that IEEE 754 rounds exactly are used on
pixels (+ - * / sqrt min max), so a pixel is the same bits in any batch, window or thread.
The star's distance is Inigo Quilez's `sdStar5` (iquilezles.org/articles/distfunctions2d).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LIGHT = (-0.48, -0.62, 0.62)  # towards the light: upper left, in front of the page
HALFWAY = (-0.267, -0.344, 0.900)  # between the light and the viewer, for highlights


@dataclass(frozen=True, eq=False)
class Paint:
    """A drawn thing: its pixels are own colour * body + gloss, over what lies behind by `cover` in [0, 1]."""

    cover: Tensor
    body: Tensor
    gloss: Tensor

    def mark(self, cover: Tensor, body: float, gloss: float) -> Paint:
        """Colour a part of the thing, inside its silhouette."""
        return Paint(
            self.cover,
            self.body + cover * (body - self.body),
            self.gloss + cover * (gloss - self.gloss),
        )


@dataclass(frozen=True)
class Shape:
    """How a kind is drawn, facing right; the half width and half height of its silhouette in units of its
    size; and whether it has a front, which turns with the way that it moves."""

    draw: Callable[[Tensor, Tensor, Tensor], Paint]
    half_width: float
    half_height: float
    front: bool = False


def _inside(distance: Tensor, k: Tensor) -> Tensor:
    """Coverage by a signed distance (negative inside): an edge one pixel wide."""
    return (0.5 - distance * k).clamp(0, 1)


def _outlined(distance: Tensor, k: Tensor, body: Tensor, gloss: Tensor) -> Paint:
    """Darken the rim, so that a white thing shows on snow."""
    rim = ((distance + 0.15) * (1 / 0.15)).clamp(0, 1)
    rim = rim * rim
    return Paint(_inside(distance, k), body * (1 - 0.5 * rim), gloss * (1 - rim))


def _lit(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Diffuse body and glossy highlight of a surface with unit normal (x, y, z)."""
    diffuse = (x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2]).clamp(min=0)
    shine = (x * HALFWAY[0] + y * HALFWAY[1] + z * HALFWAY[2]).clamp(min=0)
    for _ in range(5):  # to the 32nd power
        shine = shine * shine
    return 0.52 + 0.56 * diffuse, 0.65 * shine


def _rounded_box(u: Tensor, v: Tensor, half_width: float, half_height: float, radius: float) -> Tensor:
    x, y = u.abs() - (half_width - radius), v.abs() - (half_height - radius)
    outside = (x.clamp(min=0).square() + y.clamp(min=0).square()).sqrt()
    return outside + torch.maximum(x, y).clamp(max=0) - radius


def ball(u: Tensor, v: Tensor, k: Tensor) -> Paint:
    square = u * u + v * v
    body, gloss = _lit(u, v, (1 - square).clamp(min=0).sqrt())
    return _outlined(square.sqrt() - 1, k, body, gloss)


def box(u: Tensor, v: Tensor, k: Tensor) -> Paint:
    """A cube seen from the right and above: light top, plain front, dark side."""
    reach, front = 0.92, 0.48  # half width of the silhouette; where the front face ends
    diagonal = u + v
    cut = (diagonal.abs() - (reach + front)) * 0.7071
    distance = torch.maximum(torch.maximum(u.abs(), v.abs()) - reach, cut)
    top = _inside(torch.maximum(v + front, diagonal * 0.7071), k)
    side = _inside(torch.maximum(front - u, diagonal * -0.7071), k)
    body = 0.96 + 0.04 * top - 0.40 * side - 0.07 * v
    return _outlined(distance, k, body, 0.20 * top)


def star(u: Tensor, v: Tensor, k: Tensor) -> Paint:
    """A fat five-pointed star; each arm has a light and a dark half."""
    outer, inner, rounding, c, s = 1.06, 0.56, 0.06, 0.809016994, 0.587785252
    x, y = u.abs(), 0.10 - v
    turn = torch.where(u < 0, -1.0, 1.0)
    for sign in (1.0, -1.0):  # fold the other arms onto the upper one
        beyond = (sign * c * x - s * y).clamp(min=0)
        x, y = x - (2 * sign * c) * beyond, y + (2 * s) * beyond
        turn = torch.where(beyond > 0, -turn, turn)
    turn = torch.where(x < 0, -turn, turn)
    x = x.abs()
    facet = turn * (torch.minimum(x, s * y - c * x).abs() * k).clamp(0, 1)
    edge_x, edge_y = inner * s, inner * c - 1
    along = (x * edge_x + (y - outer) * edge_y) * (1 / (edge_x**2 + edge_y**2))
    along = along.clamp(0, outer)
    away_x, away_y = x - edge_x * along, y - outer - edge_y * along
    side = torch.where((y - outer) * edge_x < x * edge_y, -1.0, 1.0)
    distance = side * (away_x * away_x + away_y * away_y).sqrt() - rounding
    return _outlined(distance, k, 0.90 - 0.11 * facet - 0.12 * v - 0.06 * u, 0.06 - 0.06 * facet)


def ring(u: Tensor, v: Tensor, k: Tensor) -> Paint:
    """A torus seen from the front, its hole clearly open."""
    middle, thickness = 0.71, 0.29
    radius = (u * u + v * v).sqrt()
    across = (radius - middle) * (1 / thickness)
    height = (1 - across * across).clamp(min=0).sqrt()
    outwards = across / radius.clamp(min=0.1)
    body, gloss = _lit(u * outwards, v * outwards, height)
    return _outlined((across.abs() - 1) * thickness, k, body, gloss)


def car(u: Tensor, v: Tensor, k: Tensor) -> Paint:
    """Seen from its side, facing right: body, cabin with two windows, wheels, a head light."""
    hull = _rounded_box(u, v - 0.10, 1.28, 0.34, 0.20)
    lean = (v + 0.78) * 0.35  # the cabin widens downwards
    cabin = _rounded_box(u + 0.12, v + 0.36, 1.0, 0.42, 0.12)
    cabin = torch.maximum(cabin, ((u + 0.12).abs() - 0.52 - lean) * 0.94)
    axle = u.abs() - 0.70
    wheel = (axle * axle + (v - 0.48).square()).sqrt()
    shell = torch.minimum(hull, cabin)
    distance = torch.minimum(shell, wheel - 0.30)
    paint = _outlined(shell, k, 0.98 - 0.22 * v, 0.10 * (-v).clamp(min=0))
    paint = Paint(_inside(distance, k), paint.body, paint.gloss)
    glass = torch.maximum((v + 0.38).abs() - 0.23, (u + 0.12).abs() - 0.42 - lean)
    glass = torch.maximum(glass, 0.06 - (u + 0.12).abs())
    lamp = _rounded_box(u - 1.14, v - 0.02, 0.10, 0.10, 0.08)
    paint = paint.mark(_inside(glass, k), 0.10, 0.17).mark(_inside(lamp, k), 0.0, 0.97)
    return paint.mark(_inside(wheel - 0.30, k), 0.0, 0.11).mark(_inside(wheel - 0.13, k), 0.0, 0.62)


SHAPES = {
    "ball": Shape(ball, 1.0, 1.0),
    "box": Shape(box, 0.92, 0.92),
    "star": Shape(star, 1.06, 1.02),
    "ring": Shape(ring, 1.0, 1.0),
    "car": Shape(car, 1.28, 0.78, front=True),
}
PALETTE = {
    "red": (230, 44, 46),
    "yellow": (252, 208, 36),
    "green": (22, 168, 84),
    "blue": (40, 96, 236),
    "purple": (150, 58, 206),
    "white": (248, 248, 250),
}
EXTENTS = {"small": 0.10, "medium": 0.145, "large": 0.20}  # size, in fractions of the frame's shorter side
