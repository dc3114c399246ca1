"""How near to the rendered truth does the model fill a canvas, beside what a trivial rule does?

A clip has many right continuations and the model makes one of them, so a low figure alone says little; the
trivial rules stand before the same uncertainty. T frames, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange

from kineograph import canvas as builders
from kineograph.canvas import Canvas, Mask
from kineograph.evaluation.adherence import SEED, captions_of
from kineograph.evaluation.figures import Figure, Values, bootstrap, share
from kineograph.evaluation.making import draw, fill, rebuild
from kineograph.evaluation.metrics import psnr, squared_error, ssim
from kineograph.models.family import Model
from kineograph.video import Chunk, Frames, Video
from kineograph.worlds.holdout import training_scenes

EVERY = 4  # of how many frames one is known to interpolate between
SEAM = 4  # pixels
BOX = (0.25, 0.75)  # from where to where in height and width there is a hole


# Canvases with a known truth


def _prediction(prompt: str, clip: Video) -> Canvas:
    past = (len(clip) + 1) // 2
    return builders.continue_canvas(prompt, Video(clip.frames[:past], clip.fps), len(clip) - past)


def _precede(prompt: str, clip: Video) -> Canvas:
    added = len(clip) // 2
    return builders.precede_canvas(prompt, Video(clip.frames[added:], clip.fps), added)


def _image(prompt: str, clip: Video) -> Canvas:
    return builders.keyframes_canvas(prompt, {0: clip.frames[0]}, frames=len(clip), fps=clip.fps)


def _keyframes(prompt: str, clip: Video) -> Canvas:
    ends = {index: clip.frames[index] for index in (0, len(clip) - 1)}
    return builders.keyframes_canvas(prompt, ends, frames=len(clip), fps=clip.fps)


def _interpolation(prompt: str, clip: Video) -> Canvas:
    return builders.interpolation_canvas(prompt, Video(clip.frames[::EVERY], clip.fps / EVERY), EVERY)


def _inpainting(prompt: str, clip: Video) -> Canvas:
    hole = np.zeros(clip.frames.shape[:3], bool)
    rows, columns = ([round(end * side) for end in BOX] for side in (clip.height, clip.width))
    hole[:, slice(*rows), slice(*columns)] = True
    return builders.inpainting_canvas(prompt, clip, hole)


def _outpainting(prompt: str, clip: Video) -> Canvas:
    columns = slice(*(round(end * clip.width) for end in BOX))
    middle = Video(clip.frames[:, :, columns], clip.fps)
    return builders.outpainting_canvas(prompt, middle, width=clip.width, height=clip.height)


# Trivial rules: each unknown frame, or column, is a mixture of known ones


def hold(canvas: Canvas) -> Frames:
    """Each frame is the nearest known one; of two as near, the earlier."""
    known = np.flatnonzero(canvas.known_frames)
    nearest = np.abs(np.arange(len(canvas))[:, None] - known).argmin(axis=1)
    return _filled(canvas, canvas.frames[known[nearest]])


def blend(canvas: Canvas) -> Frames:
    """Each frame blends the known ones before and after it, by how near they are."""
    return _filled(canvas, _mixed(canvas.frames, canvas.known_frames))


def across(canvas: Canvas) -> Frames:
    """Each column of a hole blends the known ones on its left and right; beyond them, the last one."""
    columns = rearrange(canvas.frames, "t h w c -> w t h c")
    known = np.asarray(canvas.known.all(axis=(0, 1)))
    return _filled(canvas, rearrange(_mixed(columns, known), "w t h c -> t h w c"))


def _mixed(values: Frames, known: Mask) -> Frames:
    """values (n, …) interpolated linearly between those that are known (n,), continued beyond the last."""
    at = np.flatnonzero(known)
    assert len(at), "nothing is known"
    weights = np.stack([np.interp(np.arange(len(known)), at, one) for one in np.eye(len(at))], axis=1)
    mixed: Frames = np.rint(np.tensordot(weights, values[at], axes=1)).astype(np.uint8)
    return mixed


def _filled(canvas: Canvas, frames: Frames) -> Frames:
    return canvas.composite(Chunk(frames, 0)).frames


@dataclass(frozen=True)
class Task:
    """How the canvas of a task is made from a true clip, and the trivial rules that fill it."""

    canvas: Callable[[str, Video], Canvas]
    rules: tuple[Callable[[Canvas], Frames], ...]
    known: str


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "prediction": Task(_prediction, (hold,), "the first half"),
        "precede": Task(_precede, (hold,), "the last half"),
        "image": Task(_image, (hold,), "the first frame"),
        "keyframes": Task(_keyframes, (hold, blend), "the first and the last frame"),
        "interpolation": Task(_interpolation, (hold, blend), "every fourth frame"),
        "inpainting": Task(_inpainting, (across,), "all but a box in the middle, a quarter of the frame"),
        "outpainting": Task(_outpainting, (across,), "the middle half of every row"),
    }
)


# Figures


@dataclass(frozen=True)
class Nearness:
    """How near to the truth.

    PSNR in dB of the mean squared error over all clips' unknown pixels, over those of them that show a thing,
    and over those at the seam (see `seam_of`); the mean of the clips' own PSNR, as most papers give it; mean
    SSIM of the frames that weren't wholly known.
    """

    psnr: Figure
    mean_psnr: Figure
    things: Figure
    seam: Figure
    ssim: Figure


@dataclass(frozen=True)
class Filling:
    """One task: the model, the trivial rules by name, and as ceiling the truth rebuilt from latents.

    `better` is the share of clips whose unknown pixels the model fills nearer than the best of the rules.
    """

    task: str
    known: str
    model: Nearness
    rules: dict[str, Nearness]
    ceiling: Nearness | None
    better: Figure


Row = tuple[float, ...]  # squared error and its count, the same of things and of the seam, SSIM


def compare(made: Frames, truth: Frames, unknown: Mask, things: Mask) -> Row:
    """A clip (T, H, W, 3) against the truth wherever `unknown` (T, H, W), of which `things` shows things."""
    frames = unknown.any(axis=(1, 2))
    parts = (unknown, unknown & things, seam_of(unknown))
    errors = [value for part in parts for value in squared_error(made, truth, part)]
    return *errors, ssim(made[frames], truth[frames])


def seam_of(unknown: Mask) -> Mask:
    """The unknown pixels (T, H, W) no farther than SEAM pixels and one frame from known ones."""
    known = torch.from_numpy(~unknown)[None].float()
    size = (3, 2 * SEAM + 1, 2 * SEAM + 1)
    near = F.max_pool3d(known, size, stride=1, padding=tuple(side // 2 for side in size))
    return np.asarray(unknown & (near[0].numpy() > 0))


def nearness(rows: Sequence[Row]) -> Nearness:
    """The figures of several clips."""
    values = np.array(rows)
    return Nearness(
        psnr=bootstrap(pooled_psnr, values[:, 0:2]),
        mean_psnr=bootstrap(_mean_psnr, values[:, 0:2]),
        things=bootstrap(pooled_psnr, values[:, 2:4]),
        seam=bootstrap(pooled_psnr, values[:, 4:6]),
        ssim=bootstrap(lambda column: float(column.mean()), values[:, 6]),
    )


def pooled_psnr(rows: Values) -> float:
    """PSNR in dB of rows (N, 2) of squared errors and their counts; NaN where nothing is counted."""
    error, count = rows.sum(axis=0)
    return psnr(error / count) if count else math.nan


def _mean_psnr(rows: Values) -> float:
    """The mean of the PSNR in dB of each of rows (N, 2) of squared errors and their counts."""
    return float(np.mean([pooled_psnr(row[None]) for row in rows]))


@dataclass(frozen=True, eq=False)
class Footage:
    """True clips with their captions, where their things are, and the same clips rebuilt from latents."""

    clips: Frames
    captions: list[str]
    things: Mask
    rebuilt: Frames | None


def footage(count: int, model: Model, batch: int) -> Footage:
    """Scenes of one or two things that no training shows, of combinations that it does."""
    scenes = training_scenes(count, SEED)
    drawn = draw(scenes, model.spec, truth=True)
    things = np.asarray(drawn.segmentation.numpy() > 0)
    return footage_of(drawn.frames.numpy(), captions_of(scenes), things, model, batch)


def footage_of(clips: Frames, captions: Sequence[str], things: Mask, model: Model, batch: int) -> Footage:
    """These clips, and what the model's latents hold of them."""
    parts = [rebuild(clips[start : start + batch], model) for start in range(0, len(clips), batch)]
    rebuilt = [part for part in parts if part is not None]
    return Footage(clips, list(captions), things, np.concatenate(rebuilt) if rebuilt else None)


