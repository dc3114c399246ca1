"""Weather: what it does to the light, and what falls.

Rain, snow and fog put a cover of cloud over the sky, dim the ground, and hide what is far behind a veil.
Everything works on many clips at once: N clips, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from kineograph.worlds.backdrop import HORIZON, VARIANTS
from kineograph.worlds.scene import Scene

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Weather:
    """cloud: how much of the sky it covers; tone: its brightness above and at the horizon; dim: the light
    that reaches the ground; veil: how much of the ground is veiled at the horizon and at the bottom edge;
    hills, things: how much of them; fall: how fast it falls, in frames per second, and how much it covers.
    """

    cloud: float = 0.0
    tone: tuple[float, float] = (1.0, 1.0)
    dim: float = 1.0
    veil: tuple[float, float] = (0.0, 0.0)
    hills: float = 0.0
    things: float = 0.0
    fall: tuple[float, float] = (0.0, 0.0)


WEATHERS = {
    "clear": Weather(),
    "rain": Weather(0.96, (0.58, 0.80), 0.74, (0.40, 0.03), 0.45, 0.0, (1.75, 0.42)),
    "snowfall": Weather(0.94, (0.92, 1.10), 0.94, (0.60, 0.22), 0.55, 0.05, (0.24, 0.90)),
    "fog": Weather(0.96, (0.96, 1.04), 0.96, (0.94, 0.38), 0.82, 0.45),
}
CLOUDS: dict[str, Color] = {
    "day": (206, 212, 222),
    "sunset": (186, 146, 142),
    "night": (50, 56, 80),
    "dawn": (206, 192, 206),
}
SLANT = 0.22  # of rain
CELLS, SPELLS = 22, 3  # streaks of rain across the tile, and one below another
FLAKES = 34


@dataclass(frozen=True, eq=False)
class Air:
    """The weather of N clips: clouds (N, 2, 3) above and at the horizon, the others (N,) or (N, 2)."""

    clouds: Tensor
    cloud: Tensor
    dim: Tensor
    veil: Tensor
    hills: Tensor
    things: Tensor

    def veil_at(self, y: Tensor) -> Tensor:
        """(N, ...) heights in the frame → how much the air hides of what stands on the ground there."""
        p = ((y - HORIZON) / (1 - HORIZON)).clamp(0, 1)
        far, near = (end.view(-1, *[1] * (y.dim() - 1)) for end in self.veil.unbind(1))
        return near + (far - near) * (1 - p) * (1 - 0.4 * p)


def air(scenes: Sequence[Scene], device: torch.device) -> Air:
    each = [WEATHERS[scene.weather] for scene in scenes]
    base = torch.tensor([CLOUDS[scene.time] for scene in scenes], device=device)
    tone = torch.tensor([weather.tone for weather in each], device=device)
    cloud, dim, veil, hills, things = (
        torch.tensor([getattr(weather, name) for weather in each], dtype=torch.float32, device=device)
        for name in ("cloud", "dim", "veil", "hills", "things")
    )
    return Air((tone[..., None] * base[:, None]).clamp(max=252), cloud, dim, veil, hills, things)


# What falls


@lru_cache(maxsize=8)
def _rain(height: int, width: int) -> Tensor:
    """(H, W) streaks that go round the edges."""
    generator = torch.Generator().manual_seed(1)
    x = (torch.arange(width) + 0.5)[None] / width * CELLS
    y = (torch.arange(height) + 0.5)[:, None] / height * SPELLS
    cell = x.floor().long()
    start, place = torch.rand(2, CELLS, SPELLS, generator=generator)
    level = torch.zeros(height, width)
    for spell in range(SPELLS):
        down = torch.remainder(y - spell - start[cell[0], spell], SPELLS) / 0.42
        thin = ((x - cell) - (0.2 + 0.6 * place[cell[0], spell])).abs() * width / CELLS
        streak = (1.2 - thin / max(0.6, width / 260)).clamp(0, 1) * down * (down <= 1)
        level = torch.maximum(level, streak)
    return level


@lru_cache(maxsize=8)
def _flakes(height: int, width: int) -> Tensor:
    """(H, W) flakes that go round the edges."""
    unit = min(height, width)
    x, y = ((torch.arange(n) + 0.5) / unit for n in (width, height))
    places = torch.rand(FLAKES, 3, generator=torch.Generator().manual_seed(2))
    level = torch.zeros(height, width)
    for across, down, size in places.tolist():
        dx, dy = (
            torch.remainder(at - place * n / unit + n / unit / 2, n / unit) - n / unit / 2
            for at, place, n in ((x[None], across, width), (y[:, None], down, height))
        )
        radius = max(0.006 + 0.010 * size, 0.75 / unit)
        level = torch.maximum(
            level, (1.3 - (dx * dx + dy * dy).sqrt() / radius).clamp(0, 1) * (0.6 + 0.4 * size)
        )
    return level


def falling(weather: str, t: Tensor, variant: Tensor, height: int, width: int) -> Tensor:
    """(T,) seconds, (N,) variants → (N, T, H, W): how much the rain or snow covers each pixel."""
    speed, cover = WEATHERS[weather].fall
    rain = weather == "rain"
    tile = (_rain if rain else _flakes)(height, width).to(t.device)
    rows, columns = torch.arange(height, device=t.device), torch.arange(width, device=t.device)
    sway = torch.zeros_like(t) if rain else 0.02 * (2.2 * t).sin()
    layers = []
    for turn, pace in ((0.0, 1.0), (0.37, 0.72)):
        down = ((speed * pace * t + turn) * height).round().long()
        aside = ((sway + turn) * width).round().long()
        row = torch.remainder(rows - down[:, None], height)
        slant = (SLANT * rows * rain).round().long()
        column = torch.remainder(columns + slant[:, None] - aside[:, None, None], width)
        layers.append(tile[row[:, :, None], column] * (1.0 if turn == 0 else 0.8))
    level = cover * torch.maximum(*layers)
    kinds = torch.stack([level.roll(n * width // VARIANTS, -1) for n in range(VARIANTS)])
    return kinds[variant]


DROPS: dict[str, Color] = {"rain": (214, 226, 240), "snowfall": (255, 255, 255)}
ON_PAPER: Color = (150, 158, 176)


def let_fall(scenes: Sequence[Scene], t: Tensor, frames: Tensor) -> None:
    """Draw rain and snow over frames (N, T, H, W, 3), in place."""
    height, width = frames.shape[2:4]
    for weather, color in DROPS.items():
        wet = [n for n, scene in enumerate(scenes) if scene.weather == weather]
        if not wet:
            continue
        variant = torch.tensor([scenes[n].seed % VARIANTS for n in wet], device=t.device)
        cover = falling(weather, t, variant, height, width)[..., None]
        light = torch.tensor([_drop_color(scenes[n], color) for n in wet], device=t.device)
        dry = frames[wet].float()
        frames[wet] = (dry + cover * (light[:, None, None, None] - dry) + 0.5).to(torch.uint8)


def _drop_color(scene: Scene, color: Color) -> tuple[float, ...]:
    if scene.style == "sketch":
        return ON_PAPER
    light = CLOUDS[scene.time][1] / 212
    return tuple(c * (0.35 + 0.65 * min(1.0, light)) for c in color)
