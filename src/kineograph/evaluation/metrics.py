"""How far two clips lie apart: pure functions of pixels.

Clips are (…, H, W, 3) uint8; an error of 0 gives an infinite PSNR.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from kineograph.canvas import Mask
from kineograph.video import Frames

PEAK, MIDDLE = 255.0, 127.5
WINDOW, SIGMA = 11, 1.5  # of the structural similarity, in pixels
STABILISERS = ((0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2)


def squared_error(first: Frames, second: Frames, where: Mask | None = None) -> tuple[float, int]:
    """The sum of squared differences of levels 0 to 255 and their number, where `where` (…, H, W) is true."""
    error = (first.astype(np.float32) - second.astype(np.float32)) ** 2
    chosen = error if where is None else error[where]
    return float(chosen.sum(dtype=np.float64)), chosen.size


def mse(first: Frames, second: Frames, where: Mask | None = None) -> float:
    """Mean squared error in squared levels of 0 to 255; NaN where nothing is compared."""
    total, count = squared_error(first, second, where)
    return total / count if count else math.nan


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error in squared levels of 0 to 255."""
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def ssim(first: Frames, second: Frames) -> float:
    """Mean structural similarity in [-1, 1] of frames (T, H, W, 3), each at least 11 pixels high and wide.

    Wang et al. 2004, equation 13: Gaussian windows of 11 pixels and deviation 1.5 that lie wholly inside the
    frame. Each colour is compared by itself; the mean is over windows, colours and frames.
    """
    # Around the middle level single precision does: variances don't change, and their terms stay small.
    x, y = (rearrange(torch.from_numpy(f), "t h w c -> (t c) h w") - MIDDLE for f in (first, second))
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x = _local_mean(x * x) - mean_x**2
    variance_y = _local_mean(y * y) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + MIDDLE, mean_y + MIDDLE
    a, b = STABILISERS
    likeness = (2 * mean_x * mean_y + a) * (2 * covariance + b)
    return float((likeness / ((mean_x**2 + mean_y**2 + a) * (variance_x + variance_y + b))).mean())


def _local_mean(x: Tensor) -> Tensor:
    """Gaussian average (N, H - 10, W - 10) around each pixel of x (N, H, W)."""
    return _averages(x.shape[1]) @ x @ _averages(x.shape[2]).T


def _averages(length: int) -> Tensor:
    """The matrix (length - 10, length) that takes the Gaussian average of each window."""
    at = torch.arange(WINDOW) - WINDOW // 2
    weights = torch.softmax(-(at**2) / (2 * SIGMA**2), 0)
    windows = length - WINDOW + 1
    return torch.stack([F.pad(weights, (start, windows - 1 - start)) for start in range(windows)])


def thumbnails(clips: Frames) -> NDArray[np.float32]:
    """Clips (N, T, H, W, 3) as points (N, 3840): five frames, first to last, of 16 x 16 averaged pixels."""
    chosen = np.linspace(0, clips.shape[1] - 1, 5).round().astype(int)
    frames = rearrange(torch.from_numpy(clips[:, chosen]), "n t h w c -> (n t) c h w").float()
    small = F.interpolate(frames, (16, 16), mode="area")
    return rearrange(small, "(n t) c h w -> n (t c h w)", t=5).numpy()
