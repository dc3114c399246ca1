"""Where the things of many clips stand, frame by frame, and the windows of pixels around them.

Legend: N clips, T frames, K slots for things (2, or 3 where a scene has so many), B = a group of things
(things x frames), h x w a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange, repeat
from torch import Tensor

from kineograph.worlds import actions, backdrop, figures
from kineograph.worlds.camera import CAMERAS, FOCUS, camera_path, follow
from kineograph.worlds.layout import ground_line, half_extents
from kineograph.worlds.motion import MOVES, collisions, growth, offsets
from kineograph.worlds.scene import MAX_THINGS, Scene
from kineograph.worlds.shapes import SHAPES
from kineograph.worlds.world import FULL

ROLLS, COLLIDES = FULL.motions.index("rolls"), FULL.motions.index("collides")


@dataclass(frozen=True, eq=False)
class Cast:
    """The things of N clips: their looks as indices (N, K), and their places in pixels.

    present, rolling: (N, K) bool; style: (N,) of the whole scene; centre, half (width and height of the
    silhouette) and stretch (of width and height, by squash, growth and zoom): (N, T, K, 2) float32; facing (1
    to the right, -1 to the left), scale (by growth and zoom), floor (the row of the ground below, as seen),
    turn (radians) and gait (in [0, 1) of a stride): (N, T, K) float32; line: (N, K) float32, the ground's row
    below for a camera at rest.
    """

    present: Tensor
    kind: Tensor
    color: Tensor
    size: Tensor
    rolling: Tensor
    style: Tensor
    facing: Tensor
    centre: Tensor
    half: Tensor
    stretch: Tensor
    scale: Tensor
    floor: Tensor
    turn: Tensor
    gait: Tensor
    line: Tensor


def slots(scenes: Sequence[Scene]) -> int:
    return max([MAX_THINGS, *(len(scene.things) for scene in scenes)])


def _numbers(scenes: Sequence[Scene], most: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Scenes as numbers: (N, K, 5) presence, kind, colour, size, motion; (N, K, 3) x, y, phase.

    An absent thing repeats the first.
    """
    choices, places = [], []
    for scene in scenes:
        for slot in range(most):
            present = slot < len(scene.things)
            thing = scene.things[slot if present else 0]
            looks = (
                FULL.kinds.index(thing.kind),
                FULL.colors.index(thing.color),
                FULL.sizes.index(thing.size),
            )
            choices.append((int(present), *looks, FULL.motions.index(thing.motion)))
            places.append((thing.x, thing.y, thing.phase))
    choice = torch.tensor(choices, device=device).view(-1, most, 5)
    return choice, torch.tensor(places, dtype=torch.float64, device=device).view(-1, most, 3)


def cast(scenes: Sequence[Scene], t: Tensor, height: int, width: int, most: int = MAX_THINGS) -> Cast:
    """Up to `most` things of each scene at (T,) float64 seconds, in frames of height x width pixels."""
    choice, place = _numbers(scenes, most, t.device)
    present, kind, color, size, motion = choice.unbind(-1)
    unit = min(height, width)
    half = half_extents(kind, size)
    path = rearrange(offsets(motion, t, place[..., 2]), "n k t c -> n t k c")
    moved, squash = path[..., :2], path[..., 2:]
    foot_down = torch.cat([torch.zeros_like(squash), squash * half[:, None, :, 1:]], -1)
    stretch = torch.cat([1 + 0.5 * squash, 1 - squash], -1)
    reference = place[:, None, :, :2] * torch.tensor([width, height], device=t.device)
    line = place[..., 1] * height + ground_line(motion, half[..., 1]) * unit
    line = line.clamp(min=(backdrop.HORIZON + 0.04) * height)
    alike = torch.ones_like(squash[..., 0])
    things = Cast(
        present=present.bool(),
        kind=kind,
        color=color,
        size=size,
        rolling=motion == ROLLS,
        style=torch.tensor([FULL.styles.index(scene.style) for scene in scenes], device=t.device),
        facing=1.0 - 2.0 * _mirrored(kind, motion)[:, None].float() * alike,
        centre=reference + (moved + foot_down) * unit,
        half=half[:, None] * stretch * unit,
        stretch=stretch,
        scale=alike,
        floor=line[:, None] * alike,
        turn=0 * alike,
        gait=0 * alike,
        line=line,
    )
    if int(motion.max()) >= ROLLS or int(kind.max()) >= FULL.kinds.index("robot"):
        things = _livened(things, motion, place, t, unit, width)
    things = _controlled(things, scenes, t, unit, reference[:, 0])
    things = _filmed(things, scenes, t, height, width)
    return replace(
        things,
        **{
            name: getattr(things, name).float()
            for name in ("facing", "centre", "half", "stretch", "scale", "floor", "turn", "gait", "line")
        },
    )


