"""Read a clip of the full world as far as its surroundings: ground, time, weather, style and camera.

The first frame is compared with every backdrop that there is; the best few are then filmed with every camera
and compared with the clip. What is chosen is painted again, with all that moves in it.

Legend: T frames, L looks, h and w a grid of pooled pixels, colors scaled to [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from kineograph.worlds import scenery
from kineograph.worlds.backdrop import VARIANTS
from kineograph.worlds.camera import FOCUS, ZOOM
from kineograph.worlds.grids import grid_of, pool, scaled, shaded, soften
from kineograph.worlds.scene import Scene, Thing
from kineograph.worlds.weather import let_fall
from kineograph.worlds.world import FULL

GRID, LOOK_GRID = 64, 32  # the grids' shorter sides
MOST = 0.3  # how much a pixel may count: things cover part of the backdrop
SHORTLIST = 2  # looks, at either zoom, that are filmed
GLANCES = 3  # frames in which the cameras are compared
AT_ONCE = 256  # looks that are painted together
NOBODY = Thing("ball", "red", "small", "still", 0.5, 0.5)


@dataclass(frozen=True, eq=False)
class View:
    """A clip on the grid, read as far as its backdrop: `setting` is a scene that shows it."""

    backdrop: Tensor  # (T, 3, h, w)
    rest: Tensor  # (T, 3, h, w) what the backdrop leaves of the frames
    doubt: Tensor  # (T, h, w) the squared error that is left if all that may be shadow is
    setting: Scene

    @property
    def grid(self) -> tuple[int, int]:
        return self.rest.shape[2], self.rest.shape[3]


@lru_cache(maxsize=1)
def _settings() -> tuple[Scene, ...]:
    every = product(FULL.styles, FULL.grounds, FULL.times, FULL.weathers, range(VARIANTS))
    return tuple(
        Scene((NOBODY,), ground, time, variant, weather, style)
        for style, ground, time, weather, variant in every
    )


@lru_cache(maxsize=4)
def _looks(height: int, width: int) -> Tensor:
    """Every backdrop at rest, pooled, (L, 3, h, w)."""
    settings, grid = _settings(), grid_of(height, width, LOOK_GRID)
    now, parts = torch.zeros(1, dtype=torch.float64), []
    for start in range(0, len(settings), AT_ONCE):
        some = settings[start : start + AT_ONCE]
        frames = torch.empty(len(some), 1, height, width, 3, dtype=torch.uint8)
        scenery.fill(some, now, frames, everything=True)
        parts.append(soften(pool(scaled(frames[:, 0]), grid)))
    return torch.cat(parts)


@lru_cache(maxsize=4)
def _looks_nearer(height: int, width: int) -> Tensor:
    """What of the backdrops a camera sees before it zooms out."""
    looks = _looks(height, width)
    x, y = ((torch.arange(n) + 0.5) / n for n in (looks.shape[3], looks.shape[2]))
    x, y = FOCUS[0] + (x - FOCUS[0]) / ZOOM, FOCUS[1] + (y - FOCUS[1]) / ZOOM
    at = torch.stack([(2 * x - 1).expand(len(y), -1), (2 * y - 1)[:, None].expand(-1, len(x))], -1)
    seen: Tensor = F.grid_sample(
        looks, at.expand(len(looks), -1, -1, -1), align_corners=False, padding_mode="border"
    )
    return seen


def _film(settings: Sequence[Scene], t: Tensor, height: int, width: int) -> Tensor:
    """Scenes without things, (N, T, 3, h, w) on the grid."""
    frames = torch.empty(len(settings), len(t), height, width, 3, dtype=torch.uint8)
    scenery.fill(settings, t, frames, everything=True)
    let_fall(settings, t, frames)
    pooled = soften(pool(scaled(frames.flatten(0, 1)), grid_of(height, width, GRID)))
    return pooled.view(len(settings), len(t), *pooled.shape[1:])


def _misfit(seen: Tensor, known: Tensor) -> Tensor:
    return (seen - known).abs().clamp(max=MOST).flatten(1).mean(1)


def _shortlist(first: Tensor, height: int, width: int) -> list[Scene]:
    """Settings that look like the first frame (3, h, w), with the cameras that may have filmed them."""
    rest = [camera for camera in FULL.cameras if camera != "zoom out"]
    settings = []
    for looks, cameras in ((_looks(height, width), rest), (_looks_nearer(height, width), ["zoom out"])):
        few = _misfit(first, looks).topk(SHORTLIST, largest=False).indices.tolist()
        settings += [replace(_settings()[look], camera=camera) for look, camera in product(few, cameras)]
    return settings


def _nearest(frames: Tensor, settings: Sequence[Scene], t: Tensor, height: int, width: int) -> Scene:
    """The setting whose film is nearest to some frames (T, 3, h, w)."""
    return settings[int(_misfit(frames, _film(settings, t, height, width)).argmin())]


def view(clip: Tensor, fps: float) -> View:
    """Read a clip (T, H, W, 3) uint8."""
    count, height, width, _ = clip.shape
    t = torch.arange(count, dtype=torch.float64) / fps
    frames = soften(pool(scaled(clip), grid_of(height, width, GRID)))
    first = pool(frames[:1], grid_of(height, width, LOOK_GRID))
    settings = _shortlist(first, height, width)
    some = torch.linspace(0, count - 1, min(GLANCES, count)).round().long()
    best = _nearest(frames[some], settings, t[some], height, width)
    # What falls hides how the first frame's light differs: try every light in which this may be seen.
    lights = product(FULL.times, FULL.weathers)
    settings = [replace(best, time=time, weather=weather) for time, weather in lights]
    best = _nearest(frames[some], settings, t[some], height, width)
    return against(frames, _film([best], t, height, width)[0], best)


def against(frames: Tensor, film: Tensor, setting: Scene) -> View:
    """Frames seen before a film of their backdrop, both (T, 3, h, w)."""
    behind = shaded(frames, film)
    doubt = (frames - shaded(frames, film, belief=1.0)).square().sum(1)
    return View(behind, frames - behind, doubt, setting)
