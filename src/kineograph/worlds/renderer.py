"""Render scenes: every pixel of every clip at once, and the truth about it.

Backdrops are painted once and copied; things and shadows are drawn only inside windows around them, so the
cost is about their area. Pixel arithmetic is rounded exactly (see `shapes`): the same pixels in any batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from einops import rearrange
from torch import Tensor

from kineograph.errors import RequestError
from kineograph.worlds import backdrop
from kineograph.worlds.scene import MAX_THINGS, Scene
from kineograph.worlds.shapes import EXTENTS, PALETTE, SHAPES
from kineograph.worlds.stage import Actors, Cast, actors, cast, window

PIXELS_AT_ONCE = 2**22  # per chunk of clips: keeps what is worked on near the cache
SHADOW = 0.42  # how dark a contact shadow is at its centre


@dataclass(frozen=True, eq=False)
class Rendered:
    """Clips and their truth.

    frames        (N, T, H, W, 3) uint8 sRGB
    segmentation  (N, T, H, W) uint8: 0 backdrop, i + 1 where thing i is seen
    boxes         (N, T, 2, 4) float32 x0, y0, x1, y1 of the whole silhouette, also where it is hidden or
                  outside, in fractions of the frame; NaN where a scene has no second thing
    tracks        (N, T, 2, 2) float32 centre x, y in fractions of the frame; NaN likewise
    depth         (N, T, H, W) float16: 1 for the ground at the bottom edge, `backdrop.FAR` for the sky; a
                  thing has the depth of the ground that it stands on or throws its shadow on

    Without truth, `segmentation` and `depth` are empty: (0, T, H, W).
    """

    frames: Tensor
    segmentation: Tensor
    boxes: Tensor
    tracks: Tensor
    depth: Tensor


def _blend(pixels: Tensor, index: Tensor, cover: Tensor, color: Tensor) -> None:
    """Lay colours (B, 3, h, w) over flat pixels (…, 3) where they are covered; rounds to uint8."""
    spread = index[:, None] * 3 + torch.arange(3, device=index.device)[:, None, None]
    flat = pixels.view(-1)
    behind = flat[spread].float()
    flat[spread] = (behind + cover[:, None] * (color - behind) + 0.5).clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True, eq=False)
class Drawing:
    """The clips of one chunk, drawn into in place; without truth, `segmentation` and `depth` are empty."""

    frames: Tensor
    segmentation: Tensor
    depth: Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.frames.shape[2], self.frames.shape[3]

    @property
    def truth(self) -> bool:
        return len(self.segmentation) > 0


def _fill_backdrop(scenes: Sequence[Scene], t: Tensor, drawing: Drawing) -> None:
    height, width = drawing.size
    looks = [(scene.ground, scene.time, scene.seed % backdrop.VARIANTS) for scene in scenes]
    drawing.frames[:] = torch.stack([backdrop.backdrop(*look, height, width) for look in looks])[:, None]
    _run_waves(scenes, t, drawing)
    if drawing.truth:
        drawing.segmentation.zero_()
        drawing.depth[:] = backdrop.ground_depth(height)[:, None]


def _run_waves(scenes: Sequence[Scene], t: Tensor, drawing: Drawing) -> None:
    wet = [n for n, scene in enumerate(scenes) if backdrop.GROUND_PAINT[scene.ground].waves]
    if not wet:
        return
    height, width = drawing.size
    top = height - backdrop.ground_rows(height)
    clips = torch.tensor(wet, device=t.device)
    variant = torch.tensor([scenes[n].seed % backdrop.VARIANTS for n in wet], device=t.device)
    shine = backdrop.wave_crests(t, variant, height, width)[:, :, None]
    crests = [backdrop.TIME_LIGHT[scenes[n].time].on_waves for n in wet]
    light = rearrange(torch.tensor(crests, device=t.device), "n c -> n 1 c 1 1")
    calm = rearrange(drawing.frames[clips, 0, top:], "n h w c -> n 1 c h w").float()
    waves = (calm + shine * (light - calm) + 0.5).to(torch.uint8)
    drawing.frames[clips, :, top:] = rearrange(waves, "n t c h w -> n t h w c")


def _throw_shadow(group: Actors, drawing: Drawing) -> None:
    """A soft ellipse on the ground below each thing: smaller and paler the higher the thing flies."""
    unit = min(drawing.size)
    size = EXTENTS[group.size] * unit
    lift = ((group.line - group.centre[:, 1] - group.half[:, 1]) * (1 / unit)).clamp(0, 0.6)
    shrink = 1 - 0.65 * lift
    at = torch.stack([group.centre[:, 0] + 0.10 * size, group.line - 0.03 * size], -1)
    reach = (math.ceil(1.24 * SHAPES[group.kind].half_width * size) + 1, math.ceil(0.25 * size) + 1)
    place = window(group.frame, at, reach, *drawing.size)
    x = place.x / (1.12 * shrink * group.half[:, 0])[:, None, None]
    y = place.y / (0.24 * shrink * size)[:, None, None]
    cover = (1.6 * (1 - x * x - y * y)).clamp(0, 1) * (SHADOW * (1 - 1.1 * lift))[:, None, None]
    _blend(drawing.frames, place.index, cover, torch.zeros(3, 1, 1, device=cover.device))


def _draw(group: Actors, tint: Tensor, drawing: Drawing) -> None:
    """Draw things in the light (N, 3) of their clips."""
    shape, size = SHAPES[group.kind], EXTENTS[group.size] * min(drawing.size)
    reach = (math.ceil(1.1 * shape.half_width * size) + 1, math.ceil(shape.half_height * size) + 1)
    place = window(group.frame, group.centre, reach, *drawing.size)
    scale = (group.stretch * size)[..., None, None]
    u, v = place.x / scale[:, 0] * group.facing[:, None, None], place.y / scale[:, 1]
    paint = shape.draw(u, v, torch.full_like(scale[:, 0], size))
    light = rearrange(tint[group.clip], "b c -> b c 1 1")
    palette = torch.tensor(list(PALETTE.values()), dtype=torch.float32, device=light.device)
    own = rearrange(palette[group.color], "b c -> b c 1 1") * light
    color = own * paint.body[:, None] + 255 * light * paint.gloss[:, None]
    _blend(drawing.frames, place.index, paint.cover, color)
    if drawing.truth:
        _note(group, place.index, paint.cover >= 0.5, drawing)


def _note(group: Actors, index: Tensor, seen: Tensor, drawing: Drawing) -> None:
    """Write down which thing is seen where, and how far away."""
    depth = backdrop.depth_at(group.line / drawing.size[0])
    for truth, values in ((drawing.segmentation, group.number), (drawing.depth, depth)):
        truth.view(-1)[index[seen]] = values[:, None, None].expand_as(seen)[seen].to(truth.dtype)


def _draw_things(scenes: Sequence[Scene], cast: Cast, drawing: Drawing) -> None:
    """All shadows, then the things, the farther one of each clip first."""
    lights = [backdrop.TIME_LIGHT[scene.time].on_things for scene in scenes]
    tint = torch.tensor(lights, dtype=torch.float32, device=cast.line.device)
    ranks = []
    for slot in cast.line.argsort(dim=1, stable=True).unbind(1):
        clips = torch.nonzero(cast.present.gather(1, slot[:, None]))[:, 0]
        ranks.append(list(actors(cast, clips, slot[clips])))
    for group in chain(*ranks):
        _throw_shadow(group, drawing)
    for group in chain(*ranks):
        _draw(group, tint, drawing)


def _boxes_and_tracks(cast: Cast, height: int, width: int) -> tuple[Tensor, Tensor]:
    scale = torch.tensor([width, height], device=cast.line.device)
    corners = torch.cat([cast.centre - cast.half, cast.centre + cast.half], -1) / scale.repeat(2)
    absent = ~cast.present[:, None, :, None]
    return corners.masked_fill(absent, math.nan), (cast.centre / scale).masked_fill(absent, math.nan)


def _empty(clips: int, frames: int, height: int, width: int, truth: bool, device: torch.device) -> Rendered:
    known = clips if truth else 0
    return Rendered(
        frames=torch.empty(clips, frames, height, width, 3, dtype=torch.uint8, device=device),
        segmentation=torch.empty(known, frames, height, width, dtype=torch.uint8, device=device),
        boxes=torch.empty(clips, frames, MAX_THINGS, 4, device=device),
        tracks=torch.empty(clips, frames, MAX_THINGS, 2, device=device),
        depth=torch.empty(known, frames, height, width, dtype=torch.float16, device=device),
    )


def render(
    scenes: Sequence[Scene],
    frames: int = 17,
    size: int | tuple[int, int] = 128,
    fps: float = 8.0,
    device: str | torch.device = "cpu",
    truth: bool = True,
) -> Rendered:
    """Render scenes as clips of `frames` frames of `size` pixels, (height, width) or one number for a square.

    The pixels of a scene depend on nothing but the scene, the size and the times of the frames. Raises
    RequestError for sizes or rates that can't be drawn.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 16 or frames < 1 or not 0 < fps < math.inf:
        raise RequestError(
            f"Can't render {frames} frames of {height}x{width} at {fps} fps: "
            "give at least 1 frame, 16 pixels a side and a positive rate."
        )
    where = torch.device(device)
    t = torch.arange(frames, dtype=torch.float64, device=where) / fps
    out = _empty(len(scenes), frames, height, width, truth, where)
    step = max(1, PIXELS_AT_ONCE // (frames * height * width))
    for start in range(0, len(scenes), step):
        part = slice(start, start + step)
        drawing = Drawing(out.frames[part], out.segmentation[part], out.depth[part])
        things = cast(scenes[part], t, height, width)
        _fill_backdrop(scenes[part], t, drawing)
        _draw_things(scenes[part], things, drawing)
        out.boxes[part], out.tracks[part] = _boxes_and_tracks(things, height, width)
    return out