def _mirrored(kind: Tensor, motion: Tensor) -> Tensor:
    backwards = torch.tensor([move.faces_left for move in MOVES.values()], device=kind.device)
    front = torch.tensor([shape.front for shape in SHAPES.values()], device=kind.device)
    return front[kind] & backwards[motion]


def _livened(cast: Cast, motion: Tensor, place: Tensor, t: Tensor, unit: int, width: int) -> Cast:
    """What only the full world has: growth, rolling, limbs and collisions."""
    grown = rearrange(growth(motion, t), "n k t -> n t k")
    lift = torch.stack([torch.zeros_like(grown), (1 - grown) * cast.half[..., 1]], -1)
    strides = torch.tensor([shape.strides for shape in SHAPES.values()], device=t.device)[cast.kind]
    gait = torch.remainder(strides[:, None] * t[:, None] + place[:, None, :, 2], 1.0)
    travelled = cast.centre[..., 0] - place[:, None, :, 0] * width
    turn = (travelled / cast.half[..., 0]) * cast.rolling[:, None]

    meets = ((motion == COLLIDES) & cast.present)[:, None]
    start, reach = cast.centre[..., 0] * meets, cast.half[..., 0] * meets
    # Two things collide, or none: what all of them make together, less its own, is the other's.
    away = (start.sum(-1, keepdim=True) - 2 * start) * meets
    apart = reach.sum(-1, keepdim=True).expand_as(reach)
    bumped = collisions(away[:, 0] / unit, apart[:, 0] / unit, t).transpose(1, 2) * unit * meets
    front = torch.tensor([shape.front for shape in SHAPES.values()], device=t.device)[cast.kind]
    turned = torch.where(front[:, None] & meets & (away < 0), -1.0, cast.facing)
    return replace(
        cast,
        centre=cast.centre + lift + torch.stack([bumped, torch.zeros_like(bumped)], -1),
        half=cast.half * grown[..., None],
        stretch=cast.stretch * grown[..., None],
        scale=cast.scale * grown,
        facing=turned,
        turn=turn,
        gait=gait * (strides[:, None] > 0),
    )


def _controlled(cast: Cast, scenes: Sequence[Scene], t: Tensor, unit: int, reference: Tensor) -> Cast:
    """Move the first thing of scenes with actions as somebody says, instead of by its own motion, from its
    reference (N, K, 2)."""
    played = [n for n, scene in enumerate(scenes) if scene.actions]
    if not played:
        return cast
    paths = torch.stack([actions.offsets(scenes[n].actions, t) for n in played])
    centre, facing = cast.centre.clone(), cast.facing.clone()
    start = torch.stack([reference[n, 0] for n in played])[:, None]
    centre[played, :, 0] = start + paths[..., :2] * unit
    front = torch.tensor([shape.front for shape in SHAPES.values()], device=t.device)[cast.kind[played, 0]]
    facing[played, :, 0] = torch.where(front[:, None], paths[..., 2], 1.0)
    return replace(cast, centre=centre, facing=facing)


