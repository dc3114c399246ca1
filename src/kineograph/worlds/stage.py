"""Where the things of many clips stand, frame by frame, and the windows of pixels around them.

Legend: N clips, T frames, K = 2 slots for things, B = a group of things (things x frames), h x w a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from torch import Tensor

from kineograph.worlds import backdrop
from kineograph.worlds.motion import MOVES, offsets
from kineograph.worlds.scene import (
    COLORS,
    KINDS,
    MAX_THINGS,
    MOTIONS,
    SIZES,
    Scene,
    ground_line,
    half_extents,
)
from kineograph.worlds.shapes import SHAPES


@dataclass(frozen=True, eq=False)
class Cast:
    """The things of N clips: their looks as indices (N, K), and their places in pixels.

    present, mirrored (faces left): (N, K) bool; centre, half (width and height of the silhouette) and stretch
    (of width and height, by squash): (N, T, K, 2) float32; line: (N, K) float32, the ground's row below.
    """

    present: Tensor
    kind: Tensor
    color: Tensor
    size: Tensor
    mirrored: Tensor
    centre: Tensor
    half: Tensor
    stretch: Tensor
    line: Tensor


def _numbers(scenes: Sequence[Scene], device: torch.device) -> tuple[Tensor, Tensor]:
    """Scenes as numbers: (N, K, 5) presence, kind, colour, size, motion; (N, K, 3) x, y, phase.

    An absent thing repeats the first.
    """
    choices, places = [], []
    for scene in scenes:
        for slot in range(MAX_THINGS):
            present = slot < len(scene.things)
            thing = scene.things[slot if present else 0]
            looks = (KINDS.index(thing.kind), COLORS.index(thing.color), SIZES.index(thing.size))
            choices.append((int(present), *looks, MOTIONS.index(thing.motion)))
            places.append((thing.x, thing.y, thing.phase))
    choice = torch.tensor(choices, device=device).view(-1, MAX_THINGS, 5)
    return choice, torch.tensor(places, dtype=torch.float64, device=device).view(-1, MAX_THINGS, 3)


def cast(scenes: Sequence[Scene], t: Tensor, height: int, width: int) -> Cast:
    """The things of the scenes at (T,) float64 seconds, in frames of height x width pixels."""
    choice, place = _numbers(scenes, t.device)
    present, kind, color, size, motion = choice.unbind(-1)
    unit = min(height, width)
    half = half_extents(kind, size)
    path = rearrange(offsets(motion, t, place[..., 2]), "n k t c -> n t k c")
    moved, squash = path[..., :2], path[..., 2:]
    foot_down = torch.cat([torch.zeros_like(squash), squash * half[:, None, :, 1:]], -1)
    stretch = torch.cat([1 + 0.5 * squash, 1 - squash], -1)
    reference = place[:, None, :, :2] * torch.tensor([width, height], device=t.device)
    line = place[..., 1] * height + ground_line(motion, half[..., 1]) * unit
    return Cast(
        present=present.bool(),
        kind=kind,
        color=color,
        size=size,
        mirrored=_mirrored(kind, motion),
        centre=(reference + (moved + foot_down) * unit).float(),
        half=(half[:, None] * stretch * unit).float(),
        stretch=stretch.float(),
        line=line.clamp(min=(backdrop.HORIZON + 0.04) * height).float(),
    )


def _mirrored(kind: Tensor, motion: Tensor) -> Tensor:
    backwards = torch.tensor([move.faces_left for move in MOVES.values()], device=kind.device)
    front = torch.tensor([shape.front for shape in SHAPES.values()], device=kind.device)
    return front[kind] & backwards[motion]


@dataclass(frozen=True, eq=False)
class Actors:
    """Things of one kind and size in all their frames, flattened to B = things x frames."""

    kind: str
    size: str
    clip: Tensor  # (B,) which clip
    frame: Tensor  # (B,) which of all frames, counted through the clips
    number: Tensor  # (B,) which thing of its scene, from 1
    color: Tensor  # (B,)
    facing: Tensor  # (B,) 1 to the right, -1 to the left
    centre: Tensor  # (B, 2)
    half: Tensor  # (B, 2)
    stretch: Tensor  # (B, 2)
    line: Tensor  # (B,)


def actors(cast: Cast, clips: Tensor, slots: Tensor) -> Iterator[Actors]:
    """Group the things `slots` of `clips`, at most one of each clip, by kind and size."""
    looks = torch.stack([cast.kind[clips, slots], cast.size[clips, slots]], -1)
    for look in torch.unique(looks, dim=0):
        same = (looks == look).all(-1)
        kind, size = look.tolist()
        yield _actors(cast, KINDS[kind], SIZES[size], clips[same], slots[same])


def _actors(cast: Cast, kind: str, size: str, n: Tensor, k: Tensor) -> Actors:
    frames = cast.centre.shape[1]

    def spread(values: Tensor) -> Tensor:
        return repeat(values, "m -> (m t)", t=frames)

    def along(values: Tensor) -> Tensor:
        return rearrange(values[n, :, k], "m t c -> (m t) c")

    return Actors(
        kind=kind,
        size=size,
        clip=spread(n),
        frame=(n[:, None] * frames + torch.arange(frames, device=n.device)).flatten(),
        number=spread(k + 1),
        color=spread(cast.color[n, k]),
        facing=spread(1.0 - 2.0 * cast.mirrored[n, k].float()),
        centre=along(cast.centre),
        half=along(cast.half),
        stretch=along(cast.stretch),
        line=spread(cast.line[n, k]),
    )


@dataclass(frozen=True, eq=False)
class Window:
    """B windows of h x w pixels: `index` (B, h, w) into the flattened (clip, frame, row, column) pixels,
    and the pixels' places x (B, 1, w) and y (B, h, 1) relative to a centre."""

    index: Tensor
    x: Tensor
    y: Tensor


def window(frame: Tensor, centre: Tensor, reach: tuple[int, int], height: int, width: int) -> Window:
    """Windows that reach (x, y) pixels to either side of (B, 2) centres, moved into the frame."""

    def span(place: Tensor, reach: int, limit: int) -> Tensor:
        length = min(2 * reach + 1, limit)
        start = (place.floor().long() - reach).clamp(0, limit - length)
        return start[:, None] + torch.arange(length, device=place.device)

    columns, rows = span(centre[:, 0], reach[0], width), span(centre[:, 1], reach[1], height)
    index = ((frame[:, None] * height + rows) * width)[:, :, None] + columns[:, None]
    x, y = columns + 0.5 - centre[:, :1], rows + 0.5 - centre[:, 1:]
    return Window(index, x[:, None], y[:, :, None])
