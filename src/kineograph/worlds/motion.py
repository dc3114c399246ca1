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
}


def offsets(motion: Tensor, t: Tensor, phase: Tensor) -> Tensor:
    """(…,) motion indices and phases, (T,) seconds → (…, T, 3): dx, dy and squash."""
    every = torch.stack([torch.stack(move.path(t, phase[..., None]), -1) for move in MOVES.values()])
    index = motion[None, ..., None, None].expand(1, *every.shape[1:])
    return every.gather(0, index)[0]
