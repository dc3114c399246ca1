"""Does a prompt make many clips, or always the same one?

Clips of one prompt and several seeds are compared with one another, as `thumbnails`. How far apart they lie
is told as a share of how far rendered clips of different scenes do: 0 is always the same clip.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kineograph.evaluation.adherence import SEED, captions_of
from kineograph.evaluation.figures import Figure, Values, bootstrap
from kineograph.evaluation.making import draw, fill, text_canvases
from kineograph.evaluation.metrics import thumbnails
from kineograph.models.family import Model, Spec
from kineograph.video import Frames
from kineograph.worlds.holdout import training_scenes

PROMPTS = SEEDS = 8
CLIPS = PROMPTS * SEEDS


@dataclass(frozen=True)
class Diversity:
    """Mean distances (root mean square differences of thumbnails, in levels) of clips of one prompt and of
    `rendered` (or true) clips of different ones, and the former over the latter."""

    prompts: int
    seeds: int
    made: float
    rendered: float
    share: Figure


def rendered(spec: Spec) -> tuple[Frames, list[str]]:
    """Clips of different scenes, with captions."""
    scenes = training_scenes(PROMPTS, SEED, 1)
    return draw(scenes, spec).frames.numpy(), captions_of(scenes)


def measure_diversity(true: Frames, captions: Sequence[str], model: Model) -> Generator[int, None, Diversity]:
    """Make clips of each prompt, the i-th with the random seed i, and compare how far these lie apart with
    how far true clips (N, T, H, W, 3) do; yields how many it has just done."""
    distances = []
    for caption in captions:
        clips = fill(text_canvases([caption] * SEEDS, model.spec), model).frames
        distances.append(apart(thumbnails(clips)))
        yield len(clips)
    different = apart(thumbnails(true))

    def share(values: Values) -> float:
        return float(values.mean() / different) if different else math.nan

    found = np.array(distances)
    return Diversity(len(captions), SEEDS, float(found.mean()), different, bootstrap(share, found))


def apart(points: NDArray[np.float32]) -> float:
    """The mean distance of points (N, D) to one another, over the square root of D."""
    return float(torch.pdist(torch.from_numpy(points).double()).mean() / points.shape[1] ** 0.5)
