"""What moves a thing of the full world, read from its track and its size in each frame.

The camera's own movement is taken off first. Then the nearest of the known paths is chosen, in any phase and
a little faster, slower, wider or narrower.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from kineograph.worlds.backdrop import HORIZON
from kineograph.worlds.camera import CAMERAS, FOCUS, camera_path, follow
from kineograph.worlds.finding import Sighting
from kineograph.worlds.motion import APPROACH, offsets
from kineograph.worlds.shapes import EXTENTS, SHAPES
from kineograph.worlds.world import FULL

STILL = 0.02  # root mean square deviation from the mean place, in fractions of the shorter side
GROWING = 0.12  # change of the logarithm of the size, per second
SCALES = (0.55, 1.6)  # how much narrower or wider than known a path may be
PHASES = 24
TEMPOS = {"bounces": (1.0, 0.85, 1.2), "circles": (1.0, 0.85, 1.2, -1.0), "swings": (1.0, 0.85, 1.2)}
ONE_WAY = ("left", "right", "up", "down", "drops")


@lru_cache(maxsize=8)
def _paths(frames: int, fps: float) -> tuple[tuple[str, ...], Tensor]:
    """Names and paths (P, T, 2) of all motions but those that stay in place."""
    t = torch.arange(frames, dtype=torch.float64) / fps
    names, paths = [], []
    for number, name in enumerate(FULL.motions):
        if name in ("still", "grows", "shrinks", "collides"):
            continue
        phases = torch.arange(1 if name in ONE_WAY else PHASES, dtype=torch.float64) / PHASES
        for tempo in TEMPOS.get(name, (1.0,)):
            path = offsets(torch.full(phases.shape, number), tempo * t, phases)[..., :2]
            names += [name] * len(path)
            paths.append(path.float())
    contacts = torch.linspace(0.25, 1.7, 16, dtype=torch.float64)[:, None]
    x = APPROACH * (t - 2 * (t - contacts).clamp(min=0))
    for side in (x, -x):
        names += ["collides"] * len(contacts)
        paths.append(torch.stack([side, torch.zeros_like(side)], -1).float())
    return tuple(names), torch.cat(paths)


def size_of(sighting: Sighting, camera: str, fps: float) -> tuple[str, float]:
    """The size, at the middle of its growth, and how fast its logarithm grows per second."""
    t = torch.arange(len(sighting.extent), dtype=torch.float64) / fps
    zoom = camera_path(torch.tensor([CAMERAS.index(camera)]), t)[0, :, 1]
    seen = sighting.seen
    level = (sighting.extent.double() / zoom)[seen].log()
    since = t[seen] - t[seen].mean()
    slope = float((since * level).sum() / since.square().sum().clamp(min=1e-9))
    # What neither grows nor shrinks has one size; what does has it after a second.
    middle = float(level.median())
    if abs(slope) > GROWING:
        middle = float(level.mean()) + slope * (1.0 - float(t[seen].mean()))
    nearest = min(EXTENTS, key=lambda name: abs(math.log(EXTENTS[name]) - middle))
    return nearest, slope


def motion_of(sighting: Sighting, camera: str, fps: float, aspect: tuple[float, float]) -> str:
    """The motion of a thing; aspect: the frame's width and height in units of its shorter side."""
    _, slope = size_of(sighting, camera, fps)
    if abs(slope) > GROWING:
        return "grows" if slope > 0 else "shrinks"
    if not sighting.seen.any():
        return "still"
    tracks = _at_rest(sighting, camera, fps) * torch.tensor(aspect)
    names, paths = _paths(len(sighting.seen), fps)
    fits = torch.tensor([(sighting.kind, name) not in FULL.unfit for name in names])
    paths = paths[:, sighting.seen] - paths[:, sighting.seen].mean(1, keepdim=True)
    place = tracks - tracks.mean(1, keepdim=True)
    if place.square().sum(2).mean(1).sqrt().min() < STILL:
        return "still"
    scale = torch.einsum("rtc,ptc->rp", place, paths) / paths.square().sum((1, 2)).clamp(min=1e-9)
    left = place[:, None] - scale.clamp(*SCALES)[..., None, None] * paths
    misfit = left.square().sum((2, 3)).amin(0).masked_fill(~fits, math.inf)
    return names[int(misfit.argmin())]


def _at_rest(sighting: Sighting, camera: str, fps: float) -> Tensor:
    """(R, T', 2) tracks where it is seen, as a camera at rest would see them, for R places on the ground."""
    t = torch.arange(len(sighting.seen), dtype=torch.float64) / fps
    shift, zoom = camera_path(torch.tensor([CAMERAS.index(camera)]), t)[0][sighting.seen].float().unbind(1)
    focus = torch.tensor(FOCUS)
    track = focus + (sighting.centre[sighting.seen] - focus) / zoom[:, None]
    half = SHAPES[sighting.kind].half_height * sighting.extent[sighting.seen].median()
    foot = float((track[:, 1] + half).max())
    lowest = min(max((foot - HORIZON) / (1 - HORIZON), 0.3), 1.0)
    p = torch.linspace(lowest - 0.05, min(lowest + 0.3, 0.95), 4)
    aside = follow(p)[:, None] * shift
    return track - torch.stack([aside, torch.zeros_like(aside)], -1)
