"""Read a clip of the world: which things it shows, how they look and move, on what ground and when.

Knows the world (its backdrops, sprites and motions) but nothing of the clip's scene, and has no network. The
backdrop is the nearest of the known ones. Things are found with matched filters: at every place, how much
better does a sprite explain the pixels than the backdrop with its shadows and waves does? The one that
explains most is taken out, and the search goes on in what is left.

Legend: T frames, C sprites, h and w a grid of pooled pixels, colors scaled to [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import torch
from einops import rearrange, reduce
from numpy.typing import NDArray
from torch import Tensor

from kineograph.worlds import surroundings
from kineograph.worlds.backdrop import GROUND_PAINT, TIME_LIGHT, VARIANTS, backdrop
from kineograph.worlds.finding import Sighting, find
from kineograph.worlds.grids import below_horizon, grid_of, pool, scaled, shaded, soften
from kineograph.worlds.motion import offsets
from kineograph.worlds.paths import motion_of, size_of
from kineograph.worlds.scene import COLORS, GROUNDS, KINDS, MOTIONS, SIZES, TIMES
from kineograph.worlds.shapes import EXTENTS, PALETTE, SHAPES
from kineograph.worlds.world import SMALL, World

GRID, BACKDROP_GRID = 64, 32  # the grids' shorter sides
GLANCE = 6  # frames in which all sprites are tried
SHORTLIST = 8  # sprites that are then tried in every frame, facing either way
MOST_THINGS = 3  # one more than the world shows, so that a wrong count comes out
LEAST_GAIN = 0.004  # squared error per pixel that a thing must explain where it is seen
LEAST_SHARE = 0.1  # and of the squared error that the backdrop leaves there
LEAST_SEEN = 0.3  # share of a thing that must not be hidden by those found before
LEAST_TIME = 0.2  # share of the frames in which a thing must be seen
TAKEN = 0.03  # cover by a thing from which on a pixel is no longer searched
WAVE = 0.6  # the most that waves cover
STILL = 0.02  # root mean square deviation from the mean place, in fractions of the shorter side
FACINGS = (1.0, -1.0)
LOOKS = tuple(product(KINDS, SIZES, COLORS, FACINGS))


@dataclass(frozen=True, eq=False)
class DetectedThing:
    """One thing as seen. track: (T, 2) centre x, y in fractions of the frame, NaN where it isn't seen."""

    kind: str
    color: str
    size: str
    motion: str
    track: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Detection:
    """What a clip shows, the clearest thing first."""

    things: tuple[DetectedThing, ...]
    ground: str
    time: str
    weather: str = "clear"
    style: str = "plain"
    camera: str = "static"


@dataclass(frozen=True, eq=False)
class _View:
    """A clip on the grid, read as far as its backdrop."""

    backdrop: Tensor  # (T, 3, h, w)
    rest: Tensor  # (T, 3, h, w) what the backdrop leaves of the frames
    ground: str
    time: str

    @property
    def grid(self) -> tuple[int, int]:
        return self.rest.shape[2], self.rest.shape[3]


@dataclass(frozen=True, eq=False)
class _Sighting:
    """A sprite where it fits best in each frame."""

    look: int
    centre: Tensor  # (T, 2) column and row on the grid
    cover: Tensor  # (T, h, w)
    seen: Tensor  # (T,) bool


def detect(clips: NDArray[np.uint8] | Tensor, fps: float = 8.0, world: World = SMALL) -> list[Detection]:
    """Read clips (N, T, H, W, 3) uint8 sRGB at `fps` frames per second, each by itself, as clips of a world.

    Things that leave no mark that a sprite explains are not reported, more than one beyond what the world
    shows neither.
    """
    read = _detect if world == SMALL else _detect_in_full
    return [read(clip, fps) for clip in torch.as_tensor(clips).cpu()]


def _detect_in_full(clip: Tensor, fps: float) -> Detection:
    _, height, width, _ = clip.shape
    unit = min(height, width)
    view = surroundings.view(clip, fps)
    setting = view.setting

    def told(sighting: Sighting) -> DetectedThing:
        size, _ = size_of(sighting, setting.camera, fps)
        motion = motion_of(sighting, setting.camera, fps, (width / unit, height / unit))
        return DetectedThing(sighting.kind, sighting.color, size, motion, sighting.centre.float().numpy())

    things = tuple(told(sighting) for sighting in find(view, unit))
    return Detection(things, setting.ground, setting.time, setting.weather, setting.style, setting.camera)


def _detect(clip: Tensor, fps: float) -> Detection:
    view = _view(clip)
    weight = torch.ones_like(view.rest[:, 0])
    things: list[DetectedThing] = []
    while len(things) < MOST_THINGS and (sighting := _search(view, weight)):
        things.append(_thing(view, sighting, fps))
        weight = weight * (sighting.cover < TAKEN)
    return Detection(tuple(things), view.ground, view.time)


# The backdrop


