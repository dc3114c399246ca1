"""Find the things of a clip of the full world, one after another, the clearest first.

At every place, how much better does a sprite explain the pixels than the backdrop? The one that explains most
is taken out, and the search goes on in what is left. Legend: see `sprites`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kineograph.worlds.shapes import SHAPES
from kineograph.worlds.sprites import LADDER, Dyes, Look, dyes, evidence, gains, looks, sprite
from kineograph.worlds.surroundings import View
from kineograph.worlds.world import FULL

GLANCE = 5  # frames in which all sprites are tried
SHORTLIST = 4  # kinds in a color that are then tried in every frame
NEAR = 2  # rungs of the ladder to either side of what the glance found
MOST_THINGS = FULL.most_things + 1  # one more than there are, so that a wrong count comes out
LEAST_GAIN = 0.004  # squared error per pixel that a thing must explain where it is seen
MOST_LEFT = 0.75  # share of the squared error before the backdrop that it may leave
NOT_SHADOW = 20.0  # how much more it may leave than if all that is dark were shadow
FORGIVEN = 0.3  # how strongly a lift of all of its pixels counts against a color
TOUCHED = 0.01  # cover from which a pixel counts as touched by a sprite
LEAST_SEEN = 0.3  # share of a thing that must not be hidden by those found before
LEAST_TIME = 0.2  # share of the frames in which a thing must be seen


@dataclass(frozen=True, eq=False)
class Sighting:
    """A thing where it fits best in each frame.

    centre: (T, 2) x, y in fractions of the frame; extent: (T,) its size in fractions of the shorter side;
    seen: (T,) bool; cover: (T, h, w).
    """

    kind: str
    color: str
    facing: float
    centre: Tensor
    extent: Tensor
    seen: Tensor
    cover: Tensor


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A kind in a color, and between which rungs of the ladder its size lies."""

    kind: str
    color: int
    rungs: tuple[int, int]


def find(view: View, pixels: int) -> list[Sighting]:
    """All things in view; `pixels` is the clip's shorter side."""
    weight, dye = torch.ones_like(view.rest[:, 0]), dyes(view.setting)
    found: list[Sighting] = []
    while len(found) < MOST_THINGS:
        seen = evidence(view.backdrop, view.rest, weight, dye)
        sighting = _look_closely(view, weight, seen, dye, _glance(view, seen, dye, pixels), pixels)
        if sighting is None:
            break
        found.append(sighting)
        weight = weight * (_around(sighting) < 0.03)
    return found


def _around(sighting: Sighting) -> Tensor:
    """(T, h, w) what a thing covers, with its surroundings: wider where limbs may be in another pose."""
    reach = 2 if SHAPES[sighting.kind].strides else 1
    widened: Tensor = F.max_pool2d(sighting.cover[:, None], 2 * reach + 1, 1, reach)[:, 0]
    return widened


