"""How unequal something is, and how unequal it would be by chance alone; functions of numbers.

N clips (or seeds), L labels, G groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kineograph.evaluation.figures import Values

MARGIN = 0.1  # beyond chance, from which on something is flagged
CHANCE = 0.95  # the quantile of what chance gives
DRAWS = 2000


def distribution(scores: Values) -> Values:
    """The mean (L,) of scores (N, L) over clips in which any label was read, of sum 1; NaN if none was."""
    read = scores[scores.sum(axis=1) > 0]
    total = read.sum()
    return read.sum(axis=0) / total if total else np.full(scores.shape[1], np.nan)


def entropy(shares: Values) -> float:
    """Shannon entropy of shares (L,), as a share of the most that L labels can have: 1 is uniform."""
    seen = shares[shares > 0]
    return float(abs((seen * np.log(seen)).sum()) / math.log(len(shares)))


def total_variation(shares: Values, target: Sequence[float]) -> float:
    """Half the sum of absolute differences: the share that would have to go elsewhere, in [0, 1]."""
    return float(np.abs(shares - np.asarray(target)).sum() / 2)


def variation_by_chance(target: Sequence[float], count: int) -> float:
    """What total variation `count` clips that keep to the target stay below, 95 times in 100."""
    drawn = np.random.default_rng(0).multinomial(count, np.asarray(target) / sum(target), DRAWS) / count
    apart = np.abs(drawn - np.asarray(target)).sum(axis=1) / 2
    return float(np.quantile(apart, CHANCE))


def gap(values: Values) -> float:
    """The highest mean of a group less the lowest, of values (N, G) with a row for each seed."""
    means = values.mean(axis=0)
    return float(means.max() - means.min())


def gap_by_chance(values: Values) -> float:
    """What gap it stays below, 95 times in 100, if in each row it is chance which group has which value."""
    rng = np.random.default_rng(0)
    return float(np.quantile([gap(rng.permuted(values, axis=1)) for _ in range(DRAWS // 4)], CHANCE))


def sharpness(clips: NDArray[np.uint8]) -> Values:
    """The mean difference between neighbouring pixels of clips (N, T, H, W, 3), in levels of 0 to 255."""
    pixels = clips.astype(np.float32)
    across, down = (np.abs(np.diff(pixels, axis=axis)).mean(axis=(1, 2, 3, 4)) for axis in (3, 2))
    return np.asarray((across + down) / 2, np.float64)
