"""What things stand before: a sky by time of day, a ground, far hills, and waves that move.

Legend: x (1, W) and y (H, 1) are fractions of the frame; a picture is (H, W, 3) float in [0, 255]; p is how
far down the ground a pixel lies, 0 at the horizon and 1 at the bottom edge. Patterns are smooth and fixed in
the frame; a scene's seed only chooses one of a few VARIANTS, which shift them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor

Color = tuple[float, float, float]

HORIZON = 0.47
VARIANTS = 8
FAR = 32.0  # depth of the sky; the ground at the bottom edge has depth 1


@dataclass(frozen=True, eq=False)
class Page:
    """Pixel places of a frame, and the variant's shift in [0, 1)."""

    x: Tensor
    y: Tensor
    wide: float  # the frame's width and height in units of its shorter side
    high: float
    pixel: float  # of the frame's height
    shift: float

    @property
    def p(self) -> Tensor:
        return ((self.y - HORIZON) / (1 - HORIZON)).clamp(0, 1)

    def wave(self, cycles: float, turn: float = 0.0) -> Tensor:
        """A sine along x, shifted by the variant."""
        return (2 * math.pi * (cycles * self.x + turn + self.shift)).sin()

    def disc(self, x: float, y: float | Tensor, radius: float, flat: float = 1.0) -> Tensor:
        """Distance to a centre in units of `radius`, from 0; `flat` < 1 makes an ellipse."""
        across, down = (self.x - x) * self.wide / radius, (self.y - y) * self.high / (radius * flat)
        return (across.square() + down.square()).sqrt()

    def below(self, line: Tensor) -> Tensor:
        """Coverage of what lies below a line y(x), one pixel soft."""
        return (0.5 + (self.y - line) / self.pixel).clamp(0, 1)


def page(height: int, width: int, variant: int, margin: int = 0) -> Page:
    """The page of a frame, `margin` pixels wider on either side."""
    x = (torch.arange(width) + 0.5)[None] / width
    if margin:
        x = (torch.arange(-margin, width + margin) + 0.5)[None] / width
    y = (torch.arange(height) + 0.5)[:, None] / height
    unit = min(height, width)
    return Page(x, y, width / unit, height / unit, 1 / height, variant / VARIANTS)


def _flat(color: Color) -> Tensor:
    return torch.tensor(color)


def _over(picture: Tensor, color: Color | Tensor, cover: Tensor) -> Tensor:
    over = color if isinstance(color, Tensor) else _flat(color)
    return picture + cover[..., None] * (over - picture)


def _gradient(at: Tensor, *stops: tuple[float, Color]) -> Tensor:
    """Colours along `at` (H,1), linear between the stops."""
    picture = _flat(stops[0][1]).expand(*at.shape, 3)
    for (start, _), (end, color) in pairwise(stops):
        picture = _over(picture, color, ((at - start) / (end - start)).clamp(0, 1))
    return picture


def _soft(distance: Tensor) -> Tensor:
    """A glow: 1 at the centre, falling smoothly."""
    return (-distance.square()).exp()


# Skies


def day(page: Page) -> Tensor:
    sky = _gradient(page.y, (0.0, (84, 160, 236)), (HORIZON, (216, 238, 250)))
    for x, y in ((0.20, 0.15), (0.70, 0.24)):
        x += 0.18 * (page.shift - 0.5)
        lobes = ((0.0, 0.0, 0.085), (-0.085, 0.018, 0.055), (0.085, 0.014, 0.065))
        puffs = [page.disc(x + dx, y + dy, radius, 0.55) for dx, dy, radius in lobes]
        cover = torch.stack([((1.15 - puff) / 0.3).clamp(0, 1) for puff in puffs]).amax(0)
        sky = _over(sky, (252, 253, 255), 0.85 * cover)
    return sky


def sunset(page: Page) -> Tensor:
    violet, pink, orange, gold = (86, 66, 148), (206, 96, 140), (250, 148, 96), (255, 208, 120)
    sky = _gradient(page.y, (0.0, violet), (0.20, pink), (0.36, orange), (HORIZON, gold))
    x = _light_at(page)
    sky = _over(sky, (255, 224, 150), 0.65 * _soft(page.disc(x, 0.41, 0.20)))
    return _over(sky, (255, 246, 206), ((1.06 - page.disc(x, 0.41, 0.075)) / 0.12).clamp(0, 1))


