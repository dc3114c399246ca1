"""Finding the tile again: frames are averaged, the picture is weighed down, the waves are looked for.

The mean of the frames is freed of its slow parts and divided by how lively it is around each pixel, and its
spectrum by what it is around each frequency: what remains is noise of equal strength everywhere, and the
mark.

For each scale and flip the spectrum is read at the waves' frequencies. How well the pilot fits is then one
Fourier transform for all shifts of the tile. Where it fits best, the payload is read.

When a reading counts: x are the readings of all data signs, s what they should be if the payload is as
decoded. Without a mark under this key, the hash of the key makes each s an honest coin, whatever the picture
is. Then P(Σ s x >= z |x|) <= exp(-z²/2) (Hoeffding 1963), for each payload and each place that is read. The
pilot's coins are others, so that choosing the places, and what each frequency weighs, by it changes nothing.
With 2**32 payloads and PLACES places the probability of a false finding is thus at most
2**32 PLACES exp(-z²/2), here called `chance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kineograph.provenance.watermark.evidence import PLACES, Evidence, Place
from kineograph.provenance.watermark.pattern import Keyed, keyed
from kineograph.provenance.watermark.payload import PAYLOAD_BITS, SIGNS, decode
from kineograph.video import Frames

Plane = NDArray[np.float32]

LUMA = np.array([0.2126, 0.7152, 0.0722])  # BT.709
MOST_CHANCE = 1e-6
LARGEST = 1100  # pixels of the shorter side: larger frames are halved first


@dataclass(frozen=True)
class Found:
    """A mark that was found.

    payload: from 0 to 2**32 - 1. chance: a bound on the probability that frames without a mark under the key
    give such a finding, at most 1e-6. key: which of the keys, by its index. scale: how large the frames are,
    compared to when they were marked. flipped: left and right are exchanged.
    """

    payload: int
    chance: float
    key: int
    scale: float
    flipped: bool

    @property
    def confidence(self) -> float:
        """1 - chance."""
        return 1 - self.chance


def detect(frames: Iterable[Frames], keys: Sequence[bytes]) -> Found | None:
    """The mark under one of the keys in the frames (H, W, 3) or (T, H, W, 3), all of one size; None without.

    The size and place at which frames are marked is tried first, then other places at that size, then common
    sizes, then all from 0.4 to 2.5 times that; each also mirrored.
    """
    luma = average(frames)
    if luma is None:
        return None
    luma, halved = _halved(luma)
    evidence = Evidence(luma)
    known = [keyed(key) for key in keys]
    for look in (evidence.as_marked, evidence.cropped, evidence.commonly_resized, evidence.resized):
        for index, key in enumerate(known):
            found = _best(evidence, key, look(key))
            if found is not None:
                place, payload, chance = found
                return Found(payload, chance, index, place.scale * 2**halved, place.flipped)
    return None


def _best(evidence: Evidence, key: Keyed, places: Sequence[Place]) -> tuple[Place, int, float] | None:
    """The reading that is least likely by chance, if it is unlikely enough."""
    payloads, chances = read(evidence.read(key, places))
    best = int(chances.argmin())
    if chances[best] > MOST_CHANCE:
        return None
    return places[best], int(payloads[best]), float(chances[best])


def read(waves: Plane) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Readings (N, D, 2) of data waves → payloads (N,) and their chance: 1 where the check sum is wrong."""
    limit = 3 * np.sqrt(np.mean(waves**2, (1, 2), keepdims=True))
    waves = np.clip(waves, -limit, limit)
    soft = waves.reshape(len(waves), -1, SIGNS).sum(1)
    found = decode(soft)
    fit = (soft * found.signs).sum(1, dtype=np.float64) / (np.sqrt(np.sum(waves**2, (1, 2))) + 1e-9)
    chance = np.minimum(1.0, 2.0**PAYLOAD_BITS * PLACES * np.exp(-(np.maximum(fit, 0.0) ** 2) / 2))
    return found.payload, np.where(found.checked, chance, 1.0)


def _halved(luma: Plane) -> tuple[Plane, int]:
    """Large frames at a half, a quarter, … of their size, and how often they were halved."""
    halved = 0
    while min(luma.shape) > LARGEST:
        height, width = (side // 2 * 2 for side in luma.shape)
        luma = luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
        halved += 1
    return luma, halved


def average(frames: Iterable[Frames]) -> Plane | None:
    """(H, W) the mean luma in levels of 255; None of no frames."""
    total, count = None, 0
    for frame in _single(frames):
        total = np.zeros(frame.shape, np.uint32) if total is None else total
        assert frame.shape == total.shape, (frame.shape, total.shape)
        total += frame
        count += 1
    return None if total is None else (total @ LUMA / count).astype(np.float32)


def _single(frames: Iterable[Frames]) -> Iterator[Frames]:
    for item in frames:
        yield from item if item.ndim == 4 else [item]
