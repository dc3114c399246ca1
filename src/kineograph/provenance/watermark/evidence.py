"""Frames as noise of equal strength everywhere, in which a mark stands out: where it may lie, what it says.

S scales, P pilot waves, D data waves; a spectrum's bins are those of frames padded to (rows, columns).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kineograph.provenance.watermark.pattern import FREQUENCIES, TILE, Keyed

Plane = NDArray[np.float32]
Complex = NDArray[np.complex64]
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

WINDOW = 9  # pixels a side, within which the picture's liveliness is taken
CALM = 2.0  # levels² below which all places weigh alike
LIVELY = 0.6  # the power of the liveliness by which a place weighs less
AROUND = 9  # bins a side, within which the strength of the spectrum is taken
PADDED = 2  # times the size of the frame, for a finer spectrum

SCALES = np.exp(np.arange(np.log(0.4), np.log(2.5), 0.003))
RINGS = 6
RING = np.arange(len(FREQUENCIES)) * RINGS // len(FREQUENCIES)  # of each wave
FLOOR = 0.15  # the least that a ring weighs, as the pilot may err
COMMON = np.array([0.5, 2 / 3, 0.75, 0.8, 1.25, 4 / 3, 1.5, 2.0])
AT_ONCE = 64  # scales
NEAREST, PEAKS = 4, 12  # places that are read at scale 1, and at any scale
PLACES = 2 + 2 * NEAREST + PEAKS


@dataclass(frozen=True)
class Place:
    """Where the tile may lie: row and column of it, in its own pixels, that the frame's centre shows.

    scale: how large the frame is, compared to when it was marked. flipped: left and right are exchanged.
    fit: how well the pilot fits, in standard deviations of what chance would do.
    """

    scale: float
    flipped: bool
    row: float
    column: float
    fit: float = 0.0


class Evidence:
    """What the mean luma (H, W) of a clip, in levels of 255, says about a mark."""

    def __init__(self, luma: Plane) -> None:
        self._size = luma.shape
        self._padded = tuple(-(-PADDED * side // TILE) * TILE for side in luma.shape)
        self._spectrum = _white(_calmed(luma), self._padded)

    @property
    def marked(self) -> Place:
        """The size and place at which frames are marked."""
        return Place(1.0, False, self._size[0] // 2, self._size[1] // 2)

    def as_marked(self, key: Keyed) -> list[Place]:
        """The size and place at which frames are marked, and its mirror image."""
        return [
            self.marked,
            replace(self.marked, flipped=True, column=self._size[1] - 1 - self._size[1] // 2),
        ]

    def cropped(self, key: Keyed) -> list[Place]:
        """The best places at the size at which frames are marked."""
        places = []
        for flipped in (False, True):
            fits = self._fits(key, np.ones(1), flipped)[0]
            blocks = fits.reshape(8, TILE // 8, 8, TILE // 8).max((1, 3))
            for fit in np.sort(blocks, axis=None)[-NEAREST // 2 :]:
                row, column = np.argwhere(fits == fit)[0]
                places.append(Place(1.0, flipped, float(row), float(column), float(fit)))
        return places

    def commonly_resized(self, key: Keyed) -> list[Place]:
        """The best places at sizes that are often chosen."""
        return self._best(key, COMMON)[:NEAREST]

    def resized(self, key: Keyed) -> list[Place]:
        """The best places at any size."""
        return self._best(key, SCALES)[:PEAKS]

    def _best(self, key: Keyed, every: Floats) -> list[Place]:
        """The best place at each scale that fits better than its neighbours, the best first."""
        places = []
        for flipped in (False, True):
            for begin in range(0, len(every), AT_ONCE):
                scales = every[begin : begin + AT_ONCE]
                fits = self._fits(key, scales, flipped).reshape(len(scales), -1)
                for scale, at, fit in zip(scales, fits.argmax(1), fits.max(1), strict=True):
                    row, column = divmod(int(at), TILE)
                    places.append(Place(float(scale), flipped, row, column, float(fit)))
        return [self._refined(key, place) for place in _apart(places)[:PEAKS]]

    def read(self, key: Keyed, places: Sequence[Place]) -> Plane:
        """(N, D, 2) how the data waves lie at each place, along their phases: positive for a sign of +1.

        Each ring of frequencies weighs as much as the pilot stands out in it.
        """
        everything = np.arange(len(FREQUENCIES))
        waves = np.array([self._at(everything, place) for place in places], np.complex64)
        found = along(waves.reshape(-1, len(everything)), key.phases)
        return weighed(found, key.pilot)[:, key.data]

    def _at(self, chosen: Indices, place: Place) -> Complex:
        """(chosen,) the waves there, as they lie in the tile."""
        rows, columns = FREQUENCIES[chosen].T
        waves = self.waves(chosen, np.array([place.scale]), place.flipped)[0]
        turns = np.exp(-2j * np.pi / TILE * (rows * place.row + columns * place.column))
        turned: Complex = (waves * turns).astype(np.complex64)
        return turned

    def waves(self, chosen: Indices, scales: Floats, flipped: bool) -> Complex:
        """(S, chosen) the spectrum at the frequencies that waves have at each scale; 0 where it has none."""
        rows, columns = (axis / (TILE * scales[:, None]) for axis in FREQUENCIES[chosen].T)
        height, width = self._padded
        down = np.rint(rows * (-height if flipped else height)).astype(np.int64)
        across = np.rint(columns * width).astype(np.int64)
        there = (2 * abs(down) < height) & (2 * across < width)
        waves = np.where(there, self._spectrum[down % height, np.where(there, across, 0)], 0)
        return waves.conj() if flipped else waves

    def _fits(self, key: Keyed, scales: Floats, flipped: bool) -> Plane:
        """(S, TILE, TILE) how well the pilot fits, for each row and column at the frame's centre."""
        waves = self.waves(key.pilot, scales, flipped) * key.phases[key.pilot].conj()
        plane = np.zeros((len(scales), TILE, TILE), np.complex64)
        rows, columns = FREQUENCIES[key.pilot].T
        plane[:, rows, columns] = waves
        return (np.fft.fft2(plane).real / _spread_of(waves)[:, None, None]).astype(np.float32)

    def _refined(self, key: Keyed, place: Place) -> Place:
        """The best place near by, at finer steps of scale, row and column."""
        scales = place.scale * np.exp(np.linspace(-0.002, 0.002, 5))
        waves = self.waves(key.pilot, scales, place.flipped) * key.phases[key.pilot].conj()
        steps = np.arange(-3, 4) / 4
        rows, columns = FREQUENCIES[key.pilot].T
        down = np.exp(-2j * np.pi / TILE * np.outer(place.row + steps, rows))
        across = np.exp(-2j * np.pi / TILE * np.outer(place.column + steps, columns))
        fits = np.einsum("sp,rp,cp->src", waves, down, across).real / _spread_of(waves)[:, None, None]
        scale, row, column = np.unravel_index(fits.argmax(), fits.shape)
        return replace(
            place,
            scale=float(scales[scale]),
            row=float(place.row + steps[row]),
            column=float(place.column + steps[column]),
            fit=float(fits.max()),
        )