def _glance(view: View, seen: Tensor, dye: Dyes, pixels: int) -> list[_Candidate]:
    """The kinds in a color that explain most of a few frames on half the grid."""
    frames = torch.linspace(0, len(seen) - 1, GLANCE).round().long()
    right = tuple(look for look in looks() if look.facing > 0)
    gain = gains(seen[frames], right, view.setting.style, dye, view.grid, pixels, small=True).amax(3)
    scores, rungs = [], []
    for kind in FULL.kinds:
        own = [number for number, look in enumerate(right) if look.kind == kind]
        best, which = gain[own].max(0)
        scores.append(best.clamp(min=0).sum(1))
        rungs.append(torch.tensor([right[number].rung for number in own])[which])
    few = torch.stack(scores).flatten().topk(SHORTLIST).indices.tolist()
    every = len(FULL.colors)
    return [_candidate(index // every, index % every, rungs) for index in few]


def _candidate(kind: int, color: int, rungs: list[Tensor]) -> _Candidate:
    own = rungs[kind][color]
    low, high = int(own.min()), int(own.max())
    if high - low > 6:  # a glance that was lost: trust the middle
        low = high = int(own.median())
    slack = NEAR - (high - low > 1)
    return _Candidate(FULL.kinds[kind], color, (max(low - slack, 0), min(high + slack, len(LADDER) - 1)))


def _look_closely(
    view: View, weight: Tensor, seen: Tensor, dye: Dyes, few: list[_Candidate], pixels: int
) -> Sighting | None:
    """The best of a few candidates in all frames, if it is seen long and clearly enough."""
    best: tuple[float, tuple[Look, ...], Tensor, Tensor] | None = None
    for kind in dict.fromkeys(candidate.kind for candidate in few):
        alike = [candidate for candidate in few if candidate.kind == kind]
        low, high = min(c.rungs[0] for c in alike), max(c.rungs[1] for c in alike)
        for facing in (1.0, -1.0) if SHAPES[kind].front else (1.0,):
            some = tuple(
                look
                for look in looks()
                if look.kind == kind and look.facing == facing and low <= look.rung <= high
            )
            own = Dyes(dye.own[[c.color for c in alike]], dye.light, dye.air)
            gain, place = gains(seen, some, view.setting.style, own, view.grid, pixels, small=False).max(3)
            for number in range(len(alike)):
                total = float(gain[:, number].amax(0).clamp(min=0).sum())
                if best is None or total > best[0]:
                    best = total, some, gain[:, number], place[:, number]
    assert best is not None
    _, some, gain, place = best
    return _sighting(view, weight, some, gain, place, pixels)


def _color(view: View, weight: Tensor, drawn: Tensor) -> int:
    """The color that leaves least of a thing drawn (T, 3, h, w) as cover, body and gloss.

    A little more or less light on all of it is forgiven: small things are mostly outline.
    """
    dye = dyes(view.setting)
    cover, body, gloss = (part[:, None] for part in drawn.unbind(1))
    light, haze = dye.light[:, None, None], dye.air[:, None, None]
    mask = weight[:, None] * (cover > TOUCHED)
    own = mask * (view.rest + cover * view.backdrop - light * gloss - haze * cover)
    left = own - mask * body * dye.own[:, None, :, None, None]
    lift = (left * cover).sum((1, 2, 3, 4)) / (3 * (mask * cover * cover).sum()).clamp(min=1e-6)
    lift = lift / (1 + FORGIVEN)
    error = (left - mask * cover * lift[:, None, None, None, None]).square().sum((1, 2, 3, 4))
    error = error + FORGIVEN * lift.square() * 3 * (mask * cover * cover).sum()
    return int(error.argmin())


def _sighting(
    view: View, weight: Tensor, some: tuple[Look, ...], gain: Tensor, place: Tensor, pixels: int
) -> Sighting | None:
    height, width = view.grid
    gain, which = gain.max(0)
    place = place.gather(0, which[None])[0]
    row, column = place // width, place % width
    chosen = [some[number] for number in which.tolist()]
    whole = [sprite(look, view.setting.style, view.grid, pixels) for look in chosen]
    at = zip(whole, row.tolist(), column.tolist(), strict=True)
    drawn = torch.stack([one.roll((down, across), (1, 2)) for one, down, across in at])
    cover = drawn[:, 0]
    area = cover.sum((1, 2))
    in_sight = (cover * weight).sum((1, 2)) > LEAST_SEEN * area
    seen = in_sight & (gain > LEAST_GAIN * area)
    touched = weight * (cover > TOUCHED)
    left = (touched * view.rest.square().sum(1)).sum((1, 2))
    doubt = (touched * view.doubt).sum((1, 2))
    after = (left - gain)[seen].sum()
    explained = after < MOST_LEFT * left[seen].sum() and after < NOT_SHADOW * doubt[seen].sum()
    if seen.float().mean() < LEAST_TIME or not explained:
        return None
    centre = (torch.stack([column, row], 1) + 0.5) / torch.tensor([width, height])
    extent = torch.tensor([look.extent for look in chosen])
    return Sighting(
        chosen[0].kind,
        FULL.colors[_color(view, weight * seen[:, None, None], drawn)],
        chosen[0].facing,
        centre.masked_fill(~seen[:, None], math.nan),
        extent.masked_fill(~seen, math.nan),
        seen,
        cover,
    )
