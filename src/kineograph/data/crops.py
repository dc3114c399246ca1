"""Crops: small parts of many clips instead of few whole ones, around the things where the data knows them."""

from __future__ import annotations

import torch
from torch import Tensor

from kineograph.data.shards import FieldBatches, indices
from kineograph.sampling.noise import Noise

WHOLE_EVERY = 4  # every fourth step shows whole frames, so that their borders are learnt too


class CropBatches:
    """Batches of `whole`, but in most steps squares of `side` pixels instead, cut out of so many clips that
    there are as many pixels. Frames that are no larger than that stay whole."""

    def __init__(self, whole: FieldBatches, side: int) -> None:
        self.whole, self.side = whole, side
        height, width = self.size = whole.shards.clip(0, "frames").shape[1:3]
        self.count = whole.size * (height * width // side**2)

    def batch(self, step: int) -> dict[str, Tensor]:
        """Frames (B, T, H, W, 3), and what other fields there are, cut alike."""
        if step % WHOLE_EVERY == WHOLE_EVERY - 1 or self.side >= min(self.size):
            return self.whole.batch(step)
        shards, draw = self.whole.shards, Noise(self.whole.seed).generator("crop", step)
        chosen = indices(len(shards), self.count, step, self.whole.seed)
        cuts = [(clip, slice(None), *self._square(clip, draw)) for clip in chosen]
        return {
            field: torch.stack([shards.clip(clip, field, *parts) for clip, *parts in cuts])
            for field in self.whole.fields
        }

    def _square(self, clip: int, draw: torch.Generator) -> tuple[slice, slice]:
        """Where to cut: around a pixel of focus, drawn at random; anywhere in a clip without any."""
        seen = torch.zeros(self.size)
        if "focus" in self.whole.fields:
            seen = self.whole.shards.clip(clip, "focus").amax(dim=0)
        pixels = torch.nonzero(seen if bool(seen.any()) else torch.ones_like(seen))
        pixel = pixels[torch.randint(len(pixels), (1,), generator=draw)[0]]
        corner = pixel - torch.randint(self.side, (2,), generator=draw)
        y, x = torch.minimum(corner.clamp(min=0), torch.tensor(self.size) - self.side).tolist()
        return slice(y, y + self.side), slice(x, x + self.side)
