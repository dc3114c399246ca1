"""Where the mark is not sure to be found again, as `python -m benchmarks.watermark` measured it."""

from __future__ import annotations


def limit_of(height: int, width: int, frames: int) -> str | None:
    """One sentence on what limits the mark of a clip of so many frames of `height` x `width`; None if nothing does."""
    if height * width < 64 * 64:
        return "The clip is smaller than 64x64: its watermark is not sure to be found, even in the file as written."
    if height * width < 128 * 128:
        return "The clip is smaller than 128x128: its watermark is not sure to survive coding anew, or its first."
    if height * width < 640 * 360:
        return "The clip is smaller than 640x360: its watermark is not sure to survive strong compression."
    if frames < 32:
        return "The clip has fewer than 32 frames: how much its watermark survives was not measured."
    return None
