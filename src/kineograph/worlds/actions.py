"""What somebody does who controls a thing, and the path that it takes.

An action holds for TICK seconds. `left` and `right` run, `jump` leaps if the thing stands on the ground;
whoever jumps keeps the speed of the action before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kineograph.controls import ACTIONS

__all__ = ["ACTIONS", "LEAP", "LEAP_TICKS", "REACH", "RUN", "TICK", "Played", "offsets", "play"]

TICK = 0.125
RUN = 0.32  # per second, in fractions of the frame's shorter side
LEAP, LEAP_TICKS = 0.26, 6
REACH = 0.4  # how far to either side of its start a thing may run


@dataclass(frozen=True)
class Played:
    """Where a controlled thing is at the end of every tick, from 0: its x offset; the tick at which the last
    leap began, or -LEAP_TICKS; and which way it faces."""

    x: tuple[float, ...]
    leapt: tuple[int, ...]
    facing: tuple[int, ...]


def play(actions: Sequence[str]) -> Played:
    """Follow actions tick by tick. The beginning of a longer list is played like the list itself."""
    x, leapt, facing, speed = [0.0], [-LEAP_TICKS], [1], 0
    for tick, action in enumerate(actions):
        lands = leapt[-1] + LEAP_TICKS
        if action != "jump":
            speed = {"left": -1, "right": 1}.get(action, 0)
        leapt.append(tick if action == "jump" and tick >= lands else leapt[-1])
        facing.append(speed or facing[-1])
        x.append(min(max(x[-1] + speed * RUN * TICK, -REACH), REACH))
    return Played(tuple(x), tuple(leapt), tuple(facing))


def offsets(actions: Sequence[str], t: Tensor) -> Tensor:
    """(T,) float64 seconds → (T, 3): dx, dy and the way that it faces (1 right, -1 left).

    After the last action the thing stays where it is.
    """
    played = play(actions)
    x = torch.tensor(played.x, dtype=torch.float64, device=t.device)
    tick = (t / TICK).clamp(0, len(actions))
    before = tick.floor().long()
    after = (before + 1).clamp(max=len(actions))
    share = tick - before
    start = torch.tensor(played.leapt, device=t.device)[after]
    part = (t / TICK - start) / LEAP_TICKS
    height = LEAP * (4 * part * (1 - part)).clamp(min=0)
    facing = torch.tensor(played.facing, device=t.device)[after]
    return torch.stack([x[before] + share * (x[after] - x[before]), -height, facing.double()], -1)
