"""Where things are placed when scenes are drawn: inside the frame, on the ground, and apart from one another.

Legend: B candidates, L ways to lay out each, K things, T times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from kineograph.worlds.camera import camera_path
from kineograph.worlds.motion import MOVES, offsets
from kineograph.worlds.shapes import EXTENTS, SHAPES
from kineograph.worlds.world import World

BLOCK = 64
LAYOUTS = 16, 64  # ways to lay out each candidate: of two things at most, and of more
MARGIN = 0.02
GROUND_LINES = (0.64, 0.955)  # where the foot of a thing, or its shadow, may stand
MAX_OVERLAP = 0.08  # mean over time of the common area, as a share of the smaller box
CLIP_SECONDS = torch.arange(17, dtype=torch.float64) / 8
CONTACT = (0.10, 0.48)  # gap between things that are about to collide


@dataclass(frozen=True, eq=False)
class Draw:
    """looks (B, K, 4): kind, colour, size and motion as numbers; phase (B, K); count (B,) things shown."""

    looks: Tensor
    phase: Tensor
    count: Tensor


def half_extents(kind: Tensor, size: Tensor) -> Tensor:
    """(…,) indices of kinds and sizes → (…, 2) half width and height, in shorter sides of the frame."""
    outline = torch.tensor([(s.half_width, s.half_height) for s in SHAPES.values()], dtype=torch.float64)
    extent = torch.tensor(list(EXTENTS.values()), dtype=torch.float64)
    return outline.to(kind.device)[kind] * extent.to(size.device)[size][..., None]


def ground_line(motion: Tensor, half_height: Tensor) -> Tensor:
    """How far below a thing's reference the ground lies on which it stands or throws its shadow."""
    drop = torch.tensor([move.drop for move in MOVES.values()], dtype=torch.float64)
    return drop.to(motion.device)[motion] + half_height


def pair_up(draw: Draw, world: World) -> Draw:
    """Give things that collide a partner: the first thing takes the second along, others stay still."""
    if "collides" not in world.motions:
        return draw
    collides = world.motions.index("collides")
    motion = draw.looks[..., 3]
    leads = motion[:, 0] == collides
    motion = motion.masked_fill(motion == collides, world.motions.index("still"))
    motion[:, :2] = torch.where(leads[:, None], collides, motion[:, :2])
    looks = torch.cat([draw.looks[..., :3], motion[..., None]], -1)
    return replace(draw, looks=looks, count=torch.where(leads, draw.count.clamp(min=2), draw.count))


def lay_out(generator: torch.Generator, draw: Draw, camera: Tensor, world: World) -> tuple[Tensor, Tensor]:
    """References (B, K, 2) of the drawn things, and which candidates (B,) fit."""
    kind, color, size, motion = draw.looks.unbind(-1)
    half = half_extents(kind, size)
    path = offsets(motion, CLIP_SECONDS, draw.phase)[..., :2]
    line = ground_line(motion, half[..., 1])
    low, high = _bounds(half, path, line)
    if len(world.cameras) > 1:
        low, high = _in_view(low, high, camera)
    assert bool((low <= high).all()), "a thing does not fit into the frame"
    ways = LAYOUTS[world.most_things > 2]
    place = _between(generator, *(bound[:, None].expand(-1, ways, -1, -1) for bound in (low, high)))
    if "collides" in world.motions:
        place = _face_to_face(place, line, motion == world.motions.index("collides"))
    shown = torch.arange(kind.shape[1]) < draw.count[:, None]
    overlap, best = _overlap(place[..., None, :] + path[:, None], half, shown).min(1)
    place = place[torch.arange(len(best)), torch.where(draw.count > 1, best, 0)]
    fits = (overlap <= MAX_OVERLAP) & _differ(kind, color, shown)
    return place, (fits | (draw.count == 1)) & _go_together(draw, place, half, world)


def _between(generator: torch.Generator, low: Tensor, high: Tensor) -> Tensor:
    share = torch.rand(low.shape, generator=generator, dtype=torch.float64)
    return low + share * (high - low)


