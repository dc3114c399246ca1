"""Matched filters for the things of the full world, in any color, light and veil.

A sprite is drawn once per style as cover, body and gloss; its pixels are body * own color + gloss * light +
cover * air. So one set of correlations serves every color: see `gains`.

Legend: S sprites, C colors, T frames, h x w the grid, f = h x (w / 2 + 1) frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from einops import reduce
from torch import Tensor

from kineograph.worlds.backdrop import HORIZON, TIME_LIGHT
from kineograph.worlds.grids import soften
from kineograph.worlds.paint import Paint
from kineograph.worlds.scene import Scene
from kineograph.worlds.shapes import PALETTE, SHAPES, TURNED
from kineograph.worlds.styles import STYLES
from kineograph.worlds.weather import air
from kineograph.worlds.world import FULL

LADDER = tuple(0.0725 * 1.19**step for step in range(10))  # sizes that are tried
# Shares of a stride that look different; of round things, 0.5 is what they look like on average as they roll.
POSES = {"robot": (0.0, 0.25), "bird": (0.0, 0.25, 0.75), "ball": (0.0, 0.5), "ring": (0.0, 0.5)}
TURNING = 1 - TURNED / 2  # how bright a thing is that rolls, on average
FINE = 3  # points per pixel of the grid, along either axis
VEILED_AT = 0.62  # where things stand, as a rule, from the horizon to the bottom edge


@dataclass(frozen=True)
class Look:
    """One way that a thing may look, but for its color."""

    kind: str
    pose: float
    rung: int  # of LADDER
    facing: float

    @property
    def extent(self) -> float:
        return LADDER[self.rung]


@lru_cache(maxsize=1)
def looks() -> tuple[Look, ...]:
    return tuple(
        Look(kind, pose, rung, facing)
        for kind in FULL.kinds
        for pose in POSES.get(kind, (0.0,))
        for rung in range(len(LADDER))
        for facing in ((1.0, -1.0) if SHAPES[kind].front else (1.0,))
    )


@lru_cache(maxsize=8)
def _places(grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Fine places (w') and (h') relative to the first pixel's centre, negative in the second half."""

    def wrapped(length: int) -> Tensor:
        place = (torch.arange(length * FINE) + 0.5) / FINE - 0.5
        return (place + length / 2) % length - length / 2

    return wrapped(grid[1]), wrapped(grid[0])


@lru_cache(maxsize=4096)
def sprite(look: Look, style: str, grid: tuple[int, int], pixels: int) -> Tensor:
    """(3, h, w) cover, cover * body and cover * gloss around the first pixel, as seen in a clip whose shorter
    side has this many pixels."""
    unit = look.extent * min(grid)
    x, y = _places(grid)
    shape = SHAPES[look.kind]
    reach = 1.1 * max(shape.half_width, shape.half_height) * unit + 1
    columns, rows = (torch.nonzero(place.abs() <= reach)[:, 0] for place in (x, y))
    u, v = look.facing * x[columns][None, None] / unit, y[rows][None, :, None] / unit
    gait = (torch.full((1, 1, 1), look.pose),) if shape.strides else ()
    paint = shape.draw(u, v, torch.full((1, 1, 1), unit * FINE), *gait)
    if look.pose and not shape.strides:
        paint = Paint(paint.cover, TURNING * paint.body, TURNING * paint.gloss, paint.distance)
    paint = STYLES[style].thing(paint, u, v, torch.full((1, 1, 1), look.extent * pixels))
    drawn = torch.zeros(3, len(y), len(x))
    drawn[:, rows[:, None], columns] = torch.cat(
        [paint.cover, paint.cover * paint.body, paint.cover * paint.gloss]
    )
    return soften(reduce(drawn, "c (h a) (w b) -> c h w", "mean", a=FINE, b=FINE))


@lru_cache(maxsize=2048)
def _spectra(look: Look, style: str, grid: tuple[int, int], pixels: int) -> Tensor:
    """(9, f) conjugate spectra of cover A, body B, gloss G, and of AA, AB, AG, BB, BG, GG."""
    a, b, g = sprite(look, style, grid, pixels)
    planes = torch.stack([a, b, g, a * a, a * b, a * g, b * b, b * g, g * g])
    spectra: Tensor = torch.fft.rfft2(planes)
    return spectra.conj().resolve_conj()


