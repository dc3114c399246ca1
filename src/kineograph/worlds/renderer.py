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
from kineograph.worlds import backdrop, scenery
from kineograph.worlds.camera import CAMERAS, camera_path
from kineograph.worlds.figures import JOINTS
from kineograph.worlds.paint import Paint
from kineograph.worlds.scene import Scene
from kineograph.worlds.scenery import snap
from kineograph.worlds.shapes import EXTENTS, PALETTE, SHAPES, quartered
from kineograph.worlds.stage import Actors, Cast, Window, actors, cast, joints, slots, window
from kineograph.worlds.styles import STYLES
from kineograph.worlds.weather import air, let_fall

PIXELS_AT_ONCE = 2**22  # per chunk of clips: keeps what is worked on near the cache
SHADOW = 0.42  # how dark a contact shadow is at its centre


@dataclass(frozen=True, eq=False)
class Rendered:
    """Clips and their truth.

    frames        (N, T, H, W, 3) uint8 sRGB
    segmentation  (N, T, H, W) uint8: 0 backdrop, i + 1 where thing i is seen
    boxes         (N, T, K, 4) float32 x0, y0, x1, y1 of the whole silhouette, also where it is hidden or
                  outside, in fractions of the frame; NaN where a scene has no such thing
    tracks        (N, T, K, 2) float32 centre x, y in fractions of the frame; NaN likewise
    depth         (N, T, H, W) float16: 1 for the ground at the bottom edge, `backdrop.FAR` for the sky; a
                  thing has the depth of the ground that it stands on or throws its shadow on
    joints        (N, T, K, J, 2) float32 x, y of the joints of robots (`figures.JOINTS`) in fractions of the
                  frame; NaN for other things
    camera        (N, T, 2) float32 shift and zoom (see `camera`)

    There are K = 2 slots for things, or 3 where a scene has three. Without truth, `segmentation`, `depth` and
    `joints` are empty: (0, T, ...).
    """

    frames: Tensor
    segmentation: Tensor
    boxes: Tensor
    tracks: Tensor
    depth: Tensor
    joints: Tensor
    camera: Tensor

    @property
    def edges(self) -> Tensor:
        """(N, T, H, W) bool: pixels whose right or lower neighbour belongs to something else."""
        return outlines(self.segmentation)


def outlines(segmentation: Tensor) -> Tensor:
    """(..., H, W) bool: pixels whose right or lower neighbour has another number."""
    edges = torch.zeros_like(segmentation, dtype=torch.bool)
    edges[..., :-1] |= segmentation.diff(dim=-1) != 0
    edges[..., :-1, :] |= segmentation.diff(dim=-2) != 0
    return edges


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
    if all(scene.in_small_world for scene in scenes):
        _fill_plain(scenes, t, drawing.frames)
    else:
        plain = [n for n, scene in enumerate(scenes) if scene.in_small_world]
        if plain:
            frames = drawing.frames[plain]
            _fill_plain([scenes[n] for n in plain], t, frames)
            drawing.frames[plain] = frames
        scenery.fill(scenes, t, drawing.frames)
    if drawing.truth:
        drawing.segmentation.zero_()
        drawing.depth[:] = backdrop.ground_depth(drawing.size[0])[:, None]
        for n, rows in scenery.rows_seen(scenes, t, drawing.size[0]):
            drawing.depth[n] = backdrop.depth_at(rows)[..., None]


def _fill_plain(scenes: Sequence[Scene], t: Tensor, frames: Tensor) -> None:
    height, width = frames.shape[2:4]
    looks = [(scene.ground, scene.time, scene.seed % backdrop.VARIANTS) for scene in scenes]
    frames[:] = torch.stack([backdrop.backdrop(*look, height, width) for look in looks])[:, None]
    _run_waves(scenes, t, frames)


def _run_waves(scenes: Sequence[Scene], t: Tensor, frames: Tensor) -> None:
    wet = [n for n, scene in enumerate(scenes) if backdrop.GROUND_PAINT[scene.ground].waves]
    if not wet:
        return
    height, width = frames.shape[2:4]
    top = height - backdrop.ground_rows(height)
    clips = torch.tensor(wet, device=t.device)
    variant = torch.tensor([scenes[n].seed % backdrop.VARIANTS for n in wet], device=t.device)
    shine = backdrop.wave_crests(t, variant, height, width)[:, :, None]
    crests = [backdrop.TIME_LIGHT[scenes[n].time].on_waves for n in wet]
    light = rearrange(torch.tensor(crests, device=t.device), "n c -> n 1 c 1 1")
    calm = rearrange(frames[clips, 0, top:], "n h w c -> n 1 c h w").float()
    waves = (calm + shine * (light - calm) + 0.5).to(torch.uint8)
    frames[clips, :, top:] = rearrange(waves, "n t c h w -> n t h w c")


