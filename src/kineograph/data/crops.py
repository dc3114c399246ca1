"""Crops: small parts of many clips instead of few whole ones, around the things where the data knows them."""

from __future__ import annotations

import torch
from torch import Tensor

from kineograph.data.shards import FieldBatches
from kineograph.sampling.noise import Noise

WHOLE_EVERY = 3  # every third step shows whole frames, so that their borders are learnt too


class CropBatches:
    """Batches of `whole`, or in most steps of crops `side` pixels wide: as many pixels, of more clips."""

    def __init__(self, whole: FieldBatches, side: int) -> None:
        self.whole, self.side = whole, side

    def batch(self, step: int) -> dict[str, Tensor]:
        height, width = self.whole.shards.clip(0, "frames").shape[1:3]
        if step % WHOLE_EVERY == WHOLE_EVERY - 1 or self.side >= min(height, width):
            return self.whole.batch(step)
        share = (height * width) // self.side**2
        clips = [self.whole.batch(step * share + part) for part in range(share)]
        batch = {name: torch.cat([clip[name] for clip in clips]) for name in clips[0]}
        return cropped(batch, self.side, Noise(self.whole.seed).generator("crop", step))


def cropped(batch: dict[str, Tensor], side: int, draw: torch.Generator) -> dict[str, Tensor]:
    """Cut a square out of every clip of frames (B, T, H, W, 3) and focus (B, T, H, W): with focus around one
    of its pixels, drawn at random, else anywhere."""
    frames = batch["frames"]
    focus = batch.get("focus", torch.zeros(len(frames), 1, *frames.shape[2:4]))
    corners = [_corner(seen, side, draw) for seen in focus.amax(dim=1)]
    return {
        name: torch.stack(
            [clip[:, y : y + side, x : x + side] for clip, (y, x) in zip(clips, corners, strict=True)]
        )
        for name, clips in batch.items()
    }


def _corner(seen: Tensor, side: int, draw: torch.Generator) -> tuple[int, int]:
    """The upper left corner of a crop of (H, W) that holds one of the pixels seen, if there are any."""
    pixels = torch.nonzero(seen) if bool(seen.any()) else torch.nonzero(torch.ones_like(seen))
    chosen = pixels[torch.randint(len(pixels), (1,), generator=draw)[0]]
    corner = chosen - torch.randint(side, (2,), generator=draw)
    y, x = torch.minimum(corner.clamp(min=0), torch.tensor(seen.shape) - side).tolist()
    return y, x
