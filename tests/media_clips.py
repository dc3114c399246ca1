"""Clips that the media tests make on the spot, with libav and Pillow directly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from kineograph.media.decode import read_video
from kineograph.media.probe import LIMITS, Limits

Array = NDArray[np.uint8]
MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}  # H.273 number → (Kr, Kb)


def moving(count: int = 12, height: int = 48, width: int = 64) -> Array:
    """A smooth moving picture (T, H, W, 3), with a top left that differs from all other corners."""
    t, y, x = np.ogrid[:count, :height, :width]
    red = 90 + 60 * np.sin((x + 4 * t) / 11) + 0 * y
    green = 60 + 140 * y / height + 0 * x + 0 * t
    blue = 128 + 70 * np.cos((x + y - 3 * t) / 14)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def counting(count: int, height: int = 16, width: int = 16) -> Array:
    """Flat frames, the n-th of the grey 10 + 8 n: what frame one has is told by any pixel."""
    grey = (10 + 8 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(grey[:, None, None, None], (count, height, width, 3)).copy()


def numbers(frames: Array) -> list[int]:
    """Which frames of `counting` these are."""
    return [round((float(frame.mean()) - 10) / 8) for frame in frames]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603


def read_image(path: Path, *, limits: Limits = LIMITS) -> Array:
    """The first frame (H, W, 3) of an image or a video."""
    return read_video(path, max_frames=1, limits=limits).frames[0]


def psnr(one: Array, other: Array) -> float:
    error = np.mean((one.astype(float) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def add_video(
    container: av.container.OutputContainer,
    frames: Array,
    codec: str = "ffv1",
    *,
    pixel_format: str = "bgr0",
    fps: Fraction = Fraction(25),
    options: dict[str, str] | None = None,
    rotation: tuple[int, bool, bool] | None = None,
    stamps: Sequence[int] | None = None,
    time_base: Fraction | None = None,
) -> Callable[[], None]:
    """A stream; call what is returned, after all streams are added, to write the frames to it.

    stamps are times in units of time_base, by default one after another.
    """
    stream = container.add_stream(codec, rate=fps, options=options or {})
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = pixel_format
    if time_base:
        stream.codec_context.time_base = time_base
    if rotation:
        stream.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])

    def mux() -> None:
        for index, pixels in enumerate(frames):
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            frame = rgb.reformat(format=pixel_format)
            frame.pts = index if stamps is None else stamps[index]
            frame.time_base = time_base or 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    return mux


def add_sound(container: av.container.OutputContainer) -> Callable[[], None]:
    """A stream of half a second of a tone, as for `add_video`."""
    stream = container.add_stream("pcm_s16le" if container.format.name == "matroska" else "aac", rate=16000)
    stream.layout = "mono"

    def mux() -> None:
        tone = (8000 * np.sin(np.arange(8192) / 9)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=16000, frame_size=1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))

    return mux


def write(path: Path, frames: Array, codec: str = "ffv1", **how: object) -> Path:
    with av.open(str(path), "w") as container:
        add_video(container, frames, codec, **how)()  # type: ignore[arg-type]
    return path


def write_planes(
    path: Path, planes: Sequence[NDArray[np.unsignedinteger]], pixel_format: str, *, matrix: int, span: int
) -> Path:
    """One lossless frame of the given Y'CbCr planes, tagged with a matrix and range as in H.273 and libav."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixel_format)
    for plane, values in zip(frame.planes, planes, strict=True):
        row = np.zeros((plane.height, plane.line_size), np.uint8)
        data = values.view(np.uint8).reshape(plane.height, -1)
        row[:, : data.shape[1]] = data
        plane.update(row.tobytes())
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = height, width, pixel_format
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, span
        frame.colorspace, frame.color_range, frame.pts = matrix, span, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def to_planes(
    rgb: NDArray[np.float64], matrix: int, full: bool, bits: int
) -> tuple[list[NDArray[np.unsignedinteger]], NDArray[np.float64]]:
    """Y'CbCr 4:2:0 planes of blocks (H, W, 3) in [0, 1], 16 pixels a side, and the exact RGB of these planes.

    Source: ITU-T H.273, equations 27 to 38 (matrix and quantisation).
    """
    kr, kb = MATRICES[matrix]
    top, unit = 2**bits - 1, 2 ** (bits - 8)
    luma = rgb @ np.array([kr, 1 - kr - kb, kb])
    chroma = [(rgb[..., 2] - luma) / (2 * (1 - kb)), (rgb[..., 0] - luma) / (2 * (1 - kr))]
    scale, offset = ((top, top), 0) if full else ((219 * unit, 224 * unit), 16 * unit)
    coded = [np.rint(luma * scale[0] + offset), *(np.rint(c * scale[1] + 128 * unit) for c in chroma)]
    y, cb, cr = (
        (coded[0] - offset) / scale[0],
        (coded[1] - 128 * unit) / scale[1],
        (coded[2] - 128 * unit) / scale[1],
    )
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    kind = np.uint8 if bits == 8 else np.uint16
    planes = [
        np.kron(plane, np.ones((side, side))).astype(kind)
        for plane, side in zip(coded, (16, 8, 8), strict=True)
    ]
    return planes, np.clip(np.stack([red, green, blue], axis=-1), 0, 1) * 255
