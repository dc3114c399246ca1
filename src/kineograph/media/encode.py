"""Frames → a video file, a folder of images, or one image; streaming, and atomic.

    .mp4 .mov .m4v   H.264, 4:2:0, BT.709 limited range, index in front; an odd width or height gains one
                     column or row, a copy of the last, as 4:2:0 H.264 has even sizes only
    .webm            VP9, 4:2:0, BT.709 limited range
    .mkv             FFV1, RGB: lossless, each pixel as it was; at least 2 pixels wide
    .gif             256 colours chosen anew for each frame; at most 50 frames per second
    no suffix        a folder of frame_00000.png, frame_00001.png, …
    .png .jpg        a single frame, by `save_image`

All carry the metadata as tags, which `probe` reads back: mp4, mov, webm and mkv as such, png as text chunks,
gif and jpg as a comment in JSON.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.filter import Graph
from av.video.stream import VideoStream
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from kineograph.errors import OutputError
from kineograph.media.atomic import explaining, replacing
from kineograph.media.formats import colour_table_bytes, pack_comment
from kineograph.media.recipes import RECIPES, Recipe
from kineograph.video import Frames

BT709, LIMITED = 1, 1  # ITU-T H.273; BT.709 has the same number as primaries, transfer and matrix
LEAST_FPS = 0.1
LONGEST_COMMENT = 65_000  # bytes in a jpg
IMAGES = (".png", ".jpg", ".jpeg")

Seal = Callable[[Path], None]
"""What is done to a finished file before it appears under its name."""


class Encoder(Protocol):
    """A video that is being written. `frames_written` counts what it was given so far."""

    frames_written: int

    def write(self, frames: Frames) -> None:
        """Append frames (T, H, W, 3) uint8 of the size that was announced. Raises OutputError."""


@contextmanager
def open_encoder(
    path: str | os.PathLike[str],
    width: int,
    height: int,
    fps: float,
    metadata: dict[str, str] | None = None,
    seal: Seal | None = None,
) -> Iterator[Encoder]:
    """An encoder to `path` for frames of `width` x `height` pixels at `fps` frames per second.

    The suffix decides the format (see the top of this file); a path without one, or that ends in a slash, is
    a folder of images. `path` appears, or is replaced, when the with block ends well; when it ends by an
    exception, nothing is left behind. Metadata keys are words of letters, digits and _. `seal` gets the
    finished file, or each image of a folder, before that appears. Raises OutputError.
    """
    tags = checked_tags(metadata or {})
    recipe = recipe_of(path)
    path = Path(path)
    with replacing(path, folder=recipe is None) as part:
        if recipe is None:
            folder = FolderEncoder(part, path, (height, width), tags, seal)
            yield folder
            check_any(folder, path)
            return
        encoder = ContainerEncoder(part, path, recipe, (height, width), checked_rate(path, fps, recipe), tags)
        try:
            yield encoder
            check_any(encoder, path)
            encoder.finish()
        finally:
            encoder.release()
        if seal:
            seal(part)


def save_image(
    path: str | os.PathLike[str],
    image: Frames,
    metadata: dict[str, str] | None = None,
    seal: Seal | None = None,
) -> None:
    """Write one image (H, W, 3) uint8 as .png (lossless) or .jpg, whole or not at all; see `open_encoder`."""
    check_frames(image[None], image.shape[:2])
    path = Path(path)
    if path.suffix.lower() not in IMAGES:
        raise OutputError(f"{path.name!r} can't be written as an image: end its name in .png or .jpg.")
    with replacing(path) as part, explaining(path):
        part.write_bytes(image_bytes(path, image, checked_tags(metadata or {})))
        if seal:
            seal(part)


def image_bytes(path: Path, image: Frames, tags: dict[str, str]) -> bytes:
    buffer = BytesIO()
    if path.suffix.lower() == ".png":
        text = PngInfo()
        for key, value in tags.items():
            text.add_text(key, value)
        Image.fromarray(image).save(buffer, "PNG", pnginfo=text)
        return buffer.getvalue()
    comment = pack_comment(tags).encode() if tags else b""
    if len(comment) > LONGEST_COMMENT:
        raise OutputError(f"{path.name!r} can't hold {len(comment)} bytes of metadata: write a .png.")
    Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=0, comment=comment)
    return buffer.getvalue()


class FolderEncoder:
    """Writes frame after frame as png."""

    def __init__(
        self, part: Path, path: Path, size: tuple[int, int], tags: dict[str, str], seal: Seal | None
    ) -> None:
        self._part, self._path, self._size, self._tags, self._seal = part, path, size, tags, seal
        self.frames_written = 0

    def write(self, frames: Frames) -> None:
        check_frames(frames, self._size)
        with explaining(self._path):
            for frame in frames:
                file = self._part / f"frame_{self.frames_written:05}.png"
                file.write_bytes(image_bytes(file, frame, self._tags))
                if self._seal:
                    self._seal(file)
                self.frames_written += 1


class ContainerEncoder:
    """Writes frames through a filter graph and a codec into a container."""

    def __init__(
        self,
        part: Path,
        path: Path,
        recipe: Recipe,
        size: tuple[int, int],
        rate: Fraction,
        tags: dict[str, str],
    ) -> None:
        self._part, self._path, self._recipe, self._size = part, path, recipe, size
        self._rate, self._tags = rate, tags
        self.frames_written = self._coded = 0
        self._graph: Graph | None = None
        with explaining(path):
            self._container = av.open(
                str(part.absolute()), "w", format=recipe.muxer, options=recipe.muxer_options
            )
            self._container.metadata.update(tags)
            self._stream = self._add_stream()

    def _add_stream(self) -> VideoStream:
        recipe, (height, width) = self._recipe, self._size
        stream = self._container.add_stream(recipe.codec, self._rate, options=recipe.options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = height + self._odd(height), width + self._odd(width)
        stream.pix_fmt = recipe.pixel_format
        if recipe.yuv:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = LIMITED
        return stream

    def _odd(self, side: int) -> int:
        """How many pixels a side lacks to be stored."""
        return side % 2 if self._recipe.even else 0

    def write(self, frames: Frames) -> None:
        check_frames(frames, self._size)
        height, width = self._size
        padding = (0, 0), (0, self._odd(height)), (0, self._odd(width)), (0, 0)
        with explaining(self._path):
            for pixels in np.pad(frames, padding, mode="edge"):
                self._push(pixels)

    def _push(self, pixels: Frames) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
        frame.pts, frame.time_base = self.frames_written, 1 / self._rate
        self._graph = self._graph or self._recipe.graph(frame)
        self._graph.vpush(frame)
        self.frames_written += 1
        self._drain()

    def _drain(self) -> None:
        """Code what the graph has ready."""
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            frame.pts, frame.time_base = self._coded, 1 / self._rate
            self._coded += 1
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is still on its way, and the container's index."""
        assert self._graph is not None
        with explaining(self._path):
            self._graph.vpush(None)
            self._drain()
            assert self._coded == self.frames_written, (self._coded, self.frames_written)
            self._container.mux(self._stream.encode(None))
            self._container.close()
            if self._recipe.muxer == "gif" and self._tags:
                add_gif_comment(self._part, pack_comment(self._tags))

    def release(self) -> None:
        """Let go of the file, in whatever state it is."""
        with suppress(OSError, av.FFmpegError):
            self._container.close()