@lru_cache(maxsize=8)
def _backdrops(height: int, width: int, grid: tuple[int, int]) -> dict[tuple[str, str, int], Tensor]:
    """Every backdrop (3, h, w), pooled from height x width pixels."""
    places = list(product(GROUNDS, TIMES, range(VARIANTS)))
    pictures = torch.stack([backdrop(*place, height, width) for place in places])
    return dict(zip(places, soften(pool(scaled(pictures), grid)), strict=True))


def _view(clip: Tensor) -> _View:
    _, height, width, _ = clip.shape
    grid, small = grid_of(height, width, GRID), grid_of(height, width, BACKDROP_GRID)
    frames = soften(pool(scaled(clip), grid))
    usual = pool(frames, small).median(0).values
    known = _backdrops(height, width, small)
    # Things cover part of the backdrop: no pixel may count for more than a little.
    misfit = (usual - torch.stack(list(known.values()))).abs().clamp(max=0.3).mean((1, 2, 3))
    place = list(known)[int(misfit.argmin())]
    behind = _backdrops(height, width, grid)[place]
    ground, time, _ = place
    behind = _under_waves_and_shadows(frames, behind, ground, time)
    return _View(behind, frames - behind, ground, time)


def _under_waves_and_shadows(frames: Tensor, behind: Tensor, ground: str, time: str) -> Tensor:
    """The backdrop (3, h, w) as (T, 3, h, w), under whatever wave and shadow suit each pixel best."""
    if GROUND_PAINT[ground].waves:
        on_ground = below_horizon(frames.shape[-2])
        crest = torch.tensor(TIME_LIGHT[time].on_waves)[:, None, None] / 127.5 - 1 - behind
        wave = ((frames - behind) * crest).sum(1, keepdim=True) / crest.square().sum(0)
        behind = behind + (wave.clamp(0, WAVE) * on_ground) * crest
    return shaded(frames, behind)


# Things


@lru_cache(maxsize=8)
def _sprites(grid: tuple[int, int], time: str) -> Tensor:
    """(C, 4, h, w) cover and premultiplied color of LOOKS, centred on the first pixel, around the edges."""
    fine = 4
    y, x = (_wrapped(length, fine) for length in grid)
    light = torch.tensor(TIME_LIGHT[time].on_things)
    own, shine = (
        rearrange(c * light, "... c -> ... 1 c 1 1")
        for c in (torch.tensor([PALETTE[color] for color in COLORS]), 255)
    )
    sprites = []
    for kind, size in product(KINDS, SIZES):
        unit = EXTENTS[size] * min(grid)
        u, v = torch.tensor(FACINGS)[:, None, None] * x / unit, y[:, None].expand(2, -1, 1) / unit
        paint = SHAPES[kind].draw(u, v, torch.full((2, 1, 1), unit * fine))
        cover, body, gloss = (part[:, None] for part in (paint.cover, paint.body, paint.gloss))
        color = (own * body + shine * gloss).clamp(0, 255) / 127.5 - 1
        layers = torch.cat([cover.expand(len(own), -1, -1, -1, -1), cover * color], 2)
        sprites.append(
            reduce(layers, "own facing c (h a) (w b) -> (own facing) c h w", "mean", a=fine, b=fine)
        )
    return soften(torch.cat(sprites))


def _wrapped(length: int, fine: int) -> Tensor:
    """Places of `fine` points per pixel relative to the first pixel's centre, negative in the second half."""
    place = (torch.arange(length * fine) + 0.5) / fine - 0.5
    return (place + length / 2) % length - length / 2


@lru_cache(maxsize=8)
def _filters(grid: tuple[int, int], time: str) -> Tensor:
    """(C, 9, h, w/2 + 1) spectra of what `_gains` needs to know of the sprites, plane by plane."""
    sprites = _sprites(grid, time)
    cover, color = sprites[:, :1], sprites[:, 1:]
    square = color.square().sum(1, keepdim=True)
    planes = torch.cat([2 * color, -2 * cover, 2 * cover * color, -cover.square(), -square], 1)
    spectra: Tensor = torch.fft.rfft2(planes)
    return spectra.conj().resolve_conj()


def _evidence(view: _View, weight: Tensor) -> Tensor:
    """(T, 9, h, w/2 + 1) spectra of what `_gains` needs to know of the frames."""
    behind, rest = view.backdrop, view.rest
    cross, square = ((behind * other).sum(1, keepdim=True) for other in (rest, behind))
    planes = torch.cat([rest, cross, behind, square, torch.ones_like(square)], 1)
    spectra: Tensor = torch.fft.rfft2(weight[:, None] * planes)
    return spectra


def _gains(evidence: Tensor, filters: Tensor, grid: tuple[int, int]) -> Tensor:
    """(C, T, h w) squared error that each sprite at each place explains beyond the backdrop.

    Over a backdrop b, a sprite of color s and cover a leaves |rest - a (s - b)|² of the |rest|² that b leaves
    alone. The weighted sum of the difference, expanded, is a correlation in each of nine planes.
    """
    spectrum = evidence[None, :, 0] * filters[:, None, 0]
    for plane in range(1, evidence.shape[1]):
        spectrum.addcmul_(evidence[None, :, plane], filters[:, None, plane])
    gains: Tensor = torch.fft.irfft2(spectrum, s=grid)
    return gains.flatten(2)