def reconstruction(truth: Footage) -> Nearness | None:
    """How near the rebuilt clips come in all pixels."""
    if truth.rebuilt is None:
        return None
    trios = zip(truth.rebuilt, truth.clips, truth.things, strict=True)
    return nearness([compare(made, clip, np.ones_like(things), things) for made, clip, things in trios])


def fill_task(name: str, truth: Footage, model: Model, batch: int) -> Generator[int, None, Filling]:
    """Fill the canvas of every clip, the i-th with the random seed i; yields how many it has just done."""
    task = TASKS[name]
    videos = [Video(clip, model.spec.fps) for clip in truth.clips]
    canvases = [task.canvas(text, video) for text, video in zip(truth.captions, videos, strict=True)]
    made: list[Frames] = []
    for start in range(0, len(canvases), batch):
        part = fill(canvases[start : start + batch], model, seed=start).frames
        made += list(part)
        yield len(part)
    by_model = _rows(made, canvases, truth)
    by_rule = {rule.__name__: _rows([rule(c) for c in canvases], canvases, truth) for rule in task.rules}
    rebuilt = None if truth.rebuilt is None else nearness(_rows(list(truth.rebuilt), canvases, truth))
    return Filling(
        task=name,
        known=task.known,
        model=nearness(by_model),
        rules={rule: nearness(values) for rule, values in by_rule.items()},
        ceiling=rebuilt,
        better=_better(by_model, list(by_rule.values())),
    )


def _rows(clips: Sequence[Frames], canvases: Sequence[Canvas], truth: Footage) -> list[Row]:
    """Clips against the truth; a canvas may be a little shorter than it."""
    every = zip(clips, truth.clips, canvases, truth.things, strict=True)
    return [compare(m[: len(c)], true[: len(c)], ~c.known, things[: len(c)]) for m, true, c, things in every]


def _better(model: Sequence[Row], rules: Sequence[Sequence[Row]]) -> Figure:
    """How often the model's squared error is below that of the rule that does best on the whole."""
    best = min(rules, key=lambda rows: sum(row[0] for row in rows))
    return share(sum(m[0] < r[0] for m, r in zip(model, best, strict=True)), len(model))
