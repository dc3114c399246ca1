"""A video or image file → frames in memory. The decoding itself runs in a confined child process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from math import isfinite

import numpy as np

from kineograph.errors import RequestError
from kineograph.media.sandbox import decoding
from kineograph.media.wire import LIMITS, Limits, Probe, Task
from kineograph.video import Frames, Video


def read_video(
    path: str | os.PathLike[str],
    *,
    max_frames: int | None = None,
    start: float = 0.0,
    fps: float | None = None,
    limits: Limits = LIMITS,
) -> Video:
    """The clip in `path`: mp4, mov, mkv, webm, avi, gif, png, jpg or webp, told by content, not by name.

    The frames are upright (rotation flags applied), 8-bit RGB by the file's own matrix and range (untagged:
    BT.709 from 720 lines up, BT.601 below), at a constant rate: `fps` frames per second, or the file's own
    average rate. Frame k shows what a player shows at start + k / fps seconds (see `timing.resample`). Sound
    is left out; transparency is laid over white; a still image is one frame, at `fps` or 1. `probe` tells
    what of this applies to a file.

    max_frames: at most so many frames, >= 1. start: seconds from the beginning, >= 0.
    Raises MediaError if the file can't be read, is damaged, cut short or beyond `limits`, or ends before
    `start`; RequestError for a number out of range.
    """
    pixels = bytearray()  # grows in place, so that a long clip is never held twice
    with reading(path, max_frames=max_frames, start=start, fps=fps, limits=limits) as (found, frames):
        for frame in frames:
            pixels += frame.data
    shape = (-1, found.height, found.width, 3)
    return Video(np.frombuffer(pixels, np.uint8).reshape(shape), fps or found.fps)


@contextmanager
def reading(
    path: str | os.PathLike[str],
    *,
    max_frames: int | None = None,
    start: float = 0.0,
    fps: float | None = None,
    limits: Limits = LIMITS,
) -> Iterator[tuple[Probe, Iterator[Frames]]]:
    """What the file holds, and the frames (H, W, 3) of `read_video` one by one, in constant memory.

    The frames end with the with block. Raises as `read_video`, also while they come.
    """
    check_wish(max_frames, start, fps, limits)
    task = Task(frames=True, start=start, fps=fps, max_frames=max_frames, limits=limits)
    with decoding(path, task) as child:
        shape = (child.probe.height, child.probe.width, 3)
        images = ((np.frombuffer(pixels, np.uint8).reshape(shape), count) for count, pixels in child.runs())
        yield child.probe, (frame for image, count in images for frame in repeat(image, count))


def check_wish(max_frames: int | None, start: float, fps: float | None, limits: Limits) -> None:
    if max_frames is not None and max_frames < 1:
        raise RequestError(f"max_frames is {max_frames}: ask for at least one frame.")
    if not (isfinite(start) and start >= 0):
        raise RequestError(f"start is {start}: give seconds from the beginning, 0 or more.")
    if fps is not None and not 0 < fps <= limits.fps:
        raise RequestError(f"fps is {fps}: give more than 0 and at most {limits.fps:g} frames per second.")