def night(page: Page) -> Tensor:
    sky = _gradient(page.y, (0.0, (10, 16, 52)), (HORIZON, (52, 74, 132)))
    for x, y in STARS:
        sky = _over(sky, (255, 250, 230), 0.9 * _soft(page.disc(x, y, 0.0095)))
    x = _light_at(page)
    sky = _over(sky, (150, 170, 220), 0.55 * _soft(page.disc(x, 0.15, 0.15)))
    return _over(sky, (248, 244, 222), ((1.06 - page.disc(x, 0.15, 0.062)) / 0.12).clamp(0, 1))


def dawn(page: Page) -> Tensor:
    """Cool above, with the sun just coming up."""
    teal, lilac, rose, cream = (104, 146, 206), (176, 178, 224), (248, 196, 196), (255, 236, 206)
    sky = _gradient(page.y, (0.0, teal), (0.20, lilac), (0.36, rose), (HORIZON, cream))
    for x, y, turn in ((0.25, 0.13, 0.0), (0.72, 0.22, 0.4)):
        streak = page.disc(x + 0.2 * (page.shift - 0.5), y + 0.012 * page.wave(1.0, turn), 0.26, 0.085)
        sky = _over(sky, (255, 222, 214), 0.55 * (1.2 - streak).clamp(0, 1))
    x = _light_at(page)
    sky = _over(sky, (255, 244, 214), 0.75 * _soft(page.disc(x, HORIZON, 0.24)))
    return _over(sky, (255, 252, 238), ((1.06 - page.disc(x, HORIZON - 0.025, 0.07)) / 0.12).clamp(0, 1))


STARS = (
    (0.06, 0.09), (0.15, 0.27), (0.30, 0.05), (0.37, 0.33), (0.52, 0.07), (0.57, 0.24), (0.72, 0.35),
    (0.83, 0.06), (0.93, 0.25),
)  # fmt: skip


def _light_at(page: Page) -> float:
    """Where the sun or the moon stands: left or right, a little shifted."""
    side = 0.24 if page.shift < 0.5 else 0.70
    return side + 0.24 * (page.shift % 0.5)


# Grounds, in the light of day

# Where a row of blades stands (p), how tall they are, and how many fill the width
BLADES = ((0.07, 0.018, 18), (0.22, 0.030, 14), (0.45, 0.046, 11), (0.74, 0.065, 9))


def grass(page: Page) -> Tensor:
    """Rows of soft blades, taller towards the viewer."""
    ground = _gradient(page.p, (0.0, (158, 205, 104)), (1.0, (96, 166, 58)))
    for start, blade, count in BLADES:
        tooth = (2 * torch.remainder(count * page.x + 1.7 * start * count + page.shift, 1.0) - 1).abs()
        row = HORIZON + start * (1 - HORIZON)
        tips = page.below(row + blade * (tooth - 0.5))
        fade = (1 - (page.y - row) / (0.10 + 0.16 * start)).clamp(0, 1)
        ground = ground * (1 + (0.13 * fade * tips)[..., None])
        shade = (1 - tips) * (1 - (row - page.y).abs() / (2.2 * blade)).clamp(0, 1)
        ground = ground * (1 - (0.10 * shade)[..., None])
    return ground


def sand(page: Page) -> Tensor:
    """Ripples that widen towards the viewer."""
    ground = _gradient(page.p, (0.0, (250, 228, 172)), (1.0, (222, 172, 98)))
    bend = 0.55 * page.wave(1.0) + 0.25 * page.wave(2.0, 0.3)
    ripple = (2 * math.pi * 3.1 * (page.p + 0.10).log() + 1.6 * bend).sin()
    return ground * (1 + (0.085 * ripple * (page.p * 5).clamp(0, 1))[..., None])


def snow(page: Page) -> Tensor:
    """Soft drifts, each bright on its crest and blue at its foot."""
    ground = _gradient(page.p, (0.0, (238, 244, 252)), (1.0, (222, 232, 246)))
    for start, rise, count in ((0.12, 0.012, 1.5), (0.34, 0.022, 1.1), (0.66, 0.034, 0.8)):
        crest = HORIZON + start * (1 - HORIZON) + rise * page.wave(count, 3 * start)
        reach = 0.05 + 0.11 * start
        above = (1 - (crest - page.y) / reach).clamp(0, 1) * (1 - page.below(crest))
        beneath = (1 - (page.y - crest) / reach).clamp(0, 1) * page.below(crest)
        ground = _over(ground, (172, 196, 230), 0.75 * above.square())
        ground = _over(ground, (253, 254, 255), 0.85 * beneath)
    return ground


