"""What else guides the filling of a canvas, on the latent grid: clips, maps, paths and actions.

Whatever is told comes as one tensor a kind, NaN where nothing is told:

    tracks (B, T, 3, 2)     x, y of the centre of each thing, in the order of the prompt, in fractions
    boxes  (B, T, 3, 4)     x0, y0, x1, y1 of each thing, in fractions
    pose   (B, T, 3, J, 2)  x, y of the joints of each robot (`worlds.figures.JOINTS`), in fractions
    depth  (B, T, g, g)     nearness: 1 for the bottom edge's ground, 0 for far away
    edges  (B, T, g, g)     1 on an outline, 0 elsewhere
    camera (B, T, 2)        shift and zoom (`worlds.camera`)
    actions (B, T, 4)       1 for the action of `worlds.actions` that leads to a frame
    source (B, t, C, h, w)  latents of a clip to be changed
    style  (B, 2 C)         mean and deviation of the latents of a clip whose style is wanted

Tracks, boxes and poses are drawn as pictures with MAP_CELL cells to a latent cell (as depth and edges come),
so that one linear layer reads them all, as it does with the canvas. Paths, actions and style join the time.
Where tracks and boxes lead each thing is kept by itself, too, so that what is said of it can be put there.

B clips, T = 1 + 4 (t - 1) frames; t latent frames, h x w latent cells, C latent channels; g = MAP_CELL h.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from kineograph.controls import ACTIONS, JOINTS, THINGS
from kineograph.models.tokenizer import TIME_STRIDE
from kineograph.worlds.camera import PAN, ZOOM
from kineograph.worlds.figures import BONES

MAP_CELL = 8
MAPS = (*(f"track {n}" for n in range(1, 4)), *(f"box {n}" for n in range(1, 4)), "pose", "depth", "edges")
MAP_VALUES = len(MAPS) * TIME_STRIDE * MAP_CELL**2  # of one latent cell
BLOB = 4.0  # cells: the deviation of the spot that a track draws, about as large as a box's filling
BONE = 0.75  # cells: that of a bone's outline
KINDS = ("tracks", "boxes", "pose", "depth", "edges", "camera", "actions", "source", "style")
PER_FRAME = KINDS[:7]
SHAPES: Mapping[str, tuple[int, ...]] = {
    "tracks": (THINGS, 2),
    "boxes": (THINGS, 4),
    "pose": (THINGS, JOINTS, 2),
    "camera": (2,),
    "actions": (len(ACTIONS),),
}

Told = Mapping[str, Tensor]


class Guides(NamedTuple):
    """What is told, folded: maps (B, t, h, w, MAP_VALUES), places (B, t, h, w, THINGS) to which each thing is
    led, source (B, t, C, h, w), signals (B, t, S)."""

    maps: Tensor
    places: Tensor
    source: Tensor
    signals: Tensor

    def bare(self, kept: Tensor | None = None) -> Guides:
        """What guidance leads away from: the same clip to be changed where it is `kept` (B,) bool, as it is
        everywhere unless told otherwise, and nothing else."""
        told = torch.zeros_like(self.signals)
        source = KINDS.index("source") - len(KINDS)
        told[..., source] = self.signals[..., source]
        source_kept = self.source
        if kept is not None:
            wide = kept.to(told)[:, None, None]
            told, source_kept = told * wide, self.source * wide[..., None, None]
        return Guides(torch.zeros_like(self.maps), torch.zeros_like(self.places), source_kept, told)

    @property
    def changing(self) -> Tensor:
        """(B,) bool: which clips are made of one to be changed, without the style of another."""
        source, style = (self.signals[..., KINDS.index(kind) - len(KINDS)] for kind in ("source", "style"))
        return source.any(dim=1) & ~style.any(dim=1)

    @staticmethod
    def joined(several: Sequence[Guides]) -> Guides:
        """Those of several batches in a row."""
        return Guides(*(torch.cat(parts) for parts in zip(*several, strict=True)))


def signals_of(channels: int) -> int:
    """How many numbers a latent frame is told beside pictures."""
    return TIME_STRIDE * (len(ACTIONS) + 3) + 2 * channels + len(KINDS)


def untold(clips: int, grid: tuple[int, int, int], channels: int) -> dict[str, Tensor]:
    """Nothing told, of every kind; `grid` is (t, h, w)."""
    groups, height, width = grid
    frames = 1 + TIME_STRIDE * (groups - 1)
    shapes = {kind: (frames, *shape) for kind, shape in SHAPES.items()}
    shapes |= {kind: (frames, height * MAP_CELL, width * MAP_CELL) for kind in ("depth", "edges")}
    shapes |= {"source": (groups, channels, height, width), "style": (2 * channels,)}
    return {kind: torch.full((clips, *shapes[kind]), torch.nan) for kind in KINDS}


def style_of(latents: Tensor) -> Tensor:
    """Mean and deviation of each channel over a clip: (B, t, C, h, w) to (B, 2 C). Such statistics hold
    the style of a picture and little of what it shows (arXiv 1703.06868)."""
    cells = latents.float().movedim(2, 1).flatten(2)
    return torch.cat([cells.mean(dim=2), cells.std(dim=2)], dim=1)


def fold_guides(told: Told) -> Guides:
    """Bring all that is told onto the latent grid."""
    maps = _maps(told)
    return Guides(maps.flatten(4), _places(told, maps), told["source"].nan_to_num(), _signals(told))


def _maps(told: Told) -> Tensor:
    """The drawn maps by latent cell (B, t, h, w, 4, len(MAPS), p, p), in the precision that is enough for
    them. Few clips are told more than a kind or two, so only what is told is drawn."""
    clips, groups, _, height, width = told["source"].shape
    shape = (clips, groups, height, width, TIME_STRIDE, len(MAPS), MAP_CELL, MAP_CELL)
    maps = told["source"].new_zeros(shape, dtype=torch.bfloat16)
    for kind, (place, draw) in DRAWN.items():
        rows = any_told(told, kind)
        if bool(rows.any()):
            drawn = draw(told[kind][rows], (height * MAP_CELL, width * MAP_CELL)).nan_to_num()
            maps[rows, ..., place, :, :] = rearrange(
                _from_groups_start(drawn.to(maps.dtype)),
                "b (t r) c (h p) (w q) -> b t h w r c p q",
                r=TIME_STRIDE,
                p=MAP_CELL,
                q=MAP_CELL,
            )
    return maps


def _places(told: Told, maps: Tensor) -> Tensor:
    """How much of a latent cell the spot or the box of each thing covers, in the frame in which that is most:
    (B, t, h, w, THINGS)."""
    places = maps.new_zeros(*maps.shape[:4], THINGS)
    rows = any_told(told, "tracks") | any_told(told, "boxes")
    if bool(rows.any()):
        drawn = maps[rows][..., : 2 * THINGS, :, :].mean(dim=(6, 7)).amax(dim=4)
        places[rows] = torch.unflatten(drawn, -1, (2, THINGS)).amax(dim=-2)
    return places


def any_told(told: Told, kind: str) -> Tensor:
    """(B,) bool: whether anything of the kind is told of a clip."""
    return ~told[kind].flatten(1).isnan().all(dim=1)


def _from_groups_start(values: Tensor) -> Tensor:
    """Values of frames (B, T, ...) with zeros for those that fill up the first group: (B, 4 t, ...)."""
    return torch.cat([torch.zeros_like(values[:, : TIME_STRIDE - 1]), values], dim=1)


def _signals(told: Told) -> Tensor:
    groups = told["source"].shape[1]
    moves = [told["actions"], _carried(told["actions"]), _moved(told["camera"])]
    frames = _from_groups_start(torch.cat(moves, dim=-1).nan_to_num())
    in_groups = rearrange(frames, "b (t r) v -> b t (r v)", r=TIME_STRIDE)
    style = told["style"].nan_to_num()[:, None].expand(-1, groups, -1)
    return torch.cat([in_groups, style, *(_is_told(told, kind)[..., None] for kind in KINDS)], dim=-1)


def _carried(actions: Tensor) -> Tensor:
    """(B, T, 1): how far to the right the actions so far lead, in the steps of a whole window."""
    left, right = (actions.nan_to_num()[..., [ACTIONS.index(way)]] for way in ("left", "right"))
    return (right - left).cumsum(dim=1) / actions.shape[1]


def _moved(camera: Tensor) -> Tensor:
    """Shift and zoom (B, T, 2) in whole moves of the world's cameras: as loud as actions are."""
    shift, zoom = camera.unbind(-1)
    return torch.stack([shift / PAN, zoom.log() / math.log(ZOOM)], dim=-1)