def add_gif_comment(part: Path, comment: str) -> None:
    """Insert a comment block ahead of a gif's first image. Source: GIF89a, sections 18 and 24."""
    data, text = part.read_bytes(), comment.encode()
    head = 13 + colour_table_bytes(data[10:11])
    blocks = b"".join(bytes([len(text[i : i + 255])]) + text[i : i + 255] for i in range(0, len(text), 255))
    part.write_bytes(data[:head] + b"!\xfe" + blocks + b"\0" + data[head:])


def recipe_of(path: str | os.PathLike[str]) -> Recipe | None:
    """The recipe for the path's suffix; None for a folder of images."""
    name, suffix = Path(path).name, Path(path).suffix.lower()
    if not suffix or os.fspath(path).endswith(("/", os.sep)):
        return None
    if suffix in IMAGES:
        raise OutputError(f"{name!r} holds a single image: leave out {suffix} to write a folder of images.")
    if suffix not in RECIPES:
        known = ", ".join(RECIPES)
        raise OutputError(
            f"{name!r} has an unknown suffix: use one of {known}, or none for a folder of images."
        )
    return RECIPES[suffix]


def checked_rate(path: Path, fps: float, recipe: Recipe) -> Fraction:
    """The frame rate as the fraction that is stored; 23.976 and its like come out within a millionth."""
    if not LEAST_FPS <= fps <= recipe.most_fps:
        span = f"{LEAST_FPS} to {recipe.most_fps:g}"
        raise OutputError(f"{path.name!r} can't have {fps:g} frames per second: {path.suffix} holds {span}.")
    return Fraction(fps).limit_denominator(1001)


def checked_tags(metadata: dict[str, str]) -> dict[str, str]:
    """The same tags; as containers fold the case of keys, all come back in lower case."""
    for key, value in metadata.items():
        assert re.fullmatch("[A-Za-z0-9_]+", key), key
        assert "\0" not in value, key
    return metadata


def check_frames(frames: Frames, size: tuple[int, int]) -> None:
    assert frames.dtype == np.uint8, frames.dtype
    assert frames.shape[1:] == (*size, 3), (frames.shape, size)


def check_any(encoder: Encoder, path: Path) -> None:
    if not encoder.frames_written:
        raise OutputError(f"{path.name!r} is not written, as there are no frames: write at least one.")
