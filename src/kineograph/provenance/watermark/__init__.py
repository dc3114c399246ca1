"""An invisible mark in the pixels of a clip, which ordinary processing leaves readable.

    pattern.py    a key and a payload → a tile of waves
    payload.py    32 bits ↔ signs, with a check sum and an error-correcting code
    embedding.py  the tile over frames, where the picture hides it
    evidence.py   frames → where the tile may lie and what it says
    detection.py  what of that counts as found
    limits.py     what it does not survive

It marks, it does not prove: whoever has the key can find the mark, lay it over other frames, and take it
away. Everybody has `PUBLIC_KEY`. And no mark in pixels survives whoever makes the picture anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from kineograph.provenance.watermark.detection import Found, detect
from kineograph.provenance.watermark.embedding import Watermark
from kineograph.provenance.watermark.limits import limit_of
from kineograph.provenance.watermark.pattern import PUBLIC_KEY
from kineograph.video import Frames

__all__ = ["PUBLIC_KEY", "Found", "Watermark", "Watermarker", "detect", "limit_of"]


class Watermarker(Protocol):
    """What another watermark offers to stand in for this one: say a learned one with the user's weights."""

    def embed(self, frames: Frames) -> Frames:
        """Marked copies of frames (T, H, W, 3) uint8; the same however a clip is cut into chunks."""

    def detect(self, frames: Iterable[Frames]) -> Found | None:
        """The mark in frames (H, W, 3) or (T, H, W, 3), if there is one."""