def _is_told(told: Told, kind: str) -> Tensor:
    """(B, t): 1 where something of the kind is told."""
    groups, values = told["source"].shape[1], told[kind]
    if kind == "style":
        return (~values.isnan().all(dim=1)).float()[:, None].expand(-1, groups)
    known = (~values.flatten(2).isnan().all(dim=2)).float()
    if kind == "source":
        return known
    return torch.unflatten(_from_groups_start(known), 1, (groups, TIME_STRIDE)).amax(dim=2)


# Maps


def _spots(tracks: Tensor, size: tuple[int, int]) -> Tensor:
    """A soft spot at each place (..., 2): (..., height, width)."""
    across, down = (
        (-((_middles(side, tracks) - tracks[..., i, None] * side) ** 2) / (2 * BLOB**2)).exp()
        for i, side in enumerate(size[::-1])
    )
    return down[..., :, None] * across[..., None, :]


def _filled(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """How much of each cell lies in each box (..., 4): (..., height, width)."""
    across, down = (
        _overlap(boxes[..., i, None] * side, boxes[..., i + 2, None] * side, side)
        for i, side in enumerate(size[::-1])
    )
    return down[..., :, None] * across[..., None, :]


def _overlap(start: Tensor, stop: Tensor, side: int) -> Tensor:
    left = torch.arange(side, device=start.device)
    return (torch.minimum(stop, left + 1.0) - torch.maximum(start, left.float())).clamp(0, 1)


def _skeletons(pose: Tensor, size: tuple[int, int]) -> Tensor:
    """The bones of all robots of a clip (B, T, K, J, 2), drawn soft: (B, T, 1, height, width)."""
    height, width = size
    ends = torch.unflatten(pose * pose.new_tensor([width, height]), 2, (pose.shape[2],))
    start, stop = (ends[..., [bone[i] for bone in BONES], :] for i in (0, 1))
    (x, across), (y, down) = (
        (_middles(side, pose) - start[..., i, None], (stop - start)[..., i, None])
        for i, side in ((0, width), (1, height))
    )
    long = (across.square() + down.square()).clamp(min=1e-6)
    along = (x * across / long)[..., None, :] + (y * down / long)[..., None]
    along.clamp_(0, 1)
    beside = (x[..., None, :] - along * across[..., None]).square_()
    beside += (y[..., None] - along * down[..., None]).square_()
    drawn = beside.mul_(-1 / (2 * BONE**2)).nan_to_num_(nan=-torch.inf)
    return drawn.amax(dim=(2, 3)).exp_()[:, :, None]


def _middles(side: int, like: Tensor) -> Tensor:
    return torch.arange(side, device=like.device) + 0.5


Drawing = Callable[[Tensor, tuple[int, int]], Tensor]

# Where each kind stands among MAPS, and how it is drawn: (B, T, how many, height, width) in [0, 1].
DRAWN: Mapping[str, tuple[slice, Drawing]] = {
    "tracks": (slice(0, 3), _spots),
    "boxes": (slice(3, 6), _filled),
    "pose": (slice(6, 7), _skeletons),
    "depth": (slice(7, 8), lambda near, size: near[:, :, None]),
    "edges": (slice(8, 9), lambda lines, size: lines[:, :, None]),
}

# Guides to train on

# How often a row that may be guided is told a kind first of all; what there is no truth of is passed over.
FIRST = {
    "tracks": 8,
    "boxes": 3,
    "pose": 3,
    "depth": 2,
    "edges": 2,
    "camera": 8,
    "actions": 100,  # few clips have any
    "source": 14,
    "style": 40,
}
ALSO = 0.08  # how often each other kind is told too
# What captions leave open where a guide tells it: by attribute, the kinds that do. A source tells all of the
# setting that is not to change.
TELL_OF: Mapping[str, tuple[str, ...]] = {
    "setting": ("source",),
    "motion": ("tracks", "boxes", "pose", "depth", "edges"),
    "camera": ("camera",),
    "style": ("style",),
}
THING = 0.8  # how often each thing is among those of which tracks and boxes tell


def draw_told(truth: Told, silent: Tensor, draw: torch.Generator) -> dict[str, Tensor]:
    """Tell a part of the truth (B rows of every kind), at random, and nothing in `silent` (B,) of the times;
    where a style is told, that comes with a source, so that the style of one clip is brought to another."""
    rows = len(truth["source"])
    known = torch.stack([any_told(truth, kind) for kind in KINDS], dim=1).cpu()
    weights = torch.tensor([FIRST[kind] for kind in KINDS]).float() * known + 1e-9
    first = torch.multinomial(weights, 1, generator=draw)
    told = torch.rand(rows, len(KINDS), generator=draw) < ALSO
    told.scatter_(1, first, True)
    style, source = KINDS.index("style"), KINDS.index("source")
    told[:, source] |= told[:, style] & known[:, source]
    told &= torch.rand(rows, 1, generator=draw) >= silent[:, None]
    things = torch.rand(rows, 1, THINGS, 1, generator=draw) < THING
    values = {kind: _kept(truth[kind], told[:, number]) for number, kind in enumerate(KINDS)}
    for kind in ("tracks", "boxes"):
        values[kind] = values[kind].masked_fill(~things.to(values[kind].device), torch.nan)
    return values


def _kept(values: Tensor, told: Tensor) -> Tensor:
    beside = (slice(None), *[None] * (values.dim() - 1))
    return values.masked_fill(~told[beside].to(values.device), torch.nan)
