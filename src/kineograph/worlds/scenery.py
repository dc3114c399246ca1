"""Backdrops in weather, in a style and before a moving camera: many clips at once.

A backdrop has three layers, painted once on a page wider than the frame: sky, hills and ground. A camera that
moves looks at each through its own shift: the ground row by row, the nearer the faster.

Legend: N clips, T frames, H x W the frame, W' the page's width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from kineograph.worlds import backdrop
from kineograph.worlds.backdrop import GROUND_PAINT, HORIZON, TIME_LIGHT, VARIANTS
from kineograph.worlds.camera import CAMERAS, FOCUS, HILLS, PAN, SKY, camera_path, follow
from kineograph.worlds.scene import Scene
from kineograph.worlds.styles import STYLES, Style, luma
from kineograph.worlds.weather import air

LAYERS_KEPT = 256  # pictures of layers that are kept, as uint8


def margin(width: int) -> int:
    """How much wider than the frame the page is on either side, in pixels."""
    return math.ceil(1.05 * PAN * width) + 2


@lru_cache(maxsize=LAYERS_KEPT)
def _sky(time: str, variant: int, height: int, width: int) -> Tensor:
    """(3, H, W') uint8."""
    page = backdrop.page(height, width, variant, margin(width))
    picture = TIME_LIGHT[time].sky(page).expand(height, page.x.shape[1], 3)
    return rearrange((picture + 0.5).clamp(0, 255).to(torch.uint8), "h w c -> c h w")


@lru_cache(maxsize=LAYERS_KEPT)
def _ground(ground: str, time: str, variant: int, height: int, width: int) -> Tensor:
    """(3, H, W') uint8."""
    page = backdrop.page(height, width, variant, margin(width))
    picture = backdrop.lit_ground(page, ground, time).expand(height, page.x.shape[1], 3)
    return rearrange((picture + 0.5).clamp(0, 255).to(torch.uint8), "h w c -> c h w")


@lru_cache(maxsize=LAYERS_KEPT)
def _hills(ground: str, variant: int, height: int, width: int) -> Tensor:
    """(2, H, W') coverage of the hills, and of the line along their top."""
    page = backdrop.page(height, width, variant, margin(width))
    rise = GROUND_PAINT[ground].hills(page)
    top = HORIZON - rise
    cover = page.below(top)
    line = (1.3 - (page.y - top).abs() / (1.1 * page.pixel)).clamp(0, 1) * (rise > 0)
    return torch.stack([cover, line])


@lru_cache(maxsize=16)
def _lines(style: str, height: int, width: int) -> Tensor:
    """(3, H, W') coverage of the ground, of the line along the horizon, and the style's texture."""
    page = backdrop.page(height, width, 0, margin(width))
    flat = torch.full_like(page.x, HORIZON)
    line = (1.3 - (page.y - flat).abs() / (1.1 * page.pixel)).clamp(0, 1)
    texture = STYLES[style].texture
    lines = torch.zeros_like(line) if texture is None else texture(page).expand_as(line)
    return torch.stack([page.below(flat), line, lines])


def _mix(under: Tensor, over: Tensor, share: Tensor) -> Tensor:
    return under + share * (over - under)


def _column(values: Tensor, dims: int = 4) -> Tensor:
    """(N, ...) as something that broadcasts over pictures with `dims` axes."""
    return values.view(*values.shape, *[1] * (dims - values.dim()))


@dataclass(frozen=True, eq=False)
class Layers:
    """Painted pages: sky (N, 3, H, W'), hills and ground (N, 4, H, W') with coverage as the fourth."""

    sky: Tensor
    hills: Tensor
    ground: Tensor


def layers(scenes: Sequence[Scene], style: str, height: int, width: int, device: torch.device) -> Layers:
    """The pages of scenes of one style, in their weather."""
    looks = [(scene.ground, scene.time, scene.seed % VARIANTS) for scene in scenes]
    size, weather, how = (height, width), air(scenes, device), STYLES[style]
    y = ((torch.arange(height, device=device) + 0.5) / height)[:, None]
    above, below = (_column(end) for end in weather.clouds.unbind(1))
    cloud = _mix(above, below, (y / HORIZON).clamp(max=1))

    sky = torch.stack([_sky(time, v, *size) for _, time, v in looks]).to(device).float()
    sky = _mix(sky, cloud, _column(weather.cloud))

    shapes = torch.stack([_hills(ground, v, *size) for ground, _, v in looks]).to(device)
    hills = _column(torch.stack([_hill_color(ground, time) for ground, time, _ in looks]).to(device))
    hills = hills * (1 - 0.12 * (1 - y / HORIZON).clamp(min=0) / 0.2)
    hills = _mix(hills * _column(weather.dim), below, _column(weather.hills)).expand_as(sky)

    ground = torch.stack([_ground(*look, *size) for look in looks]).to(device).float()
    veil = weather.veil_at(y[None].expand(len(scenes), -1, -1))[:, None]
    ground = _mix(ground * _column(weather.dim), below, veil)

    cover, horizon, texture = _lines(style, height, width).to(device)
    sky, hills, ground = (_texture(how.colors(picture), texture, how) for picture in (sky, hills, ground))
    hills = _draw_line(hills, shapes[:, 1:], how)
    ground = _draw_line(ground, horizon, how)
    whole = cover.expand(len(scenes), 1, -1, -1)
    return Layers(sky, torch.cat([hills, shapes[:, :1]], 1), torch.cat([ground, whole], 1))


def _hill_color(ground: str, time: str) -> Tensor:
    light = TIME_LIGHT[time]
    color = torch.tensor(GROUND_PAINT[ground].hill_color) * torch.tensor(light.on_ground)
    return color + 0.35 * (torch.tensor(light.haze) - color)


def _draw_line(picture: Tensor, line: Tensor, style: Style) -> Tensor:
    if not style.stroke:
        return picture
    ink = torch.tensor(style.ink, dtype=torch.float32, device=picture.device)[:, None, None]
    return _mix(picture, ink, style.stroke * line)


def _texture(picture: Tensor, texture: Tensor, style: Style) -> Tensor:
    """Darken (or, where bold is positive, light up) the picture along the style's texture."""
    if style.texture is None:
        return picture
    dark, light = style.bold
    share = dark + (light - dark) * luma(picture) * (1 / 255)
    if dark < 0:
        return picture * (1 + texture * share)
    return _mix(picture, (picture * 3.2 + 24).clamp(max=255), texture * share)


def _look(scenes: Sequence[Scene], t: Tensor, height: int, width: int, blocks: int) -> dict[str, Tensor]:
    """Where on the pages each pixel looks: `y` (N, T, H), `x` (N, T, W) before the `shift` (N, T), all in
    fractions of the frame; snapped to blocks."""
    number = torch.tensor([CAMERAS.index(scene.camera) for scene in scenes], device=t.device)
    shift, zoom = camera_path(number, t).float().unbind(-1)
    x, y = (_snapped(length, min(height, width), blocks, t.device) / length for length in (width, height))
    x = FOCUS[0] + (x - FOCUS[0]) / zoom[..., None]
    y = FOCUS[1] + (y - FOCUS[1]) / zoom[..., None]
    return {"x": x, "y": y, "shift": shift}


def _snapped(length: int, unit: int, blocks: int, device: torch.device) -> Tensor:
    """Centres of pixels; those of one block share the block's centre."""
    place = torch.arange(length, device=device) + 0.5
    return snap(place, unit, blocks)


def snap(place: Tensor, unit: int, blocks: int) -> Tensor:
    """Places in pixels, moved to the centre of their block; as they are if there are no blocks."""
    side = max(2, round(unit / blocks)) if blocks else 0
    return ((place / side).floor() + 0.5) * side if side else place


def _through(page: Tensor, look: dict[str, Tensor], share: Tensor | float, size: tuple[int, int]) -> Tensor:
    """Pages (N, C, H, W') as seen: (N, C, T, H, W). share: how much of the shift they follow, by row."""
    height, width = size
    moved = look["shift"][..., None] * share
    rows = look["y"].shape[2]
    x = look["x"][:, :, None] - moved.expand(-1, -1, rows)[..., None]
    y = look["y"][..., None].expand_as(x)
    half = page.shape[-1] / 2
    at = torch.stack([(x * width + margin(width) - half) / half, 2 * y - 1], -1)
    flat = rearrange(at, "n t h w c -> n (t h) w c")
    seen = F.grid_sample(page, flat, mode="bilinear", padding_mode="border", align_corners=False)
    return rearrange(seen, "n c (t h) w -> n c t h w", h=height)


def _waves(
    scenes: Sequence[Scene], t: Tensor, look: dict[str, Tensor], p: Tensor, size: tuple[int, int]
) -> Tensor:
    """How brightly crests shine on each pixel: (N, 1, T, H, W)."""
    height, width = size
    variant = torch.tensor([scene.seed % VARIANTS for scene in scenes], device=t.device)
    crests = backdrop.wave_crests(t, variant, height, width, margin(width))
    above = crests.new_zeros(*crests.shape[:2], height - crests.shape[2], crests.shape[3])
    pages = rearrange(torch.cat([above, crests], 2), "n t h w -> (n t) 1 h w")
    frames = len(t)
    each = {
        name: values.expand(-1, frames, *values.shape[2:]).flatten(0, 1)[:, None]
        for name, values in look.items()
    }
    seen = _through(pages, each, follow(p).expand(-1, frames, -1).flatten(0, 1)[:, None], size)
    return rearrange(seen, "(n t) c 1 h w -> n c t h w", t=frames)


def _paint(scenes: Sequence[Scene], t: Tensor, size: tuple[int, int]) -> Tensor:
    """Backdrops (N, T, H, W, 3) uint8 of scenes of one style, all with waves or none."""
    name = scenes[0].style
    style, wet = STYLES[name], GROUND_PAINT[scenes[0].ground].waves
    pages = layers(scenes, name, *size, t.device)
    look = _look(scenes, t, *size, style.blocks)
    p = ((look["y"] - HORIZON) / (1 - HORIZON)).clamp(0, 1)
    picture = _through(pages.sky, look, SKY, size)
    hills = _through(pages.hills, look, HILLS, size)
    picture = _mix(picture, hills[:, :3], hills[:, 3:])
    near = _through(pages.ground, look, follow(p), size)
    color = near[:, :3]
    if wet:
        crests = torch.tensor([TIME_LIGHT[scene.time].on_waves for scene in scenes], device=t.device)
        light = style.colors(_column(crests.float()))
        color = _mix(color, light[:, :, None], _waves(scenes, t, look, p, size))
    picture = _mix(picture, color, near[:, 3:])
    return rearrange((picture + 0.5).clamp(0, 255).to(torch.uint8), "n c t h w -> n t h w c")


def fill(scenes: Sequence[Scene], t: Tensor, frames: Tensor, everything: bool = False) -> None:
    """Paint the backdrops of all scenes, or of those that aren't in the small world, into frames
    (N, T, H, W, 3)."""
    groups: dict[tuple[str, bool, bool], list[int]] = {}
    for n, scene in enumerate(scenes):
        if everything or not scene.in_small_world:
            wet, moves = GROUND_PAINT[scene.ground].waves, scene.camera != "static"
            groups.setdefault((scene.style, wet, moves), []).append(n)
    for (_, wet, moves), members in groups.items():
        times = t if wet or moves else t[:1]
        frames[members] = _paint([scenes[n] for n in members], times, (frames.shape[2], frames.shape[3]))


def rows_seen(scenes: Sequence[Scene], t: Tensor, height: int) -> list[tuple[int, Tensor]]:
    """Clips whose camera moves, with the height (T, H) of what their rows of pixels see."""
    moving = [n for n, scene in enumerate(scenes) if scene.camera != "static"]
    if not moving:
        return []
    rows = _look([scenes[n] for n in moving], t, height, height, 0)["y"]
    return list(zip(moving, rows, strict=True))
