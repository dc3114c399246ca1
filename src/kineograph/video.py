"""Video and Chunk: frames in memory, the currency between media, canvases and models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


def _check(frames: Frames) -> None:
    assert frames.dtype == np.uint8, frames.dtype
    assert frames.ndim == 4, frames.shape
    assert frames.shape[-1] == 3, frames.shape


@dataclass(frozen=True, eq=False)
class Video:
    """A whole clip: frames (T, H, W, 3) uint8 sRGB, T >= 1, and its frame rate in frames per second."""

    frames: Frames
    fps: float

    def __post_init__(self) -> None:
        _check(self.frames)
        assert self.fps > 0, self.fps

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def height(self) -> int:
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        return int(self.frames.shape[2])

    @property
    def seconds(self) -> float:
        return len(self) / self.fps


@dataclass(frozen=True, eq=False)
class Chunk:
    """A run of consecutive frames (T, H, W, 3) uint8 of a longer video, the first at index `start`."""

    frames: Frames
    start: int

    def __post_init__(self) -> None:
        _check(self.frames)
