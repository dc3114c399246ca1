"""How long does a continuation stay near the truth? Frame by frame, beside holding the last known one.

Three half windows are added to the first one, so that most of what is continued is the model's own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from kineograph.canvas import continue_canvas
from kineograph.evaluation.adherence import SEED, captions_of
from kineograph.evaluation.making import fill
from kineograph.evaluation.metrics import mse, psnr, ssim
from kineograph.models.family import Model, Spec
from kineograph.video import Frames, Video
from kineograph.worlds.holdout import training_scenes
from kineograph.worlds.renderer import render

HALVES = 3  # of a window that are added


@dataclass(frozen=True)
class Course:
    """Of each added frame, in order: PSNR in dB of the mean squared error over all clips, and mean SSIM."""

    psnr: tuple[float, ...]
    ssim: tuple[float, ...]


@dataclass(frozen=True)
class Horizon:
    """`clips` continued after `past` frames: by the model, and by holding the last known frame."""

    clips: int
    past: int
    model: Course
    held: Course


def rendered(count: int, spec: Spec) -> tuple[Frames, list[str]]:
    """Clips that no training shows, of combinations that it does, long enough to be continued; captions."""
    scenes = training_scenes(count, SEED)
    frames = render(scenes, sum(lengths(spec.window)), (spec.height, spec.width), spec.fps).frames.numpy()
    return frames, captions_of(scenes)


def measure_horizon(
    truth: Frames, captions: Sequence[str], model: Model, batch: int
) -> Generator[int, None, Horizon]:
    """Continue clips (N, T, H, W, 3), the i-th with the random seed i; yields how many it has just done."""
    past, added = lengths(model.spec.window)
    truth, count = truth[:, : past + added], len(truth)
    footage = [Video(clip[:past], model.spec.fps) for clip in truth]
    canvases = [continue_canvas(text, v, added) for text, v in zip(captions, footage, strict=True)]
    made = []
    for start in range(0, count, batch):
        made.append(fill(canvases[start : start + batch], model, seed=start).frames)
        yield len(made[-1])
    clips, right = np.concatenate(made)[:, past:], truth[:, past:]
    held = truth[:, past - 1 : past].repeat(added, axis=1)
    return Horizon(count, past, _course(clips, right), _course(held, right))


def lengths(window: int) -> tuple[int, int]:
    """How many frames are known and how many are added, where so many are made at once."""
    return window // 2 + 1, HALVES * (window // 2)


def _course(made: Frames, truth: Frames) -> Course:
    """Of clips (N, T, H, W, 3)."""
    pairs = list(zip(made.swapaxes(0, 1), truth.swapaxes(0, 1), strict=True))
    return Course(tuple(psnr(mse(*pair)) for pair in pairs), tuple(ssim(*pair) for pair in pairs))