def water(page: Page) -> Tensor:
    """Calm and deep; `waves` move upon it."""
    return _gradient(page.p, (0.0, (126, 196, 222)), (0.35, (44, 134, 184)), (1.0, (18, 84, 146)))


def road(page: Page) -> Tensor:
    """Asphalt between a kerb and dashes, which widen towards the viewer."""
    ground = _gradient(page.p, (0.0, (146, 150, 160)), (0.25, (112, 116, 128)), (1.0, (84, 88, 102)))
    grain = page.wave(7.0, 0.1) * (2 * math.pi * (9 * page.p + 0.3 * page.wave(2.0))).sin()
    ground = ground * (1 + (0.025 * grain * page.p)[..., None])
    for start, stop, color in ((0.10, 0.16, (226, 224, 216)), (0.90, 0.97, (238, 196, 84))):
        ground = _over(ground, color, 0.9 * _band(page, start, stop))
    dash = (
        2
        - (torch.remainder(3 * (page.x - 0.5) / (page.p + 0.136) * 0.6 + 3 * page.shift, 1.0) - 0.5).abs() * 8
    )
    return _over(ground, (240, 238, 230), 0.92 * _band(page, 0.46, 0.52) * dash.clamp(0, 1))


def _band(page: Page, start: float, stop: float) -> Tensor:
    """Coverage of the ground between two heights."""
    top, bottom = (torch.full_like(page.x, HORIZON + p * (1 - HORIZON)) for p in (start, stop))
    return page.below(top) * (1 - page.below(bottom))


# Hills: their height above the horizon, and their colour by day


def _meadows(page: Page) -> Tensor:
    return 0.035 + 0.022 * page.wave(1.3) + 0.010 * page.wave(2.6, 0.2)


def _dunes(page: Page) -> Tensor:
    return 0.010 + 0.045 * (1 - (2 * torch.remainder(1.6 * page.x + page.shift, 1.0) - 1).abs()).square()


def _peaks(page: Page) -> Tensor:
    broad = 1 - (2 * torch.remainder(2.5 * page.x + page.shift, 1.0) - 1).abs()
    narrow = 1 - (2 * torch.remainder(3.5 * page.x + 0.4 + page.shift, 1.0) - 1).abs()
    return 0.005 + torch.maximum(0.095 * broad, 0.075 * narrow)


def _roofs(page: Page) -> Tensor:
    """The skyline of a town."""
    house = torch.tensor((5, 9, 3, 12, 7, 4, 10, 6, 14, 8, 3, 11, 5, 13, 6, 9)) * 0.008
    return house[torch.remainder(11 * page.x + 16 * page.shift, 16.0).floor().long()]


def _none(page: Page) -> Tensor:
    return torch.zeros_like(page.x)


@dataclass(frozen=True)
class Ground:
    """A ground, what rises behind it, and whether waves run over it."""

    paint: Callable[[Page], Tensor]
    hills: Callable[[Page], Tensor]
    hill_color: Color
    waves: bool = False


@dataclass(frozen=True)
class Time:
    """A time of day: its sky, and the colour of its light on the ground, on things and on wave crests."""

    sky: Callable[[Page], Tensor]
    on_ground: Color
    on_things: Color
    on_waves: Color
    haze: Color
    mirrored: float  # how much of the haze the water shows
    glitter: float  # how bright the path of the sun or the moon is


GROUND_PAINT = {
    "grass": Ground(grass, _meadows, (96, 158, 92)),
    "sand": Ground(sand, _dunes, (226, 178, 112)),
    "snow": Ground(snow, _peaks, (176, 196, 226)),
    "water": Ground(water, _none, (0, 0, 0), waves=True),
    "road": Ground(road, _roofs, (122, 130, 152)),
}
TIME_LIGHT = {
    "day": Time(day, (1, 1, 1), (1, 1, 1), (226, 246, 255), (206, 230, 246), 0.15, 0.0),
    "sunset": Time(sunset, (0.98, 0.80, 0.76), (1, 0.94, 0.90), (255, 196, 150), (250, 150, 120), 0.42, 0.6),
    "night": Time(night, (0.44, 0.47, 0.60), (0.90, 0.91, 0.98), (150, 176, 232), (48, 66, 122), 0.25, 0.6),
    "dawn": Time(dawn, (0.88, 0.84, 0.90), (1, 0.96, 0.95), (255, 226, 214), (238, 206, 214), 0.40, 0.5),
}