def _throw_shadow(group: Actors, drawing: Drawing) -> None:
    """A soft ellipse on the ground below each thing: smaller and paler the higher the thing flies."""
    unit = min(drawing.size)
    size = EXTENTS[group.size] * unit
    lift = ((group.floor - group.centre[:, 1] - group.half[:, 1]) * (1 / unit)).clamp(0, 0.6)
    shrink, grown = (1 - 0.65 * lift) * group.scale, _grown(group)
    shift = torch.stack([0.10 * size * group.scale, -0.03 * size * group.scale], -1)
    at = torch.stack([group.centre[:, 0], group.floor], -1) + shift
    half_width = SHAPES[group.kind].half_width * size * grown
    reach = (math.ceil(1.24 * half_width) + 1, math.ceil(0.25 * size * grown) + 1)
    place = _blocks(group, window(group.frame, at, reach, *drawing.size), at, drawing)
    x = place.x / (1.12 * (1 - 0.65 * lift) * group.half[:, 0])[:, None, None]
    y = place.y / (0.24 * shrink * size)[:, None, None]
    cover = (1.6 * (1 - x * x - y * y)).clamp(0, 1) * (SHADOW * (1 - 1.1 * lift))[:, None, None]
    _blend(drawing.frames, place.index, cover, torch.zeros(3, 1, 1, device=cover.device))


def _grown(group: Actors) -> float:
    """How much larger than its size a thing of the group becomes."""
    return max(1.0, float(group.scale.max()))


def _blocks(group: Actors, place: Window, at: Tensor, drawing: Drawing) -> Window:
    """The window, snapped to the squares that a coarse style is made of."""
    if not (blocks := STYLES[group.style].blocks):
        return place
    unit, at = min(drawing.size), at[:, :, None]
    x = snap(place.x + at[:, :1], unit, blocks) - at[:, :1]
    y = snap(place.y + at[:, 1:], unit, blocks) - at[:, 1:]
    return Window(place.index, x, y)


def _paint(group: Actors, place: Window, size: float) -> Paint:
    """What the things of the group look like inside their windows, in their style."""
    shape, style = SHAPES[group.kind], STYLES[group.style]
    scale = (group.stretch * size)[..., None, None]
    u, v = place.x / scale[:, 0] * group.facing[:, None, None], place.y / scale[:, 1]
    k = (size * group.scale)[:, None, None]
    gait = (group.gait[:, None, None],) if shape.strides else ()
    paint = shape.draw(u, v, k, *gait)
    if group.rolling:
        cos, sin = group.turn.cos()[:, None, None], group.turn.sin()[:, None, None]
        paint = quartered(paint, cos * u + sin * v, cos * v - sin * u, k)
    return style.thing(paint, u, v, k)


def _draw(group: Actors, light: Light, drawing: Drawing) -> None:
    """Draw things in the light of their clips."""
    shape, size = SHAPES[group.kind], EXTENTS[group.size] * min(drawing.size)
    grown = size * _grown(group)
    reach = (math.ceil(1.1 * shape.half_width * grown) + 1, math.ceil(shape.half_height * grown) + 1)
    place = _blocks(group, window(group.frame, group.centre, reach, *drawing.size), group.centre, drawing)
    paint = _paint(group, place, size)
    tint = rearrange(light.tint[group.clip], "b c -> b c 1 1")
    palette = torch.tensor(list(PALETTE.values()), dtype=torch.float32, device=tint.device)
    own = rearrange(palette[group.color], "b c -> b c 1 1") * tint
    color = own * paint.body[:, None] + 255 * tint * paint.gloss[:, None]
    if light.veil is not None and light.air is not None:
        veil = light.veil[group.clip, group.slot][:, None, None, None]
        color = color + veil * (light.air[group.clip][..., None, None] - color)
    _blend(drawing.frames, place.index, paint.cover, color)
    if drawing.truth:
        _note(group, place.index, paint.cover >= 0.5, drawing)


def _note(group: Actors, index: Tensor, seen: Tensor, drawing: Drawing) -> None:
    """Write down which thing is seen where, and how far away."""
    depth = backdrop.depth_at(group.line / drawing.size[0])
    for truth, values in ((drawing.segmentation, group.slot + 1), (drawing.depth, depth)):
        truth.view(-1)[index[seen]] = values[:, None, None].expand_as(seen)[seen].to(truth.dtype)


@dataclass(frozen=True, eq=False)
class Light:
    """tint: (N, 3) of the light on things; veil: (N, K) how much of the colour of the air (N, 3) lies before
    them, if any."""

    tint: Tensor
    veil: Tensor | None = None
    air: Tensor | None = None


