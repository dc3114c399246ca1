"""Where the mark is not sure to be found again, as `python -m benchmarks.watermark` measured it."""

from __future__ import annotations


def limit_of(height: int, width: int, frames: int) -> str | None:
    """What limits the mark of a clip of so many frames of `height` x `width`, in a sentence; None if nothing
    does."""
    pixels = height * width
    if pixels < 64 * 64:
        return "The clip is smaller than 64x64: whether its watermark can be read again was not measured."
    if pixels < 128 * 128:
        return "The clip is smaller than 128x128: its watermark may be lost in coding, even at high quality."
    if pixels < 256 * 256:
        return "The clip is smaller than 256x256: its watermark may be lost when it is coded anew."
    if pixels < 640 * 360:
        return "The clip is smaller than 640x360: its watermark may be lost when it is strongly compressed."
    if frames < 32:
        return "The clip has fewer than 32 frames: how much its watermark survives was not measured."
    return None
