"""How things move: one small function per motion.

Each takes the time in seconds and the phase in [0, 1), float64 tensors that broadcast, and returns the offset
(dx, dy) of the centre from its reference in fractions of the frame's shorter side, y pointing down, and the
squash: the share of its height that the thing loses while pressed against the ground.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Offset = tuple[Tensor, Tensor, Tensor]

SIDEWAYS = 0.20  # per second
VERTICAL = 0.17  # per second
FALL = 0.34  # how deep a falling thing falls before it lands
RADIUS, TURN = 0.14, 2.125  # of a circle, and seconds per turn: one turn in 17 frames at 8 fps
HOP, HOP_SECONDS, PRESS = 0.24, 0.85, 0.16
ROLL, FRICTION = 0.46, 1.5  # how far a rolling thing comes, and how fast it slows down, per second
CORD, SWING, SWING_SECONDS = 0.36, 0.60, 1.7  # of a pendulum: length, radians to either side, period
LEAP, LEAP_SECONDS = 0.28, 0.75
DROP_SECONDS, RESTITUTION, REBOUNDS = 0.5, 0.72, 6  # of a fall through FALL, which fixes gravity
APPROACH = 0.15  # speed of things that are about to collide
GROWTH, GROWTH_SECONDS = 1.4, 2.0  # a growing thing goes from 1 / GROWTH to GROWTH of its size


def still(t: Tensor, phase: Tensor) -> Offset:
    rest = torch.zeros_like(t + phase)
    return rest, rest, rest


def left(t: Tensor, phase: Tensor) -> Offset:
    rest, _, _ = still(t, phase)
    return rest - SIDEWAYS * t, rest, rest


def right(t: Tensor, phase: Tensor) -> Offset:
    rest, _, _ = still(t, phase)
    return rest + SIDEWAYS * t, rest, rest


def up(t: Tensor, phase: Tensor) -> Offset:
    """Takes off from the ground."""
    rest, _, _ = still(t, phase)
    return rest, rest - VERTICAL * t, rest


def down(t: Tensor, phase: Tensor) -> Offset:
    """Sinks to the ground and stays there."""
    rest, _, _ = still(t, phase)
    return rest, rest + (VERTICAL * t).clamp(max=FALL), rest


def bounces(t: Tensor, phase: Tensor) -> Offset:
    """Hops of constant acceleration, pressed flat around each contact."""
    part = torch.remainder(t / HOP_SECONDS + phase, 1.0)
    height = 4 * part * (1 - part)
    squash = PRESS * (1 - 2.5 * height).clamp(min=0)
    return torch.zeros_like(height), -HOP * height, squash


def circles(t: Tensor, phase: Tensor) -> Offset:
    """Clockwise about the reference."""
    angle = 2 * math.pi * (t / TURN + phase)
    return RADIUS * angle.cos(), RADIUS * angle.sin(), torch.zeros_like(angle)


def rolls(t: Tensor, phase: Tensor) -> Offset:
    """Along the ground, slowed by friction; the first half of phases to the right."""
    rest, _, _ = still(t, phase)
    side = torch.where(phase < 0.5, 1.0, -1.0)
    return rest + side * ROLL * (1 - (-FRICTION * t).exp()), rest, rest


def swings(t: Tensor, phase: Tensor) -> Offset:
    """A pendulum; the reference is its lowest point."""
    angle = SWING * (2 * math.pi * (t / SWING_SECONDS + phase)).sin()
    return CORD * angle.sin(), CORD * (angle.cos() - 1), torch.zeros_like(angle)


def jumps(t: Tensor, phase: Tensor) -> Offset:
    """One leap, crouched before and after it."""
    part = (t - 0.2 - 0.9 * phase) / LEAP_SECONDS
    height = (4 * part * (1 - part)).clamp(min=0)
    near = torch.minimum(part.abs(), (part - 1).abs())
    return torch.zeros_like(height), -LEAP * height, PRESS * (1 - 5 * near).clamp(min=0)


def drops(t: Tensor, phase: Tensor) -> Offset:
    """Free fall, and bounces that each keep RESTITUTION of the speed (Newton's law of impact)."""
    rest, _, _ = still(t, phase)
    gravity = 2 * FALL / DROP_SECONDS**2
    height = (FALL - gravity / 2 * t.square()).clamp(min=0) + rest
    start, lasts = DROP_SECONDS, 2 * DROP_SECONDS * RESTITUTION
    for _ in range(REBOUNDS):
        since = t - start
        height = height + (gravity / 2 * since * (lasts - since)).clamp(min=0)
        start, lasts = start + lasts, lasts * RESTITUTION
    return rest, FALL - height, PRESS * (1 - 12 * height).clamp(min=0) * (t <= start)


def collides(t: Tensor, phase: Tensor) -> Offset:
    """Depends on the other thing: see `collisions`."""
    return still(t, phase)


def collisions(distance: Tensor, reach: Tensor, t: Tensor) -> Tensor:
    """How far two things of equal mass, that meet at equal speeds, have moved along x: (..., T).

    distance: (...,) to the other's centre, signed; reach: (...,) the sum of both half widths. In an elastic
    collision they exchange their velocities, so each one turns back.
    """
    contact = ((distance.abs() - reach) / (2 * APPROACH)).clamp(min=0)[..., None]
    return distance.sign()[..., None] * APPROACH * (t - 2 * (t - contact).clamp(min=0))


def growth(motion: Tensor, t: Tensor) -> Tensor:
    """(...,) motion indices, (T,) seconds -> (..., T) by which factor things are larger than their size."""
    names = list(MOVES)
    way = (motion == names.index("grows")).double() - (motion == names.index("shrinks")).double()
    share = (2 * t / GROWTH_SECONDS).clamp(max=2) - 1
    return (way[..., None] * share * math.log(GROWTH)).exp()


@dataclass(frozen=True)
class Motion:
    """A path; how far its lowest point (plus a gap for flyers) lies below the reference, which places the
    ground; and whether things with a front face left."""

    path: Callable[[Tensor, Tensor], Offset]
    drop: float
    faces_left: bool = False


MOVES = {
    "still": Motion(still, 0.0),
    "left": Motion(left, 0.0, faces_left=True),
    "right": Motion(right, 0.0),
    "up": Motion(up, 0.0),
    "down": Motion(down, FALL),
    "bounces": Motion(bounces, 0.0),
    "circles": Motion(circles, RADIUS + 0.03),
    "rolls": Motion(rolls, 0.0),
    "swings": Motion(swings, 0.10),
    "grows": Motion(still, 0.0),
    "shrinks": Motion(still, 0.0),
    "jumps": Motion(jumps, 0.0),
    "drops": Motion(drops, FALL),
    "collides": Motion(collides, 0.0),
}


def offsets(motion: Tensor, t: Tensor, phase: Tensor) -> Tensor:
    """(…,) motion indices and phases, (T,) seconds → (…, T, 3): dx, dy and squash."""
    used = list(MOVES.values())[: int(motion.max()) + 1] if motion.numel() else list(MOVES.values())
    every = torch.stack([torch.stack(move.path(t, phase[..., None]), -1) for move in used])
    index = motion[None, ..., None, None].expand(1, *every.shape[1:])
    return every.gather(0, index)[0]