def _filmed(cast: Cast, scenes: Sequence[Scene], t: Tensor, height: int, width: int) -> Cast:
    """Where things are seen by a camera that moves."""
    number = torch.tensor([CAMERAS.index(scene.camera) for scene in scenes], device=t.device)
    if not number.any():
        return cast
    shift, zoom = (part[..., None] for part in camera_path(number, t).unbind(-1))
    p = ((cast.line / height - backdrop.HORIZON) / (1 - backdrop.HORIZON)).clamp(0, 1)
    aside = shift * follow(p)[:, None] * width
    focus = torch.tensor(FOCUS, device=t.device) * torch.tensor([width, height], device=t.device)
    moved = cast.centre + torch.stack([aside, torch.zeros_like(aside)], -1)
    return replace(
        cast,
        centre=focus + zoom[..., None] * (moved - focus),
        half=cast.half * zoom[..., None],
        stretch=cast.stretch * zoom[..., None],
        scale=cast.scale * zoom,
        floor=focus[1] + zoom * (cast.floor - focus[1]),
    )


def joints(cast: Cast) -> Tensor:
    """(N, T, K, J, 2) places in pixels of the joints of robots (`figures.JOINTS`), NaN for other things."""
    unit = (
        cast.half
        / torch.tensor(
            [[shape.half_width, shape.half_height] for shape in SHAPES.values()], device=cast.half.device
        )[cast.kind][:, None]
    )
    place = figures.joints(cast.gait) * unit[..., None, :]
    place = place * torch.stack([cast.facing, torch.ones_like(cast.facing)], -1)[..., None, :]
    robots = (cast.kind == FULL.kinds.index("robot")) & cast.present
    return (cast.centre[..., None, :] + place).masked_fill(~robots[:, None, :, None, None], torch.nan)


@dataclass(frozen=True, eq=False)
class Actors:
    """Things of one kind, size and style in all their frames, flattened to B = things x frames."""

    kind: str
    size: str
    style: str
    rolling: bool
    clip: Tensor  # (B,) which clip
    frame: Tensor  # (B,) which of all frames, counted through the clips
    slot: Tensor  # (B,) which thing of its scene
    color: Tensor  # (B,)
    facing: Tensor  # (B,) 1 to the right, -1 to the left
    centre: Tensor  # (B, 2)
    half: Tensor  # (B, 2)
    stretch: Tensor  # (B, 2)
    scale: Tensor  # (B,)
    floor: Tensor  # (B,)
    turn: Tensor  # (B,)
    gait: Tensor  # (B,)
    line: Tensor  # (B,)


def actors(cast: Cast, clips: Tensor, slots: Tensor) -> Iterator[Actors]:
    """Group the things `slots` of `clips`, at most one of each clip, by how they are drawn."""
    looks = torch.stack([cast.kind[clips, slots], cast.size[clips, slots]], -1)
    manner = torch.stack([cast.style[clips], cast.rolling[clips, slots].long()], -1)
    looks = torch.cat([looks, manner], -1)
    for look in torch.unique(looks, dim=0):
        same = (looks == look).all(-1)
        yield _actors(cast, look.tolist(), clips[same], slots[same])


def _actors(cast: Cast, look: list[int], n: Tensor, k: Tensor) -> Actors:
    frames = cast.centre.shape[1]
    kind, size, style, rolling = look

    def spread(values: Tensor) -> Tensor:
        return repeat(values, "m -> (m t)", t=frames)

    def along(values: Tensor) -> Tensor:
        return values[n, :, k].flatten(0, 1)

    return Actors(
        kind=FULL.kinds[kind],
        size=FULL.sizes[size],
        style=FULL.styles[style],
        rolling=bool(rolling),
        clip=spread(n),
        frame=(n[:, None] * frames + torch.arange(frames, device=n.device)).flatten(),
        slot=spread(k),
        color=spread(cast.color[n, k]),
        facing=along(cast.facing),
        centre=along(cast.centre),
        half=along(cast.half),
        stretch=along(cast.stretch),
        scale=along(cast.scale),
        floor=along(cast.floor),
        turn=along(cast.turn),
        gait=along(cast.gait),
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
