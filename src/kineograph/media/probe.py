"""What a video or image file holds."""

from __future__ import annotations

import os

from kineograph.media.sandbox import decoding
from kineograph.media.wire import LIMITS, Limits, Probe, Task

__all__ = ["LIMITS", "Limits", "Probe", "probe"]


def probe(path: str | os.PathLike[str], *, limits: Limits = LIMITS) -> Probe:
    """What the file holds, as `read_video` would deliver it; its first frame is decoded to make sure.

    Raises MediaError if the file can't be read.
    """
    with decoding(path, Task(frames=False, limits=limits)) as child:
        return child.probe
