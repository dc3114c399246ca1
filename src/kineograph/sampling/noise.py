"""Keyed noise: a draw depends on the seed and on what it is for, never on the batch, chunk or order."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Noise:
    """Random numbers of one clip, from a counter-based generator (Philox; Salmon et al. 2011)."""

    seed: int

    def _generator(self, name: str, index: int) -> np.random.Generator:
        digest = hashlib.sha256(f"{self.seed}/{name}/{index}".encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))

    def normal(self, name: str, index: int, shape: tuple[int, ...]) -> Tensor:
        """Standard normal float32 tensor on the CPU for the thing `name` at position `index`."""
        draws = self._generator(name, index).standard_normal(shape, dtype=np.float32)
        return torch.from_numpy(draws)

    def generator(self, name: str, index: int) -> torch.Generator:
        """A torch generator on the CPU for the thing `name` at position `index`."""
        digest = hashlib.sha256(f"{self.seed}/{name}/{index}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))


class Draws(Protocol):
    """Where a clip's noise comes from."""

    def normal(self, name: str, index: int, shape: tuple[int, ...]) -> Tensor: ...


@dataclass(frozen=True)
class NoiseBetween:
    """Noise on the way from one clip's to another's, along the arc on which its variance stays 1."""

    first: Draws
    second: Draws
    share: float

    def normal(self, name: str, index: int, shape: tuple[int, ...]) -> Tensor:
        """Standard normal float32 tensor: that of the first at share 0, of the second at share 1."""
        angle = self.share * math.pi / 2
        first, second = (noise.normal(name, index, shape) for noise in (self.first, self.second))
        return math.cos(angle) * first + math.sin(angle) * second
