"""What is known of rendered clips, packed small for shards, and unpacked as guides to train on.

field     packed                   unpacked (see `models.guides`)
tracks    (N, T, 3, 2) float32     the same
boxes     (N, T, 3, 4) float32     the same
pose      (N, T, 3, J, 2) float32  the same
camera    (N, T, 2) float32        the same
actions   (N, T) uint8             (N, T, 4), one action to a frame, NaN where nobody acts (255)
depth     (N, T, g/2, g/2) uint8   (N, T, g, g) nearness
edges     (N, T, g, g/8) uint8     (N, T, g, g), one bit a cell
manner    (N,) uint8               number of how it looks, see `manner_of`
partner   (N,) int8                where the clip's partner stands, from here
kind      (N,) uint8               of the first thing: clips can be balanced by it
color     (N,) uint8               the same
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kineograph.controls import ACTIONS, THINGS
from kineograph.data.lessons import Lesson
from kineograph.models.guides import MAP_CELL
from kineograph.models.tokenizer import SPACE_STRIDE
from kineograph.worlds.renderer import Rendered
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import FULL, World

NOBODY = 255  # no action
CELL = SPACE_STRIDE // MAP_CELL  # pixels along the side of a map's cell
FIELDS = ("tracks", "boxes", "pose", "camera", "actions", "depth", "edges", "manner", "partner")
LOOKS = ("kind", "color")


def pack(rendered: Rendered, lessons: Sequence[Lesson], world: World = FULL) -> dict[str, Tensor]:
    """The truth about rendered lessons of a world, in `FIELDS` and `LOOKS`; plates tell of no things."""
    frames = rendered.frames.shape[1]
    left_out = torch.tensor([not lesson.things for lesson in lessons])
    return {
        "tracks": _slots(rendered.tracks, left_out),
        "boxes": _slots(rendered.boxes, left_out),
        "pose": _slots(rendered.joints, left_out),
        "camera": rendered.camera,
        "actions": torch.tensor([_actions(lesson, frames) for lesson in lessons], dtype=torch.uint8),
        "depth": _nearness(rendered.depth),
        "edges": _bits(rendered.edges),
        "manner": _numbers([manner_of(lesson.scene, world) for lesson in lessons]),
        "partner": torch.tensor([lesson.partner for lesson in lessons], dtype=torch.int8),
        "kind": _numbers([FULL.kinds.index(lesson.scene.things[0].kind) for lesson in lessons]),
        "color": _numbers([FULL.colors.index(lesson.scene.things[0].color) for lesson in lessons]),
    }


def manner_of(scene: Scene, world: World) -> int:
    """The number of how it looks as a whole: of its style or, in a world of one style, of its ground and time
    of day."""
    if len(world.styles) > 1:
        return world.styles.index(scene.style)
    return world.grounds.index(scene.ground) * len(world.times) + world.times.index(scene.time)


def _numbers(values: Sequence[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.uint8)


def unpack(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Packed fields of some clips as guides of every kind that stands in them."""
    told = {name: fields[name] for name in ("tracks", "boxes", "pose", "camera")}
    acts = fields["actions"].long()
    one_hot = F.one_hot(acts.where(acts != NOBODY, 0), len(ACTIONS)).float()
    told["actions"] = one_hot.masked_fill((acts == NOBODY)[..., None], torch.nan)
    told["depth"] = (fields["depth"].float() / 255).repeat_interleave(2, -1).repeat_interleave(2, -2)
    told["edges"] = torch.from_numpy(np.unpackbits(fields["edges"].numpy(), axis=-1)).float()
    return told


def _slots(values: Tensor, left_out: Tensor) -> Tensor:
    """(N, T, K, ...) with THINGS slots, the added ones and those of clips that are left out NaN."""
    missing = THINGS - values.shape[2]
    added = values.new_full((*values.shape[:2], missing, *values.shape[3:]), torch.nan)
    slots = torch.cat([values, added], dim=2)
    slots[left_out] = torch.nan
    return slots


def _actions(lesson: Lesson, frames: int) -> list[int]:
    if not lesson.scene.actions:
        return [NOBODY] * frames
    numbers = [ACTIONS.index(action) for action in ("none", *lesson.scene.actions)][:frames]
    return numbers + [0] * (frames - len(numbers))


def _nearness(depth: Tensor) -> Tensor:
    near = F.avg_pool2d(1 / depth.float(), 2 * CELL)
    return (near * 255).round().clamp(0, 255).to(torch.uint8)


def _bits(edges: Tensor) -> Tensor:
    cells = F.max_pool2d(edges.float(), CELL) > 0
    return torch.from_numpy(np.packbits(cells.numpy(), axis=-1))