def _light(scenes: Sequence[Scene], cast: Cast, height: int) -> Light:
    device = cast.line.device
    lights = [backdrop.TIME_LIGHT[scene.time].on_things for scene in scenes]
    tint = torch.tensor(lights, dtype=torch.float32, device=device)
    if all(scene.weather in ("clear", "rain") for scene in scenes):
        return Light(tint)
    weather = air(scenes, device)
    below = weather.clouds[:, 1]
    colors = [STYLES[s.style].colors(c[:, None, None])[:, 0, 0] for s, c in zip(scenes, below, strict=True)]
    return Light(tint, weather.veil_at(cast.line / height) * weather.things[:, None], torch.stack(colors))


def _draw_things(scenes: Sequence[Scene], cast: Cast, drawing: Drawing) -> None:
    """All shadows, then the things, the farther one of each clip first."""
    light = _light(scenes, cast, drawing.size[0])
    ranks = []
    for slot in cast.line.argsort(dim=1, stable=True).unbind(1):
        clips = torch.nonzero(cast.present.gather(1, slot[:, None]))[:, 0]
        ranks.append(list(actors(cast, clips, slot[clips])))
    for group in chain(*ranks):
        _throw_shadow(group, drawing)
    for group in chain(*ranks):
        _draw(group, light, drawing)


def _boxes_and_tracks(cast: Cast, height: int, width: int) -> tuple[Tensor, Tensor]:
    scale = torch.tensor([width, height], device=cast.line.device)
    corners = torch.cat([cast.centre - cast.half, cast.centre + cast.half], -1) / scale.repeat(2)
    absent = ~cast.present[:, None, :, None]
    return corners.masked_fill(absent, math.nan), (cast.centre / scale).masked_fill(absent, math.nan)


def _empty(
    clips: int, frames: int, things: int, size: tuple[int, int], truth: bool, on: torch.device
) -> Rendered:
    known = clips if truth else 0
    return Rendered(
        frames=torch.empty(clips, frames, *size, 3, dtype=torch.uint8, device=on),
        segmentation=torch.empty(known, frames, *size, dtype=torch.uint8, device=on),
        boxes=torch.empty(clips, frames, things, 4, device=on),
        tracks=torch.empty(clips, frames, things, 2, device=on),
        depth=torch.empty(known, frames, *size, dtype=torch.float16, device=on),
        joints=torch.empty(known, frames, things, len(JOINTS), 2, device=on),
        camera=torch.empty(clips, frames, 2, device=on),
    )


def render(
    scenes: Sequence[Scene],
    frames: int = 17,
    size: int | tuple[int, int] = 128,
    fps: float = 8.0,
    device: str | torch.device = "cpu",
    truth: bool = True,
    start: int = 0,
    things: bool = True,
) -> Rendered:
    """Render scenes as clips of `frames` frames of `size` pixels, (height, width) or one number for a square.

    start: the number of the first frame, so that a clip can be rendered frame by frame. things: False leaves
    them out, with their shadows: a plate. The pixels of a scene depend on nothing but the scene, the size and
    the times of the frames. Raises RequestError for sizes or rates that can't be drawn.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 16 or frames < 1 or not 0 < fps < math.inf or start < 0:
        raise RequestError(
            f"Can't render {frames} frames of {height}x{width} at {fps} fps from frame {start}: "
            "give at least 1 frame, 16 pixels a side, a positive rate and no start before 0."
        )
    where = torch.device(device)
    t = torch.arange(start, start + frames, dtype=torch.float64, device=where) / fps
    out = _empty(len(scenes), frames, slots(scenes), (height, width), truth, where)
    step = max(1, PIXELS_AT_ONCE // (frames * height * width))
    for begin in range(0, len(scenes), step):
        part = slice(begin, begin + step)
        _render_chunk(scenes[part], t, out, part, things)
    return out


def _render_chunk(scenes: Sequence[Scene], t: Tensor, out: Rendered, part: slice, things: bool) -> None:
    drawing = Drawing(out.frames[part], out.segmentation[part], out.depth[part])
    height, width = drawing.size
    players = cast(scenes, t, height, width, out.boxes.shape[2])
    _fill_backdrop(scenes, t, drawing)
    if things:
        _draw_things(scenes, players, drawing)
    let_fall(scenes, t, drawing.frames)
    out.boxes[part], out.tracks[part] = _boxes_and_tracks(players, height, width)
    cameras = torch.tensor([CAMERAS.index(scene.camera) for scene in scenes], device=t.device)
    out.camera[part] = camera_path(cameras, t).float()
    if drawing.truth:
        out.joints[part] = joints(players) / torch.tensor([width, height], device=t.device)
