"""What things look like: one small function per kind (see `paint` for the legend).

The star's distance is Inigo Quilez's `sdStar5` (iquilezles.org/articles/distfunctions2d).
"""

from __future__ import annotations

import torch
from torch import Tensor

from kineograph.worlds.figures import bird, robot
from kineograph.worlds.paint import Paint, Shape, inside, lit, outlined, rounded_box


def ball(u: Tensor, v: Tensor, k: Tensor) -> Paint:
    square = u * u + v * v
    body, gloss = lit(u, v, (1 - square).clamp(min=0).sqrt())
    return outlined(square.sqrt() - 1, k, body, gloss)


def box(u: Tensor, v: Tensor, k: Tensor) -> Paint:
    """A cube seen from the right and above: light top, plain front, dark side."""
    reach, front = 0.92, 0.48  # half width of the silhouette; where the front face ends
    diagonal = u + v
    cut = (diagonal.abs() - (reach + front)) * 0.7071
    distance = torch.maximum(torch.maximum(u.abs(), v.abs()) - reach, cut)
    top = inside(torch.maximum(v + front, diagonal * 0.7071), k)
    side = inside(torch.maximum(front - u, diagonal * -0.7071), k)
    body = 0.96 + 0.04 * top - 0.40 * side - 0.07 * v
    return outlined(distance, k, body, 0.20 * top)


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
    return outlined(distance, k, 0.90 - 0.11 * facet - 0.12 * v - 0.06 * u, 0.06 - 0.06 * facet)


def ring(u: Tensor, v: Tensor, k: Tensor) -> Paint:
    """A torus seen from the front, its hole clearly open."""
    middle, thickness = 0.71, 0.29
    radius = (u * u + v * v).sqrt()
    across = (radius - middle) * (1 / thickness)
    height = (1 - across * across).clamp(min=0).sqrt()
    outwards = across / radius.clamp(min=0.1)
    body, gloss = lit(u * outwards, v * outwards, height)
    return outlined((across.abs() - 1) * thickness, k, body, gloss)


def car(u: Tensor, v: Tensor, k: Tensor) -> Paint:
    """Seen from its side, facing right: body, cabin with two windows, wheels, a head light."""
    hull = rounded_box(u, v - 0.10, 1.28, 0.34, 0.20)
    lean = (v + 0.78) * 0.35  # the cabin widens downwards
    cabin = rounded_box(u + 0.12, v + 0.36, 1.0, 0.42, 0.12)
    cabin = torch.maximum(cabin, ((u + 0.12).abs() - 0.52 - lean) * 0.94)
    axle = u.abs() - 0.70
    wheel = (axle * axle + (v - 0.48).square()).sqrt()
    shell = torch.minimum(hull, cabin)
    distance = torch.minimum(shell, wheel - 0.30)
    paint = outlined(shell, k, 0.98 - 0.22 * v, 0.10 * (-v).clamp(min=0))
    paint = Paint(inside(distance, k), paint.body, paint.gloss, distance)
    glass = torch.maximum((v + 0.38).abs() - 0.23, (u + 0.12).abs() - 0.42 - lean)
    glass = torch.maximum(glass, 0.06 - (u + 0.12).abs())
    lamp = rounded_box(u - 1.14, v - 0.02, 0.10, 0.10, 0.08)
    paint = paint.mark(inside(glass, k), 0.10, 0.17).mark(inside(lamp, k), 0.0, 0.97)
    return paint.mark(inside(wheel - 0.30, k), 0.0, 0.11).mark(inside(wheel - 0.13, k), 0.0, 0.62)


TURNED = 0.44  # how much darker two quarters of a rolling thing are


def quartered(paint: Paint, u: Tensor, v: Tensor, k: Tensor) -> Paint:
    """Darken two quarters of a thing, so that it shows how it turns."""
    edge = (torch.minimum(u.abs(), v.abs()) * k).clamp(0, 1)
    dark = torch.where((u < 0) == (v < 0), 0.5 + 0.5 * edge, 0.5 - 0.5 * edge)
    return Paint(
        paint.cover, paint.body * (1 - TURNED * dark), paint.gloss * (1 - TURNED * dark), paint.distance
    )


SHAPES = {
    "ball": Shape(ball, 1.0, 1.0),
    "box": Shape(box, 0.92, 0.92),
    "star": Shape(star, 1.06, 1.02),
    "ring": Shape(ring, 1.0, 1.0),
    "car": Shape(car, 1.28, 0.78, front=True),
    "robot": Shape(robot, 0.62, 1.12, front=True, strides=1.1),
    "bird": Shape(bird, 1.12, 0.86, front=True, strides=1.7),
}
PALETTE = {
    "red": (230, 44, 46),
    "yellow": (252, 208, 36),
    "green": (22, 168, 84),
    "blue": (40, 96, 236),
    "purple": (150, 58, 206),
    "white": (248, 248, 250),
    "orange": (250, 128, 22),
    "pink": (252, 132, 190),
    "black": (30, 30, 38),
}
EXTENTS = {"small": 0.10, "medium": 0.145, "large": 0.20}  # size, in fractions of the frame's shorter side
