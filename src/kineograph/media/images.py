"""Single images and animated webp and png, through Pillow. Runs in the confined child only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

# Besides Image, what Pillow would import while reading, when the child may open no more files.
from PIL import (
    Image,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from kineograph.media.formats import Format, readable_tags, unpack_comment
from kineograph.media.timing import Picture, constant_rate, is_variable
from kineograph.media.wire import Limits, Probe, Unreadable
from kineograph.video import Frames

PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
STILL_SECONDS = 1.0  # a single image counts as a clip of one frame that lasts a second
_ORIENTATION = 0x0112  # Exif


class ImageSource:
    """One image file, still or animated: `probe`, and its pictures in order of time."""

    def __init__(self, file: BinaryIO, form: Format, limits: Limits) -> None:
        assert form.plugin is not None
        Image.MAX_IMAGE_PIXELS = None  # the limits are checked here
        file.seek(0)
        self._image = Image.open(file, formats=(form.plugin,))
        # A jpg with several pictures is one photo and its previews, not a clip.
        self._count = 1 if form.name == "jpg" else getattr(self._image, "n_frames", 1)
        self._check_size(limits)
        self._times = self._survey()
        self._describe(form)

    def _check_size(self, limits: Limits) -> None:
        width, height = self._image.size
        if width * height > limits.frame_pixels:
            megapixels = limits.frame_pixels / 1e6
            raise Unreadable(f"is {width}x{height} pixels: scale it down to {megapixels:.0f} megapixels.")
        if width * height * self._count > limits.total_pixels:
            raise Unreadable(f"has {self._count} frames of {width}x{height}: cut it or scale it down.")

    def _survey(self) -> list[float]:
        """The time when each picture begins, and the end: seconds since the clip began."""
        if self._count == 1:
            return [0.0, STILL_SECONDS]
        times = [0.0]
        for index in range(self._count):
            self._image.seek(index)
            self._image.load()
            milliseconds = float(self._image.info.get("duration", 0))
            times.append(times[-1] + (milliseconds if milliseconds > 10 else 100) / 1000)  # as browsers do
        return times

    def _describe(self, form: Format) -> None:
        upright = self._load(0)
        starts, end = self._times[:-1], self._times[-1]
        self.native = constant_rate(starts, end, None)
        notes = [f"The frame rate varies: frames are placed at a constant {self.native:.6g} per second."]
        self.probe = Probe(
            width=upright.width,
            height=upright.height,
            fps=self.native,
            frames=self._count,
            seconds=end,
            codec=form.name,
            container=form.name,
            has_audio=False,
            notes=(*notes[: is_variable(starts, self.native)], *_notes_on(self._image)),
            metadata=_metadata(self._image),
        )

    def _load(self, index: int) -> Image.Image:
        self._image.seek(index)
        self._image.load()
        return ImageOps.exif_transpose(self._image)

    def pictures(self, start: float) -> Iterator[Picture[Image.Image]]:
        """Every picture from the first one on; `start` (seconds) saves no work here."""
        for index in range(self._count):
            yield Picture(self._load(index), self._times[index], self._times[index + 1])

    def paint(self, image: Image.Image) -> Frames:
        """(H, W, 3) uint8; transparency is laid over white."""
        if image.mode.startswith("I"):  # 16 bits of grey
            grey = (np.asarray(image) >> 8).astype(np.uint8)
            return np.stack([grey] * 3, axis=-1)
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return np.asarray(image.convert("RGB"))


def _notes_on(image: Image.Image) -> Iterator[str]:
    if image.getexif().get(_ORIENTATION, 1) != 1:
        yield "The file's rotation flag is applied."
    if image.mode.startswith("I"):
        yield "16 bits per channel are reduced to 8."
    if image.has_transparency_data:
        yield "Transparent parts are laid over white."
    if "icc_profile" in image.info:
        yield "The embedded colour profile is not applied: sRGB is assumed."


def _metadata(image: Image.Image) -> dict[str, str]:
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        return readable_tags(unpack_comment(comment.decode(errors="replace")))
    return readable_tags(getattr(image, "text", {}))
