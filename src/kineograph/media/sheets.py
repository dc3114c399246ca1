"""Several clips as one picture: a row for each, a column for each of some evenly chosen frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from einops import rearrange
from PIL import Image, ImageDraw, ImageFont

from kineograph.video import Frames, Video

MARGIN = 8  # pixels around the sheet and between rows
GAP = 2  # pixels between frames
PAPER, INK = (255, 255, 255), (40, 40, 40)
FONT_PIXELS = 13


def contact_sheet(
    videos: Sequence[Video],
    labels: Sequence[str] | None = None,
    columns: int = 8,
    *,
    frame_width: int = 160,
) -> Frames:
    """A sheet (H, W, 3) uint8 with one row per clip: its label, then `columns` frames from first to last.

    Each frame is `frame_width` pixels wide and keeps its shape. A clip with fewer frames than `columns` shows
    each once. A label that is wider than the sheet is cut.
    """
    assert videos
    assert columns >= 1, columns
    assert frame_width >= 1, frame_width
    assert labels is None or len(labels) == len(videos), (len(labels or ()), len(videos))
    width = columns * (frame_width + GAP) - GAP
    rows = [strip(video, columns, frame_width, width) for video in videos]
    if labels is not None:
        rows = [np.concatenate([caption(text, width), row]) for text, row in zip(labels, rows, strict=True)]
    spaced = [np.pad(row, ((0, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=255) for row in rows]
    return np.pad(np.concatenate(spaced), ((MARGIN, 0), (0, 0), (0, 0)), constant_values=255)


def chosen(length: int, columns: int) -> list[int]:
    """At most `columns` different indices, evenly from the first of `length` frames to the last."""
    count = min(length, columns)
    return [round(index) for index in np.linspace(0, length - 1, count)]


def strip(video: Video, columns: int, frame_width: int, width: int) -> Frames:
    """Frames of one clip side by side, (h, width, 3), with blank paper after the last."""
    height = max(1, round(video.height * frame_width / video.width))
    frames = np.stack(
        [fit(video.frames[index], frame_width, height) for index in chosen(len(video), columns)]
    )
    gaps = np.pad(frames, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)
    row = rearrange(gaps, "t h w c -> h (t w) c")[:, :width]
    return np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)


def fit(frame: Frames, width: int, height: int) -> Frames:
    """The frame at another size: whole pixels where it grows, so that small frames stay sharp."""
    grows = width >= 2 * frame.shape[1]
    how = Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(frame).resize((width, height), how))


def caption(text: str, width: int) -> Frames:
    """One line of text, (h, width, 3)."""
    line = Image.new("RGB", (width, FONT_PIXELS + 6), PAPER)
    ImageDraw.Draw(line).text((0, 1), text, fill=INK, font=ImageFont.load_default(FONT_PIXELS))
    return np.asarray(line)
