"""Things with limbs: a robot that walks and a bird that flaps (see `paint` for the legend)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kineograph.worlds.paint import Paint, assembled, inside, limb, rounded_box

Joint = tuple[Tensor, Tensor]

HIP, SHOULDER, HEAD = (0.0, 0.22), (0.0, -0.34), (0.02, -0.74)
THIGH, SHIN, ARM = 0.38, 0.40, 0.52
STEP, BEND, REACH = 0.52, 0.60, 0.60  # radians that hips, knees and shoulders turn
BEAT = 0.58  # how far the tips of wings go up and down
JOINTS = (
    "head",
    "shoulder",
    "hip",
    "near knee",
    "near foot",
    "far knee",
    "far foot",
    "near hand",
    "far hand",
)
BONES = ((0, 1), (1, 2), (2, 3), (3, 4), (2, 5), (5, 6), (1, 7), (1, 8))  # which of JOINTS they join


def _leg(gait: Tensor) -> tuple[Joint, Joint]:
    """Knee and foot of a leg that is `gait` of a stride ahead; the knee bends as it comes forward."""
    angle = 2 * math.pi * gait
    thigh = STEP * angle.sin()
    shin = thigh - BEND * angle.cos().clamp(min=0)
    knee = HIP[0] + THIGH * thigh.sin(), HIP[1] + THIGH * thigh.cos()
    return knee, (knee[0] + SHIN * shin.sin(), knee[1] + SHIN * shin.cos())


def _hand(gait: Tensor) -> Joint:
    angle = REACH * (2 * math.pi * gait).sin()
    return SHOULDER[0] + ARM * angle.sin(), SHOULDER[1] + ARM * angle.cos()


def joints(gait: Tensor) -> Tensor:
    """(...,) shares of a stride → (..., J, 2) places of JOINTS, in sizes of the robot, facing right."""
    near, far = _leg(gait), _leg(gait + 0.5)
    fixed = [tuple(torch.full_like(gait, c) for c in point) for point in (HEAD, SHOULDER, HIP)]
    every = [*fixed, *near, *far, _hand(gait + 0.5), _hand(gait)]
    return torch.stack([torch.stack(point, -1) for point in every], -2)


def robot(u: Tensor, v: Tensor, k: Tensor, gait: Tensor) -> Paint:
    """A toy of tin, seen from its side: antenna, one eye, arms and legs that swing."""
    (knee, foot), (far_knee, far_foot) = _leg(gait), _leg(gait + 0.5)
    shade = 0.98 - 0.16 * v
    far_leg = torch.minimum(limb(u, v, HIP, far_knee, 0.12), limb(u, v, far_knee, far_foot, 0.11))
    near_leg = torch.minimum(limb(u, v, HIP, knee, 0.14), limb(u, v, knee, foot, 0.13))
    torso = rounded_box(u, v + 0.10, 0.36, 0.36, 0.13)
    head = rounded_box(u - HEAD[0], v - HEAD[1], 0.34, 0.25, 0.12)
    paint = assembled(
        k,
        (limb(u, v, SHOULDER, _hand(gait), 0.10), 0.55, 0.0),
        (far_leg, 0.55, 0.0),
        (limb(u, v, (0.0, -0.95), (0.0, -1.04), 0.045), 0.0, 0.45),
        (near_leg, 0.86, 0.0),
        (limb(u, v, (0.0, -0.56), (0.0, -0.42), 0.13), 0.55, 0.0),
        (torso, shade, 0.05),
        (head, shade, 0.08),
        (limb(u, v, SHOULDER, _hand(gait + 0.5), 0.115), 1.0, 0.03),
    )
    eye = limb(u, v, (0.06, HEAD[1] - 0.02), (0.26, HEAD[1] - 0.02), 0.085)
    lamp = ((u - 0.24).square() + (v - HEAD[1] + 0.02).square()).sqrt() - 0.055
    return paint.mark(inside(eye, k), 0.0, 0.10).mark(inside(lamp, k), 0.0, 0.95)


def bird(u: Tensor, v: Tensor, k: Tensor, gait: Tensor) -> Paint:
    """A round bird, seen from its side, with wings that beat."""
    beat = (2 * math.pi * gait).sin()
    tip, far_tip = (-0.34 + 0.10 * beat.abs(), -0.06 - BEAT * beat), (0.10, -0.10 - 0.9 * BEAT * beat)
    paint = assembled(
        k,
        (limb(u, v, (0.16, -0.10), far_tip, 0.20, 0.07), 0.60, 0.0),
        (limb(u, v, (-0.40, 0.08), (-1.00, -0.10), 0.16, 0.09), 0.80, 0.0),
        (limb(u, v, (0.84, -0.18), (1.06, -0.14), 0.10, 0.035), 0.30, 0.45),
        (limb(u, v, (-0.28, 0.10), (0.34, 0.04), 0.30, 0.34), 0.96 - 0.30 * v, 0.04),
        (limb(u, v, (0.56, -0.20), (0.66, -0.20), 0.27), 1.0 - 0.15 * v, 0.04),
        (limb(u, v, (0.10, -0.04), tip, 0.25, 0.09), 0.82, 0.02),
    )
    eye = ((u - 0.72).square() + (v + 0.26).square()).sqrt()
    return paint.mark(inside(eye - 0.085, k), 0.0, 0.95).mark(inside(eye - 0.055, k), 0.0, 0.05)
