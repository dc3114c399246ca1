"""Words in a corner of every frame that say where it comes from, for those who watch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from kineograph.errors import RequestError
from kineograph.video import Frames

LEAST_PIXELS = 8  # of the letters; smaller ones can't be read
SHARE = 0.045  # of the frame's height
SHORT = "AI"
SHADE = 0.4  # what is left of the picture behind the words


class Label:
    """White words on a dark strip in the lower right of frames of `width` x `height` pixels.

    If `text` doesn't fit in, letters get smaller, and last "AI" takes its place.

    Raises:
        RequestError: not even that fits, or the font lacks a letter.
    """

    def __init__(self, text: str, width: int, height: int) -> None:
        if lacking := _lacking(text):
            raise RequestError(f"A label can't show {lacking!r}, which its font lacks: use plain letters.")
        words = next((drawn for drawn in _sizes(text, height) if drawn.shape[1] <= width), None)
        if words is None or words.shape[0] > height:
            raise RequestError(
                f"A label can't be read in {width}x{height} pixels: make larger frames, or none."
            )
        self._words = words[..., None].astype(np.float32)

    def draw(self, frames: Frames) -> Frames:
        """The same frames (T, H, W, 3) with the words in them, a new array."""
        height, width = self._words.shape[:2]
        labelled = frames.copy()
        corner = labelled[:, -height:, -width:]
        corner[...] = np.rint(corner * SHADE * (1 - self._words) + 255 * self._words)
        return labelled


def _sizes(text: str, height: int) -> list[NDArray[np.float64]]:
    """How much of each pixel the letters cover (h, w), 0 to 1: as large as wanted, and ever smaller."""
    wanted = max(LEAST_PIXELS, round(SHARE * height))
    sizes = [(text, pixels) for pixels in range(wanted, LEAST_PIXELS - 1, -1)]
    return [_drawn(words, pixels) for words, pixels in [*sizes, (SHORT, LEAST_PIXELS)]]


def _lacking(text: str) -> str:
    """The letters in whose place the font would draw a box."""
    font = ImageFont.load_default(LEAST_PIXELS)
    box = bytes(font.getmask("\uffff"))  # which is no letter
    return "".join(letter for letter in dict.fromkeys(text) if bytes(font.getmask(letter)) == box)


def _drawn(text: str, pixels: int) -> NDArray[np.float64]:
    font = ImageFont.load_default(pixels)
    left, top, right, bottom = font.getbbox(text)
    margin = max(1, pixels // 4)
    size = (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin)
    strip = Image.new("L", size)
    ImageDraw.Draw(strip).text((margin - left, margin - top), text, fill=255, font=font)
    return np.asarray(strip) / 255
