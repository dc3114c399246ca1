"""Clips that are there twice: the same to the last bit, or nearly so.

N clips as points (N, D): few small frames as numbers of 0 to 255, see `evaluation.metrics.thumbnails`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

NEAR = (
    2.0  # levels, root mean square, below which two clips are nearly the same: less than encoding again costs
)
PART = 512  # rows compared at once


@dataclass(frozen=True)
class Pair:
    """Two clips, or files, that are nearly the same, and how far apart they are, in levels."""

    first: str
    second: str
    apart: float


def exact(named: Iterable[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """The names that share a digest, a group for each of those, of (name, digest)."""
    groups: dict[str, list[str]] = {}
    for name, digest in named:
        groups.setdefault(digest, []).append(name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)


def others(pairs: Iterable[Pair], groups: Iterable[Sequence[str]]) -> tuple[Pair, ...]:
    """The pairs that are not the same to the last bit anyway."""
    of = {name: number for number, names in enumerate(groups) for name in names}
    same = ((pair, of.get(pair.first), of.get(pair.second)) for pair in pairs)
    return tuple(pair for pair, one, other in same if one is None or one != other)


def near(points: NDArray[np.float32], owners: Sequence[str], least: float = NEAR) -> tuple[Pair, ...]:
    """Pairs of owners of which a clip each lies nearer to one another than `least` levels, nearest first.
    What one owner has is not compared with itself."""
    found: dict[tuple[str, str], float] = {}
    rows = torch.from_numpy(np.asarray(points, np.float32))
    for start in range(0, len(rows), PART):
        apart = torch.cdist(rows[start : start + PART], rows) / rows.shape[1] ** 0.5
        for row, column in torch.nonzero(apart < least).tolist():
            one, other = owners[start + row], owners[column]
            if start + row < column and one != other:
                pair = (min(one, other), max(one, other))
                found[pair] = min(found.get(pair, least), float(apart[row, column]))
    pairs = (Pair(one, other, round(apart, 3)) for (one, other), apart in found.items())
    return tuple(sorted(pairs, key=lambda pair: (pair.apart, pair.first, pair.second)))