def _glitter(page: Page, picture: Tensor, time: str) -> Tensor:
    """The sun's or the moon's path upon the water."""
    light = TIME_LIGHT[time]
    path = _soft((page.x - _light_at(page)) * page.wide / (0.05 + 0.10 * page.p))
    path = path * (10 * page.p).clamp(max=1) * (1 - 0.55 * page.p)
    return _over(picture, light.on_waves, light.glitter * path)


def lit_ground(page: Page, ground: str, time: str) -> Tensor:
    """The ground in the light of the time."""
    light = TIME_LIGHT[time]
    picture = GROUND_PAINT[ground].paint(page) * _flat(light.on_ground)
    if not GROUND_PAINT[ground].waves:
        return _over(picture, light.haze, 0.35 * (1 - 5 * page.p).clamp(min=0).square())
    return _glitter(page, _over(picture, light.haze, light.mirrored * (1 - page.p)), time)


@lru_cache(maxsize=128)
def backdrop(ground: str, time: str, variant: int, height: int, width: int) -> Tensor:
    """(H, W, 3) uint8: sky, hills and ground without waves, painted once and kept."""
    place, light = page(height, width, variant), TIME_LIGHT[time]
    picture = light.sky(place).expand(height, width, 3)
    hills = _flat(GROUND_PAINT[ground].hill_color) * _flat(light.on_ground)
    hills = hills + 0.35 * (_flat(light.haze) - hills)
    picture = _over(picture, hills, place.below(HORIZON - GROUND_PAINT[ground].hills(place)))
    cover = place.below(torch.full_like(place.x, HORIZON))
    picture = _over(picture, lit_ground(place, ground, time), cover)
    return (picture + 0.5).clamp(0, 255).to(torch.uint8)


@lru_cache(maxsize=8)
def ground_depth(height: int) -> Tensor:
    """(H,) depth of the ground in each row of pixels, from 1 at the bottom edge to FAR at the horizon."""
    return depth_at((torch.arange(height) + 0.5) / height)


def depth_at(y: Tensor) -> Tensor:
    """Depth of the ground at height y of the frame (a plane seen in perspective): inverse to y - horizon."""
    return ((1 - HORIZON) / (y - HORIZON).clamp(min=1e-6)).clamp(max=FAR)


# Waves: two trains, each the sine of a fixed pattern minus a clip's and frame's own angle

WAVE_SPEEDS = (1.9, -1.3)  # radians per second
WAVE_TURNS = (1.0, 2.0)  # of the variant's shift


@lru_cache(maxsize=8)
def wave_patterns(height: int, width: int, margin: int = 0) -> Tensor:
    """(2, 2, h, W): sine and cosine of each train's pattern over the ground's h rows, by its strength."""
    place = page(height, width, 0, margin)
    p = place.p[height - ground_rows(height) :]
    rows = (p + 0.12).log()
    angles = (24 * rows + 1.8 * place.wave(1.0), 15 * rows + 6.5 * place.x + 0.6 * place.wave(2.0, 0.4))
    strength = (p * 7).clamp(0, 1)
    trains = [torch.stack([angle.sin(), angle.cos()]) * strength for angle in angles]
    return torch.stack(trains) * torch.tensor([0.6, 0.4])[:, None, None, None]


def ground_rows(height: int) -> int:
    """How many rows of pixels lie wholly below the horizon."""
    return height - math.ceil(HORIZON * height)


def wave_crests(t: Tensor, variant: Tensor, height: int, width: int, margin: int = 0) -> Tensor:
    """(T,) seconds and (N,) variants → (N, T, h, W) in [0, 0.6]: how brightly the crests shine."""
    patterns = wave_patterns(height, width, margin).to(t.device)
    level = torch.zeros(1, device=t.device)
    for (sine, cosine), speed, turns in zip(patterns, WAVE_SPEEDS, WAVE_TURNS, strict=True):
        angle = speed * t + (2 * math.pi * turns / VARIANTS) * variant[:, None]
        cos, sin = (rearrange(part.float(), "n t -> n t 1 1") for part in (angle.cos(), angle.sin()))
        level = level + sine * cos - cosine * sin
    return (0.55 * (level - 0.12)).clamp(min=0)
