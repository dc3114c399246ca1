"""Laying the tile over frames: the same in all of them, stronger where the picture hides it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kineograph.provenance.watermark.pattern import TILE, tile_of, waves_of
from kineograph.video import Frames

Plane = NDArray[np.float32]

CELL = 8  # pixels a side, within which the strength hardly changes
BY_TEXTURE = 0.35  # more strength for each level that neighbouring pixels differ by


@dataclass(frozen=True)
class Strength:
    """How strong a mark is, in levels of 255 (root mean square).

    flat: where there is nothing to hide it. most: where there is most. budget: at most, over a whole frame.
    bands: the waves of each band, beside one another.
    """

    flat: float
    most: float
    budget: float
    bands: tuple[float, ...]


# Small pictures are full of low frequencies and have few pixels: their mark is stronger, and in all bands.
LARGE = Strength(flat=1.2, most=6.0, budget=1.94, bands=(1.0, 0.4, 0.0))
SMALL = Strength(flat=1.7, most=6.0, budget=2.3, bands=(1.0, 1.0, 1.0))
SIDE = 300  # pixels: frames of fewer than this squared are small


def strength_for(height: int, width: int) -> Strength:
    """For frames of that size."""
    return SMALL if height * width < SIDE**2 else LARGE


class Watermark:
    """The mark of one clip: `payload`, from 0 to 2**32 - 1, under `key`, on frames of `height` x `width`.

    It holds no state, so frames can come in chunks of any length.
    """

    def __init__(self, key: bytes, payload: int, height: int, width: int) -> None:
        self._size = height, width
        self._how = how = strength_for(height, width)
        tile = tile_of(waves_of(key, payload), how.bands)
        tile = np.tile(tile, (-(-height // TILE), -(-width // TILE)))[:height, :width]
        self._tile = tile / np.sqrt(np.mean(tile**2))
        self._pools = _pool(height), _pool(width)
        self._spreads = _spread(height), _spread(width)

    def embed(self, frames: Frames) -> Frames:
        """Marked copies of frames (T, H, W, 3)."""
        assert frames.shape[1:] == (*self._size, 3), frames.shape
        marked = np.empty_like(frames)
        for frame, out in zip(frames, marked, strict=True):
            self._mark(frame, out)
        return marked

    def _mark(self, frame: Frames, out: Frames) -> None:
        """All three channels of a pixel change alike: its colour stays, its lightness moves."""
        change = np.rint(self._strength(frame) * self._tile).astype(np.int16)
        wide = frame.reshape(len(frame), -1).astype(np.int16)
        wide += np.repeat(change, 3, axis=1)
        np.clip(wide, 0, 255, out=wide)
        out[:] = wide.reshape(frame.shape)

    def _strength(self, frame: Frames) -> Plane:
        """(H, W) by how much neighbouring pixels differ, in the calmest cell around each."""
        rows, columns = self._pools
        texture = _calmest((rows @ _steps(frame[..., 1]) @ columns.T).astype(np.float32))
        strength = np.minimum(self._how.flat + BY_TEXTURE * texture, self._how.most)
        strength *= min(1.0, self._how.budget / float(np.sqrt(np.mean(strength**2))))
        down, across = self._spreads
        spread: Plane = down @ strength @ across.T
        return spread


def _steps(green: Frames) -> Plane:
    """(H, W) the differences to the pixels on the right and below, in levels."""
    levels = green.astype(np.float32)
    steps = np.zeros_like(levels)
    steps[:, :-1] = np.abs(levels[:, 1:] - levels[:, :-1])
    steps[:-1] += np.abs(levels[1:] - levels[:-1])
    return steps


def _calmest(texture: Plane) -> Plane:
    """The least of each cell and its eight neighbours: beside an edge, flat ground stays flat ground."""
    for axis in (0, 1):
        padded = np.pad(texture, [(1, 1) if at == axis else (0, 0) for at in (0, 1)], mode="edge")
        parts = (np.take(padded, range(at, at + texture.shape[axis]), axis) for at in range(3))
        texture = np.minimum.reduce(list(parts))
    return texture.astype(np.float32)


def _pool(side: int) -> Plane:
    """(cells, side) by which the mean of each cell is taken; the last may be narrower."""
    cells = np.arange(side) // CELL == np.arange(-(-side // CELL))[:, None]
    pool: Plane = (cells / cells.sum(1, keepdims=True)).astype(np.float32)
    return pool


def _spread(side: int) -> Plane:
    """(side, cells) by which values at the centres of cells are drawn out to all pixels, linearly."""
    cells = -(-side // CELL)
    centres = np.arange(cells) * CELL + (CELL - 1) / 2
    return np.stack([np.interp(np.arange(side), centres, unit) for unit in np.eye(cells)], 1).astype(
        np.float32
    )
