"""Read how a robot holds its limbs: in which of many strides does it explain the pixels best, where it was
found? Legend: see `sprites`; G strides, J joints.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kineograph.worlds.figures import joints
from kineograph.worlds.finding import Sighting
from kineograph.worlds.sprites import LADDER, Look, dyes, sprite
from kineograph.worlds.surroundings import View
from kineograph.worlds.world import FULL

STRIDES = 24  # that are tried


def joints_of(view: View, robot: Sighting, pixels: int) -> Tensor:
    """(T, J, 2) x, y of the joints (`figures.JOINTS`) in fractions of the frame, NaN where the robot is not
    seen; `pixels` is the clip's shorter side."""
    gaits = [_gait(view, robot, frame, pixels) if seen else 0.0 for frame, seen in enumerate(robot.seen)]
    height, width = view.grid
    scale = min(height, width) * robot.extent[:, None] / torch.tensor([width, height])
    place = joints(torch.tensor(gaits)) * torch.tensor([robot.facing, 1.0]) * scale[:, None]
    return (robot.centre[:, None] + place).masked_fill(~robot.seen[:, None, None], math.nan)


def _gait(view: View, robot: Sighting, frame: int, pixels: int) -> float:
    """The share of a stride that leaves least of a frame."""
    setting, dye = view.setting, dyes(view.setting)
    rung = min(range(len(LADDER)), key=lambda number: abs(LADDER[number] - float(robot.extent[frame])))
    looks = [Look("robot", stride / STRIDES, rung, robot.facing) for stride in range(STRIDES)]
    height, width = view.grid
    column, row = (robot.centre[frame] * torch.tensor([width, height]) - 0.5).round().long().tolist()
    drawn = torch.stack([sprite(look, setting.style, view.grid, pixels) for look in looks])
    cover, body, gloss = drawn.roll((row, column), (2, 3))[:, :, None].unbind(1)
    own, light, air = (
        color[:, None, None] for color in (dye.own[FULL.colors.index(robot.color)], dye.light, dye.air)
    )
    left = view.rest[frame] - (body * own + gloss * light + cover * (air - view.backdrop[frame]))
    return int(left.square().sum((1, 2, 3)).argmin()) / STRIDES