def _low(spectra: Tensor, grid: tuple[int, int]) -> Tensor:
    """The lower frequencies of spectra: those of the same maps on a smaller grid."""
    height, width = grid
    half = spectra[..., : width // 2 + 1]
    return torch.cat([half[..., : (height + 1) // 2, :], half[..., -(height // 2) :, :]], -2)


@lru_cache(maxsize=8)
def _glance_filters(grid: tuple[int, int], time: str) -> Tensor:
    """(C/2, 9, h/2, w/4 + 1) lower frequencies of the filters of the looks that face right.

    Which way a thing faces hardly matters at a glance.
    """
    return _low(_filters(grid, time)[::2], (grid[0] // 2, grid[1] // 2))


def _search(view: _View, weight: Tensor) -> _Sighting | None:
    """The sprite that explains most, if any explains enough: a glance at all, then a close look at a few."""
    evidence = _evidence(view, weight)
    return _look_closely(view, weight, evidence, _glance(view, evidence))


def _glance(view: _View, evidence: Tensor) -> Tensor:
    """The looks that explain most of a few frames on half the grid."""
    frames = torch.linspace(0, len(evidence) - 1, GLANCE).round().long()
    half = view.grid[0] // 2, view.grid[1] // 2
    gain = _gains(_low(evidence[frames], half), _glance_filters(view.grid, view.time), half).amax(2).sum(1)
    facing_right = 2 * gain.topk(SHORTLIST).indices
    return torch.cat([facing_right, facing_right + 1])


def _look_closely(view: _View, weight: Tensor, evidence: Tensor, few: Tensor) -> _Sighting | None:
    """The one of a few looks that explains most of all frames, if it is seen long and clearly enough."""
    gain, place = _gains(evidence, _filters(view.grid, view.time)[few], view.grid).max(2)
    best = int(gain.clamp(min=0).sum(1).argmax())
    look, gain = int(few[best]), gain[best]
    row, column = place[best] // view.grid[1], place[best] % view.grid[1]
    sprite = _sprites(view.grid, view.time)[look, 0]
    cover = torch.stack([sprite.roll(at, (0, 1)) for at in zip(row.tolist(), column.tolist(), strict=True)])
    in_sight = (cover * weight).sum((1, 2)) > LEAST_SEEN * sprite.sum()
    seen = in_sight & (gain > LEAST_GAIN * sprite.sum())
    left = (cover * weight * view.rest.square().sum(1)).sum((1, 2))
    if seen.float().mean() < LEAST_TIME or gain[seen].sum() < LEAST_SHARE * left[seen].sum():
        return None
    return _Sighting(look, torch.stack([column, row], 1), cover, seen)


def _thing(view: _View, sighting: _Sighting, fps: float) -> DetectedThing:
    kind, size, color, _ = LOOKS[sighting.look]
    height, width = view.grid
    centre = (sighting.centre + 0.5).masked_fill(~sighting.seen[:, None], torch.nan)
    motion = _motion(centre / min(height, width), fps)
    return DetectedThing(kind, color, size, motion, (centre / torch.tensor([width, height])).numpy())


# Motion


@lru_cache(maxsize=8)
def _paths(frames: int, fps: float) -> tuple[tuple[str, ...], Tensor]:
    """The motions' names and paths (P, T, 2): hops and circles in many phases, fast, slow and backwards."""
    t = torch.arange(frames, dtype=torch.float64) / fps
    phases = torch.arange(24, dtype=torch.float64) / 24
    names, paths = [], []
    for motion, tempo in product(range(len(MOTIONS)), (1.0, 0.85, 1.2, -0.85, -1.0, -1.2)):
        periodic = MOTIONS[motion] in ("bounces", "circles")
        if MOTIONS[motion] == "still" or (tempo != 1 and not periodic):
            continue
        path = offsets(torch.full(phases.shape, motion), tempo * t, phases)[: None if periodic else 1, :, :2]
        names += [MOTIONS[motion]] * len(path)
        paths.append(path.float())
    return tuple(names), torch.cat(paths)


def _motion(track: Tensor, fps: float) -> str:
    """The motion whose path, moved and scaled, lies nearest to a track (T, 2), NaN where nothing is known."""
    seen = ~track.isnan().any(1)
    place = track[seen] - track[seen].mean(0)
    if not seen.any() or place.square().sum(1).mean().sqrt() < STILL:
        return "still"
    names, paths = _paths(len(track), fps)
    paths = paths[:, seen] - paths[:, seen].mean(1, keepdim=True)
    scale = (place * paths).sum((1, 2)) / paths.square().sum((1, 2)).clamp(min=1e-9)
    misfit = (place - scale.clamp(0.3, 2)[:, None, None] * paths).square().sum((1, 2))
    return names[int(misfit.argmin())]