def along(waves: Complex, phases: Complex) -> Plane:
    """(..., 2) the real and imaginary parts of waves, positive where they have the signs of `phases`."""
    parts = waves.real * np.sign(phases.real), waves.imag * np.sign(phases.imag)
    return np.stack(parts, -1).astype(np.float32)


def weighed(found: Plane, pilot: Indices) -> Plane:
    """Readings (N, n, 2), by how well the pilot does in their ring: what a codec took away weighs little."""
    rings, known = np.eye(RINGS, dtype=np.float32)[RING], found[:, pilot]
    fit = known.sum(-1) @ rings[pilot]
    most = np.sqrt((known**2).sum(-1) @ rings[pilot] * 2 * rings[pilot].sum(0))
    weights: Plane = np.maximum(fit / (most + 1e-9), FLOOR) @ rings.T
    return found * weights[..., None]


def _apart(places: Sequence[Place]) -> list[Place]:
    """Those that fit better than their neighbours in scale, the best first."""
    best = [
        place
        for before, place, after in zip([places[-1], *places], places, [*places[1:], places[0]], strict=False)
        if place.fit >= max(before.fit, after.fit)
    ]
    return sorted(best, key=lambda place: -place.fit)


def _spread_of(waves: Complex) -> Plane:
    """(S,) the standard deviation of a sum of waves (S, P) with phases by chance."""
    spread: Plane = np.sqrt((abs(waves) ** 2).sum(-1) / 2) + 1e-9
    return spread


def _calmed(luma: Plane) -> Plane:
    """What is fast in the picture, the livelier its surroundings the weaker."""
    rest = luma - _blurred(luma, WINDOW)
    calmed: Plane = rest / (_blurred(rest**2, WINDOW) + CALM) ** LIVELY
    return calmed


def _white(rest: Plane, padded: tuple[int, ...]) -> Complex:
    """(rows, columns / 2 + 1) the spectrum around the frame's centre, by its strength around each bin."""
    height, width = rest.shape
    wide = np.zeros(padded, np.float32)
    wide[:height, :width] = rest
    wide = np.roll(wide, (-(height // 2), -(width // 2)), (0, 1))
    spectrum = np.fft.rfft2(wide).astype(np.complex64)
    power = _blurred(spectrum.real**2 + spectrum.imag**2, AROUND)
    white: Complex = spectrum / np.sqrt(power + 1e-9 * power.max() + 1e-30)
    return white


def _blurred(plane: Plane, side: int) -> Plane:
    """The mean of a square window of an odd side; beyond the edges the plane goes on mirrored."""
    for axis in (0, 1):
        half = min(side // 2, plane.shape[axis] - 1)
        wide = np.pad(plane, [(half + 1, half) if at == axis else (0, 0) for at in (0, 1)], mode="symmetric")
        sums = np.cumsum(wide, axis=axis, dtype=np.float64)
        length = plane.shape[axis]
        upper = np.take(sums, range(2 * half + 1, 2 * half + 1 + length), axis)
        lower = np.take(sums, range(length), axis)
        plane = ((upper - lower) / (2 * half + 1)).astype(np.float32)
    return plane