def _bounds(half: Tensor, path: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
    """References (B, K, 2) between which things of half extents (B, K, 2) on paths (B, K, T, 2) are seen."""
    low = half - path.amin(2) + MARGIN
    high = 1 - half - path.amax(2) - MARGIN
    floor, ceiling = (place - line for place in GROUND_LINES)
    low[..., 1] = torch.maximum(low[..., 1], floor)
    high[..., 1] = torch.minimum(high[..., 1], ceiling)
    return low, high


def _in_view(low: Tensor, high: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
    """Narrow the bounds along x to what a moving camera keeps in view, as far as there is room."""
    shift, zoom = camera_path(camera, CLIP_SECONDS).unbind(-1)
    crop = 0.5 * (1 - 1 / zoom.amax(1))
    left, right = (crop - shift.amin(1))[:, None], (crop + shift.amax(1))[:, None]
    x_low, x_high = low[..., 0] + left, high[..., 0] - right
    middle = ((x_low + x_high) / 2).clamp(min=low[..., 0], max=high[..., 0])
    narrow = torch.minimum(x_low, middle), torch.maximum(x_high, middle)
    low, high = (torch.stack([x, b[..., 1]], -1) for x, b in zip(narrow, (low, high), strict=True))
    return low, high


def _face_to_face(place: Tensor, line: Tensor, collides: Tensor) -> Tensor:
    """The first two things on one ground line, left and right, where they collide."""
    left, right = 0.16 + 0.12 * place[..., 0, 0], 0.72 + 0.12 * place[..., 1, 0]
    swap = place[..., 0, 0] > place[..., 1, 0]
    x = torch.stack([torch.where(swap, right, left), torch.where(swap, left, right)], -1)
    y = (place[..., :1, 1] + line[:, None, :1]) - line[:, None, :2]
    meet = torch.stack([x, y], -1)
    pair = torch.where(collides[:, None, :2, None], meet, place[..., :2, :])
    return torch.cat([pair, place[..., 2:, :]], -2)


def _overlap(centre: Tensor, half: Tensor, shown: Tensor) -> Tensor:
    """Centres (B, L, K, T, 2), half extents (B, K, 2) → (B, L) mean share of the smaller box in both, of
    the two of the shown (B, K) things that overlap most."""
    worst = torch.zeros(centre.shape[:2], dtype=centre.dtype)
    for pair in map(list, combinations(range(half.shape[1]), 2)):
        extent = half[:, None, pair, None]
        low, high = (centre[:, :, pair] - extent).amax(2), (centre[:, :, pair] + extent).amin(2)
        common = (high - low).clamp(min=0).prod(-1)
        share = (common / (4 * extent.prod(-1).amin(2))).mean(-1)
        worst = torch.maximum(worst, share * shown[:, pair].all(1)[:, None])
    return worst


def _differ(kind: Tensor, color: Tensor, shown: Tensor) -> Tensor:
    """Whether any two of the shown things differ in kind or colour."""
    alike = torch.zeros(len(kind), dtype=torch.bool)
    for a, b in combinations(range(kind.shape[1]), 2):
        same = (kind[:, a] == kind[:, b]) & (color[:, a] == color[:, b])
        alike |= same & shown[:, a] & shown[:, b]
    return ~alike


def _go_together(draw: Draw, place: Tensor, half: Tensor, world: World) -> Tensor:
    """Whether every kind suits its motion, and what collides starts at a fair distance."""
    kind, _, _, motion = draw.looks.unbind(-1)
    fit = torch.ones(len(kind), dtype=torch.bool)
    for name, move in world.unfit:
        fit &= ~((kind == world.kinds.index(name)) & (motion == world.motions.index(move))).any(1)
    if "collides" in world.motions:
        pair = (motion[:, :2] == world.motions.index("collides")).all(1)
        gap = (place[:, 0, 0] - place[:, 1, 0]).abs() - half[:, :2, 0].sum(1)
        fit &= ~pair | ((gap >= CONTACT[0]) & (gap <= CONTACT[1]))
    return fit
