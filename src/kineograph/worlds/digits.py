"""Moving digits: the standard benchmark of video prediction (Srivastava et al. 2015, arXiv 1502.04681).

Handwritten digits of 28 x 28 pixels move straight ahead over a black square and bounce off its edges; where
they overlap, the brighter pixel is seen. The digits are those of MNIST, read from its own files.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineograph.errors import DataError

Pixels = NDArray[np.uint8]

SIDE = 28  # of a digit
STEP = 0.1  # of the way across that a digit goes in a frame
FILE = "t10k-images-idx3-ubyte"  # or that of the training images
_HEADER = 16  # bytes: a magic number, how many images, rows, columns, big-endian
_MAGIC = 2051


def read_digits(path: Path) -> Pixels:
    """The images (N, 28, 28) of an idx file, compressed by gzip or not.

    Raises:
        DataError: there is no such file, or it holds something else.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read: give MNIST's {FILE}, as it is or as .gz.") from error
    header = np.frombuffer(content[:_HEADER].ljust(_HEADER, b"\0"), ">u4")
    pixels = np.frombuffer(content[_HEADER:], np.uint8)
    if header[0] != _MAGIC or tuple(header[2:]) != (SIDE, SIDE) or len(pixels) != header[1:].prod():
        raise DataError(f"{path} holds no images of {SIDE} x {SIDE} pixels: give MNIST's {FILE}.")
    return pixels.reshape(-1, SIDE, SIDE)


def moving_digits(
    images: Pixels, count: int, seed: int, frames: int = 20, digits: int = 2, size: int = 64
) -> Pixels:
    """Clips (count, frames, size, size) of `digits` of the images (N, 28, 28) each; the i-th depends on the
    seed and on i alone."""
    rngs = [np.random.Generator(np.random.Philox(key=seed, counter=index << 64)) for index in range(count)]
    chosen = [rng.integers(0, len(images), digits) for rng in rngs]
    begin = np.stack([rng.random((digits, 3)) for rng in rngs])
    corners = (paths(begin, frames) * (size - SIDE)).astype(int)
    clips = np.zeros((count, frames, size, size), np.uint8)
    for clip, numbers, places in zip(clips, chosen, corners, strict=True):
        for digit, way in zip(images[numbers], places, strict=True):
            for frame, (y, x) in zip(clip, way, strict=True):
                seen = frame[y : y + SIDE, x : x + SIDE]
                np.maximum(seen, digit, out=seen)
    return clips


def paths(begin: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Where digits are, y and x in [0, 1]: (..., 3) numbers in [0, 1) that say place and direction at the
    start to (..., frames, 2). Who comes to an edge stays on it for a frame and turns back."""
    place, angle = begin[..., :2].copy(), 2 * np.pi * begin[..., 2]
    way = STEP * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    found = np.empty((*place.shape[:-1], frames, 2))
    for frame in range(frames):
        place += way
        away = (place <= 0) | (place >= 1)
        place, way = place.clip(0, 1), np.where(away, -way, way)
        found[..., frame, :] = place
    return found
