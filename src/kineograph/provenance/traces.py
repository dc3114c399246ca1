"""What the pixels of a file tell of its origin, where all else may have been stripped off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kineograph.errors import MediaError
from kineograph.media.decode import reading
from kineograph.media.probe import probe
from kineograph.media.wire import Probe
from kineograph.provenance.identity import watermark_key
from kineograph.provenance.watermark import PUBLIC_KEY, Found, Watermarker, detect, limit_of
from kineograph.video import Frames

SAMPLE = 32  # frames that are looked at


@dataclass(frozen=True)
class Marked:
    """What was found in the pixels: the payload and the bound on its probability by chance, or None, and the
    limit that applies to frames such as these."""

    payload: int | None
    chance: float | None = None
    secret_key: bool = False
    limit: str | None = None


def traces_in(path: Path, thorough: bool = False, others: Sequence[Watermarker] = ()) -> tuple[Probe, Marked]:
    """What a file holds, and the watermark in its first `SAMPLE` frames, or in as many spread over it.

    Args:
        path: a video or image.
        thorough: spread the frames.
        others: watermarks of other kinds, which are looked for if there is none of ours.

    Raises:
        MediaError: it can't be read.
    """
    fps = _sparse(probe(path)) if thorough else None
    with reading(path, max_frames=SAMPLE, fps=fps) as (found, frames):
        return found, _marked(found, frames, others)


def _sparse(found: Probe) -> float | None:
    """The rate at which `SAMPLE` frames are spread over a clip; None if it has no more."""
    return SAMPLE / found.seconds if found.seconds * found.fps > SAMPLE else None


def _marked(found: Probe, frames: Iterable[Frames], others: Sequence[Watermarker]) -> Marked:
    limit = limit_of(found.height, found.width, found.frames or round(found.seconds * found.fps))
    try:
        mark = _first(frames, others)
    except MediaError as error:
        return Marked(None, limit=str(error))
    return Marked(mark.payload, mark.chance, mark.key > 0, limit) if mark else Marked(None, limit=limit)


def _first(frames: Iterable[Frames], others: Sequence[Watermarker]) -> Found | None:
    shown = list(frames) if others else frames
    keys = list(dict.fromkeys([PUBLIC_KEY, watermark_key()]))
    marks = (find(shown) for find in (lambda seen: detect(seen, keys), *(one.detect for one in others)))
    return next((mark for mark in marks if mark), None)


def payload_in(path: str) -> int | None:
    """What a watermark in a file carries, if there is one that is found."""
    try:
        return traces_in(Path(path))[1].payload
    except MediaError:
        return None
