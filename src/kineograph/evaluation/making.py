"""What a model makes, by the way that every clip goes: canvas, conditions, latents, chunks, composite.

N clips of T frames, H x W pixels: (N, T, H, W, 3) uint8, in the order of their canvases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kineograph.canvas import Canvas, inpainting_canvas, text_canvas
from kineograph.models.family import Model, Spec, Step
from kineograph.sampling.noise import Noise
from kineograph.sampling.settings import Sampling
from kineograph.video import Chunk, Frames, Video
from kineograph.worlds.renderer import Rendered, render
from kineograph.worlds.scene import Scene


@dataclass(frozen=True, eq=False)
class Made:
    """Clips (N, T, H, W, 3) and the network evaluations that they took, together."""

    frames: Frames
    evaluations: int


def fill(canvases: Sequence[Canvas], model: Model, seed: int = 0, guidance: float | None = None) -> Made:
    """Fill canvases of one shape at the model's own setting, but for `guidance` if it is given, the i-th with
    the random seed `seed` + i."""
    return _run(canvases, model, model.spec.setting(guidance=guidance), seed, composite=True)


def text_canvases(captions: Sequence[str], spec: Spec) -> list[Canvas]:
    """Canvases of the model's own size, length and rate of which nothing is known."""
    size = {"frames": spec.window, "width": spec.width, "height": spec.height}
    return [text_canvas(caption, **size, fps=spec.fps) for caption in captions]


def draw(scenes: Sequence[Scene], spec: Spec, *, truth: bool = False, things: bool = True) -> Rendered:
    """The scenes rendered at the model's own size, length and rate; see `render`."""
    return render(scenes, spec.window, (spec.height, spec.width), spec.fps, truth=truth, things=things)


def rebuild(clips: Frames, model: Model) -> Frames | None:
    """Clips as the model brings them back when all is known and nothing is to be made: what its latents hold.

    None where the model takes no such canvas.
    """
    if "inpainting" not in model.spec.abilities:
        return None
    nothing = np.zeros(clips.shape[1:4], bool)
    whole = [inpainting_canvas("", Video(clip, model.spec.fps), nothing) for clip in clips]
    return _run(whole, model, model.spec.sampling, 0, composite=False).frames


def _run(canvases: Sequence[Canvas], model: Model, sampling: Sampling, seed: int, composite: bool) -> Made:
    conditions = model.condition(canvases)
    noises = [Noise(seed + index) for index in range(len(canvases))]
    chunks: list[list[Chunk]] = []
    evaluations = 0
    for item in model.sample(conditions, noises, sampling):
        if isinstance(item, Step):
            evaluations = item.done
        else:
            chunks.append(model.decode(item))
    clips = zip(canvases, zip(*chunks, strict=True), strict=True)
    kept = [[canvas.composite(c) if composite else c for c in parts] for canvas, parts in clips]
    return Made(np.stack([np.concatenate([c.frames for c in parts]) for parts in kept]), evaluations)
