"""Do made clips look and move as a set like true ones? A Fréchet distance on features that nobody trained.

Heusel et al. 2017 (arXiv 1706.08500) compare two sets of pictures as normal distributions of a network's
features, Unterthiner et al. 2018 (arXiv 1812.01717) two sets of clips. The network here has random weights,
as Naeem et al. 2020 (arXiv 2002.09797) advise far from photographs: nothing to ship, nothing that a model
could have learnt from, the same for every family. Its figures compare only with one another.

    N clips of T frames; D features.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from kineograph.evaluation.making import draw
from kineograph.models.family import Spec
from kineograph.sampling.noise import Noise
from kineograph.video import Frames
from kineograph.worlds.scene import Scene

Features = NDArray[np.float64]

SIDE = 64  # pixels that clips are brought to
WIDTHS = (3, 24, 48, 64)  # channels of the layers
KERNEL = (3, 5, 5)
STRIDE = (1, 2, 2)  # time keeps its steps: what moves is told by what follows what
BATCH = 16
COMPARED = 2  # sets of rendered clips that `fidelity` draws


@dataclass(frozen=True)
class Fidelity:
    """Fréchet distances of `clips` clips each to as many rendered ones of other scenes, in features divided
    by their deviations over the latter.

    `model` is of made clips; `floor` of rendered ones, which no model can do better than but by chance;
    `shuffled` and `frozen` of rendered ones with their frames in random order, and with the first held.
    """

    clips: int
    model: float
    floor: float
    shuffled: float
    frozen: float


def fidelity(
    made: Features, scenes: Sequence[Scene], others: Sequence[Scene], spec: Spec
) -> Generator[int, None, Fidelity]:
    """Compare the features (N, D) of clips made for `scenes` with rendered clips of N other scenes; yields
    how many clips it has just rendered."""
    (reference,) = yield from _rendered(others, spec, _same)
    true = yield from _rendered(scenes, spec, *CHANGES)
    return _compared(made, true, reference)


def fidelity_to(made: Features, true: Frames, others: Frames) -> Fidelity:
    """The same beside true clips (N, T, H, W, 3), and as many others in place of rendered ones."""
    return _compared(made, [features(change(true)) for change in CHANGES], features(others))


def _compared(made: Features, true: Sequence[Features], reference: Features) -> Fidelity:
    """Made clips, and true ones after each of CHANGES, against the reference."""
    deviations = reference.std(axis=0) + 1e-9
    sets = (points / deviations for points in (made, *true))
    return Fidelity(len(made), *(frechet(points, reference / deviations) for points in sets))


def _rendered(
    scenes: Sequence[Scene], spec: Spec, *changes: Callable[[Frames], Frames]
) -> Generator[int, None, list[Features]]:
    """The features of the rendered scenes after each of the changes."""
    parts: list[list[Features]] = []
    for start in range(0, len(scenes), BATCH):
        clips = draw(scenes[start : start + BATCH], spec).frames.numpy()
        parts.append([features(change(clips)) for change in changes])
        yield len(clips)
    return [np.concatenate(found) for found in zip(*parts, strict=True)]


def _same(clips: Frames) -> Frames:
    return clips


def _shuffled(clips: Frames) -> Frames:
    order = torch.randperm(clips.shape[1], generator=Noise(0).generator("shuffle", 0)).numpy()
    return clips[:, order]


def _frozen(clips: Frames) -> Frames:
    return clips[:, :1].repeat(clips.shape[1], axis=1)


CHANGES = (_same, _shuffled, _frozen)

# Features


@torch.inference_mode()
def features(clips: Frames) -> Features:
    """Clips (N, T, H, W, 3) uint8 as points (N, D): each channel's mean and deviation over time and place."""
    return np.concatenate([_features(part) for part in np.array_split(clips, -(-len(clips) // BATCH))])


def _features(clips: Frames) -> Features:
    frames = rearrange(torch.from_numpy(np.ascontiguousarray(clips)), "n t h w c -> (n t) c h w")
    small = F.interpolate(frames.float(), (SIDE, SIDE), mode="area") / 127.5 - 1
    x = rearrange(small, "(n t) c h w -> n c t h w", n=len(clips))
    for weight in _weights():
        x = F.conv3d(x, weight, stride=STRIDE, padding=tuple(k // 2 for k in KERNEL)).relu()
    pooled = torch.cat([x.mean(dim=(2, 3, 4)), x.std(dim=(2, 3, 4))], dim=1)
    return pooled.double().numpy()


@cache
def _weights() -> tuple[Tensor, ...]:
    """Normal weights that keep the size of what goes through (He et al. 2015, arXiv 1502.01852). Every second
    filter sums to 0 over time at each place: it answers to what changes alone."""
    weights = []
    for layer, (before, after) in enumerate(pairwise(WIDTHS)):
        drawn = Noise(0).normal("features", layer, (after, before, *KERNEL))
        drawn[::2] -= drawn[::2].mean(dim=2, keepdim=True)
        weights.append(drawn * (2 / drawn[0].numel()) ** 0.5)
    return tuple(weights)


# The distance


def frechet(first: Features, second: Features) -> float:
    """The squared Fréchet (2-Wasserstein) distance of two sets of points (N, D), each taken as normal.

    Dowson & Landau 1982: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).
    """
    apart = first.mean(axis=0) - second.mean(axis=0)
    a, b = (np.cov(points, rowvar=False) for points in (first, second))
    root = _root(a)
    shared = np.trace(_root(root @ b @ root))
    return float(np.maximum(0.0, apart @ apart + np.trace(a) + np.trace(b) - 2 * shared))


def _root(matrix: Features) -> Features:
    """The square root of a symmetric matrix without negative eigenvalues but by rounding."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    root: Features = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root