@dataclass(frozen=True, eq=False)
class Dyes:
    """What turns sprites into pixels of one clip: own (C, 3), light and air (3,), scaled like the frames."""

    own: Tensor
    light: Tensor
    air: Tensor


def dyes(setting: Scene) -> Dyes:
    """The colors of things in a setting, under its usual veil."""
    tint = torch.tensor(TIME_LIGHT[setting.time].on_things) / 127.5
    weather = air([setting], torch.device("cpu"))
    veil = weather.things * weather.veil_at(torch.tensor([HORIZON + (1 - HORIZON) * VEILED_AT]))
    below = STYLES[setting.style].colors(weather.clouds[0, 1][:, None, None])[:, 0, 0] / 127.5
    palette = torch.tensor([PALETTE[color] for color in FULL.colors])
    return Dyes((1 - veil) * palette * tint, (1 - veil) * 255 * tint, veil * below - 1)


def low(spectra: Tensor, grid: tuple[int, int]) -> Tensor:
    """The lower frequencies of spectra: those of the same maps on a smaller grid."""
    height, width = grid
    half = spectra[..., : width // 2 + 1]
    return torch.cat([half[..., : (height + 1) // 2, :], half[..., -(height // 2) :, :]], -2)


def evidence(behind: Tensor, rest: Tensor, weight: Tensor, dye: Dyes) -> Tensor:
    """What `gains` needs to know of the frames: (T, 13, f) spectra, from (T, 3, h, w) and (T, h, w)."""
    light, haze = dye.light[:, None, None], dye.air[:, None, None]
    ones = torch.ones_like(weight)
    on_gloss = 2 * (light * rest).sum(1)
    on_cover = 2 * (haze * rest).sum(1) - 2 * (rest * behind).sum(1)
    on_cover_gloss = 2 * (light * behind).sum(1)
    on_cover_cover = 2 * (haze * behind).sum(1) - behind.square().sum(1) - haze.square().sum() * ones
    on_gloss_gloss = -light.square().sum() * ones
    planes = torch.stack([on_gloss, on_cover, on_cover_gloss, on_cover_cover, on_gloss_gloss, ones], 1)
    planes = torch.cat([planes, 2 * rest, 2 * behind], 1)
    spectra: Tensor = torch.fft.rfft2(weight[:, None] * planes)
    return spectra


def gains(
    seen: Tensor,
    some: tuple[Look, ...],
    style: str,
    dye: Dyes,
    grid: tuple[int, int],
    pixels: int,
    small: bool,
) -> Tensor:
    """(S, C, T, h w): by how much each sprite in each color, at each place, beats the backdrop.

    Over a backdrop b, a sprite of cover A and pixels s = own B + light G + air A leaves |rest - (s - A b)|²
    of the |rest|² that b leaves alone. Expanded, the difference is a constant, one term linear in the own
    color for each channel, and one that is quadratic: five correlations for all colors.
    """
    bank = torch.stack([_spectra(look, style, grid, pixels) for look in some])
    if small:
        grid = grid[0] // 2, grid[1] // 2
        bank, seen = low(bank, grid), low(seen, grid)
    a, b, g, aa, ab, ag, bb, bg, gg = (bank[:, None, plane] for plane in range(9))
    on_gloss, on_cover, on_cover_gloss, on_cover_cover, on_gloss_gloss, ones = (
        seen[None, :, plane] for plane in range(6)
    )
    fixed = on_gloss * g + on_cover * a + on_cover_gloss * ag + on_cover_cover * aa + on_gloss_gloss * gg
    ga = 2 * float((dye.light * dye.air).sum())
    fixed = fixed - ga * ones * ag
    linear = [
        seen[None, :, 6 + c] * b + seen[None, :, 9 + c] * ab - 2 * ones * (light * bg + haze * ab)
        for c, (light, haze) in enumerate(zip(dye.light.tolist(), dye.air.tolist(), strict=True))
    ]
    maps = [torch.fft.irfft2(part, s=grid).flatten(2) for part in (fixed, *linear, ones * bb)]
    own = dye.own.to(maps[0].dtype)
    coefficients = torch.cat([torch.ones(len(own), 1), own, -own.square().sum(1, keepdim=True)], 1)
    stacked = torch.stack(maps, 1)
    total: Tensor = torch.einsum("cm,smtp->sctp", coefficients, stacked)
    return total
