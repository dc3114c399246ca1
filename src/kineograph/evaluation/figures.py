"""Figures: a value with its 95% interval and the number of clips that it rests on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

DEVIATIONS = 1.959964  # of a normal variable, on both sides of which 5% lie
RESAMPLES = 1000


@dataclass(frozen=True)
class Figure:
    """A value and its 95% interval from `low` to `high`, measured on `count` clips."""

    value: float
    low: float
    high: float
    count: int


def share(right: int, count: int) -> Figure:
    """The share of `count` trials that came out right, with the score interval of Wilson 1927."""
    assert 0 <= right <= count, (right, count)
    if count == 0:
        return Figure(math.nan, math.nan, math.nan, 0)
    p, z = right / count, DEVIATIONS
    centre = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    return Figure(p, max(0.0, centre - half), min(1.0, centre + half), count)


def bootstrap(statistic: Callable[[Values], float], values: Values) -> Figure:
    """`statistic` of values (N, …), a row for each clip, with the percentile interval of 1,000 resamples.

    Efron & Tibshirani 1993, chapter 13. The same values give the same interval.
    """
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(values), (RESAMPLES, len(values)))
    resampled = [found for draw in draws if not math.isnan(found := statistic(values[draw]))]
    low, high = np.percentile(resampled or [math.nan], (2.5, 97.5), method="nearest")
    return Figure(statistic(values), float(low), float(high), len(values))
