"""The tile that is laid over every frame: which frequencies it has, and their phases for a key and a payload.

A tile is TILE pixels a side and a sum of waves that fit into it, in BANDS of rising frequency. Each wave has
one of four phases. A fifth of the waves of a band are the pilot: their phases follow from the key alone, and
by them whoever has the key finds where the tile lies. The others carry the signs of the payload, each sign
COPIES times in a band, at frequencies that the key scatters. So every band is a whole message.

n waves: PILOT + DATA in each band; frequencies (n, 2) rows and columns in periods a tile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kineograph.provenance.watermark.payload import SIGNS, Bits, encode

Waves = NDArray[np.complex64]

PUBLIC_KEY = b"kineograph public key"
"""The key of everybody: by it anyone can see that a clip was made by Kineograph, and just so anyone can lay
the mark over a clip that was not, or take it away. It marks, it doesn't prove who made a clip. With a key of
your own, kept secret, no one else can read the mark or write another payload."""

NAME = b"kineograph watermark 1\0"
TILE = 64
BANDS, COPIES = 3, 2
DATA = COPIES * SIGNS // 2  # a wave carries two signs, of its real and of its imaginary part
PILOT = DATA // 4
LOWEST = 2.5  # periods a tile: below, pictures have most of their own


def _frequencies() -> NDArray[np.int64]:
    """The lowest ones from LOWEST up, but no upright or level waves: edges and horizons are full of these."""
    side = np.arange(-TILE // 2 + 1, TILE // 2)
    rows, columns = (axis.ravel() for axis in np.meshgrid(side, side, indexing="ij"))
    radius = np.hypot(rows, columns)
    usable = np.flatnonzero((rows != 0) & (columns > 0) & (radius >= LOWEST))
    chosen = usable[np.argsort(radius[usable], kind="stable")][: BANDS * (PILOT + DATA)]
    return np.stack([rows[chosen], columns[chosen]], axis=1)


FREQUENCIES = _frequencies()
BAND = np.arange(len(FREQUENCIES)) // (PILOT + DATA)


@dataclass(frozen=True, eq=False)
class Keyed:
    """What follows from a key: which waves are the pilot and which carry data, and the phases of both.

    pilot (BANDS PILOT,) and data (BANDS DATA,) are indices into FREQUENCIES, band after band; phases (n,) are
    corners of a square, of absolute value 1.
    """

    pilot: NDArray[np.int64]
    data: NDArray[np.int64]
    phases: Waves


def keyed(key: bytes) -> Keyed:
    """A hash of the key as a stream of bits: nothing but the key tells its order and phases."""
    count = len(FREQUENCIES)
    stream = np.frombuffer(hashlib.shake_256(NAME + key).digest(5 * count), np.uint8)
    order = np.argsort(stream[: 4 * count].view("<u4").reshape(BANDS, -1), axis=1, kind="stable")
    order += np.arange(BANDS)[:, None] * (PILOT + DATA)
    turns = stream[4 * count :]
    phases = ((1 - 2.0 * (turns & 1)) + 1j * (1.0 - (turns & 2))) / np.sqrt(2)
    return Keyed(order[:, :PILOT].ravel(), order[:, PILOT:].ravel(), phases.astype(np.complex64))


def waves_of(key: bytes, payload: int) -> Waves:
    """(n,) the phase of every wave, |phase| = 1."""
    known = keyed(key)
    waves = known.phases.copy()
    signs, data = spread(encode(payload)), waves[known.data]
    waves[known.data] = data.real * signs[:, 0] + 1j * data.imag * signs[:, 1]
    return waves


def spread(signs: Bits) -> Bits:
    """(SIGNS,) → (BANDS DATA, 2): copy after copy, two signs a wave."""
    return np.tile(signs, BANDS * COPIES).reshape(-1, 2)


def tile_of(waves: Waves, bands: Sequence[float]) -> NDArray[np.float32]:
    """(TILE, TILE) the sum of waves (n,), those of each band as strong as `bands` says."""
    plane = np.zeros((TILE, TILE), np.complex128)
    plane[FREQUENCIES[:, 0], FREQUENCIES[:, 1]] = waves * np.array(bands)[BAND]
    return np.fft.ifft2(plane).real.astype(np.float32)
