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


def watermark_of(
    path: Path, found: Probe, thorough: bool = False, others: Sequence[Watermarker] = ()
) -> Marked:
    """Look for a watermark in the first `SAMPLE` frames of a file, or in as many that are spread over it.

    Args:
        path: a video or image.
        found: what it holds.
        thorough: spread the frames.
        others: watermarks of other kinds, which are looked for if there is none of ours.
    """
    limit = limit_of(found.height, found.width, found.frames or round(found.seconds * found.fps))
    spread = thorough and found.seconds * found.fps > SAMPLE
    try:
        with reading(path, max_frames=SAMPLE, fps=SAMPLE / found.seconds if spread else None) as (_, frames):
            mark = _first(frames, others)
    except MediaError as error:
        return Marked(None, limit=str(error))
    if mark is None:
        return Marked(None, limit=limit)
    return Marked(mark.payload, mark.chance, mark.key > 0, limit)


def _first(frames: Iterable[Frames], others: Sequence[Watermarker]) -> Found | None:
    shown = list(frames) if others else frames
    keys = list(dict.fromkeys([PUBLIC_KEY, watermark_key()]))
    marks = (find(shown) for find in (lambda seen: detect(seen, keys), *(one.detect for one in others)))
    return next((mark for mark in marks if mark), None)


def payload_in(path: str) -> int | None:
    """What a watermark in a file carries, if there is one that is found."""
    try:
        return watermark_of(Path(path), probe(path)).payload
    except MediaError:
        return None
