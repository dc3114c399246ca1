"""From a request to its canvas: read pictures, footage and mask, and fit them to a model by a stated rule.

This is the last place where paths exist. Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kineograph.canvas import (
    Canvas,
    Mask,
    continue_canvas,
    inpainting_canvas,
    interpolation_canvas,
    keyframes_canvas,
    precede_canvas,
    text_canvas,
)
from kineograph.errors import RequestError
from kineograph.media.decode import read_image, read_video
from kineograph.media.probe import probe
from kineograph.request import MAX_FRAMES, Request, box_of
from kineograph.video import Video

Pixel = TypeVar("Pixel", np.uint8, np.float32)


def task_of(request: Request) -> str:
    """The name in `TASKS` of what the request asks for; reads nothing."""
    if request.mask is not None:
        return "inpainting"
    if request.interpolate is not None:
        return "interpolation"
    if request.extend is not None:
        return "prediction" if request.extend > 0 else "precede"
    if not request.images:
        return "text"
    return "image" if len(request.images) == 1 and not request.images[0].at else "keyframes"


def canvas_of(request: Request, *, width: int, height: int, fps: float, window: int) -> Canvas:
    """Read the request's pictures and footage and fit them to a model.

    Args:
        request: what is wanted.
        width, height: the model's native size in pixels, which is also its largest.
        fps: the model's native frame rate; footage is taken at this rate unless the request says another.
        window: the model's number of frames, the default length.

    Raises:
        RequestError: too large, too long or too short for its contents.
        MediaError: a file can't be read.
    """
    size = request.size or (width, height)
    if size[0] > width or size[1] > height:
        raise RequestError(
            f"{size[0]}x{size[1]} is too large for this model; the largest it makes is {width}x{height}."
        )
    if request.images:
        canvas = _picture_canvas(request, size, request.fps or fps, window)
    elif request.video:
        canvas = _footage_canvas(request, size, fps)
    else:
        rate = request.fps or fps
        length = _length(request, rate) or window
        canvas = text_canvas(request.prompt, frames=length, width=size[0], height=size[1], fps=rate)
    if canvas.fps != fps:
        canvas = _noted(canvas, f"The clip plays at {canvas.fps:g} fps; this model learnt motion at {fps:g}.")
    return canvas


def _noted(canvas: Canvas, *notes: str) -> Canvas:
    return replace(canvas, notes=canvas.notes + notes)


def _count(seconds: float, fps: float) -> int:
    """Seconds as a number of frames, the nearest."""
    frames = round(seconds * fps)
    if not 1 <= frames <= MAX_FRAMES:
        limit = "shorter than one frame" if frames < 1 else f"more than {MAX_FRAMES} frames"
        raise RequestError(f"{seconds:g} seconds at {fps:g} fps are {limit}; ask for another length.")
    return frames


def _length(request: Request, fps: float) -> int | None:
    return request.frames if request.seconds is None else _count(request.seconds, fps)


# Pictures


def _picture_canvas(request: Request, size: tuple[int, int], fps: float, window: int) -> Canvas:
    times = [image.at or 0.0 for image in request.images]
    length = _length(request, fps) or max(window, _count(max(times) + 1 / fps, fps))
    pictures = [read_image(image.path) for image in request.images]
    size = target_size(pictures[0], size, request.fit)
    notes = {_cut_note(image.path, p, size) for image, p in zip(request.images, pictures, strict=True)}
    fitted = {
        index: fit(picture, *size)
        for index, picture in zip(_indices(request, length, fps), pictures, strict=True)
    }
    canvas = keyframes_canvas(request.prompt, fitted, frames=length, fps=fps)
    return _noted(canvas, *sorted(notes - {""}))


def _indices(request: Request, length: int, fps: float) -> list[int]:
    """The frame at which each image stands; the end of the clip is its last frame."""
    last = len(request.images) - 1
    indices = []
    for order, image in enumerate(request.images):
        even = round((length - 1) * order / last) if last else 0
        index = even if image.at is None else min(round(image.at * fps), length - 1)
        if image.at is not None and image.at * fps > length:
            raise RequestError(f"{image.path} stands at {image.at:g} s, after the end of the clip.")
        if index in indices:
            raise RequestError(f"{image.path} falls on the same frame as another image; give other times.")
        indices.append(index)
    return indices


# Footage


def _footage_canvas(request: Request, size: tuple[int, int], fps: float) -> Canvas:
    assert request.video is not None
    info = probe(request.video)
    rate = request.fps or fps
    if request.interpolate is not None:  # here the footage's own rate is what is multiplied
        rate = info.fps if request.fps is None else request.fps / request.interpolate
    video = read_video(request.video, max_frames=MAX_FRAMES + 1, fps=rate)
    size = target_size(video.frames[0], size, request.fit)
    notes = [f"{request.video}: {note}" for note in info.notes]
    notes.append(_cut_note(request.video, video.frames[0], size))
    if abs(rate - info.fps) > 0.01:
        notes.append(f"{request.video}: Its {info.fps:g} frames per second are taken at {rate:g}.")
    footage = Video(np.stack([fit(frame, *size) for frame in video.frames]), rate)
    return _noted(_task_canvas(request, video, footage), *filter(None, notes))


def _task_canvas(request: Request, video: Video, footage: Video) -> Canvas:
    """The canvas of `footage`, which is `video` fitted to the model."""
    if request.interpolate is not None:
        if len(footage) < 2:
            raise RequestError(f"{request.video} has one frame at {footage.fps:g} fps; two are needed.")
        _check_length((len(footage) - 1) * request.interpolate + 1)
        return interpolation_canvas(request.prompt, footage, request.interpolate)
    if request.extend is not None:
        added = _count(abs(request.extend), footage.fps)
        _check_length(len(footage) + added)
        build = continue_canvas if request.extend > 0 else precede_canvas
        return build(request.prompt, footage, added)
    _check_length(len(footage))
    return inpainting_canvas(request.prompt, footage, _fill(request, video, footage))


def _check_length(frames: int) -> None:
    if frames > MAX_FRAMES:
        raise RequestError(f"The clip would have {frames} frames or more; the most is {MAX_FRAMES}.")


def _fill(request: Request, video: Video, footage: Video) -> Mask:
    """Where to fill `footage` (T, H, W): any pixel that the mask touches."""
    assert request.mask is not None
    mask = _read_mask(request.mask, video)
    if len(mask) not in (1, len(video)):
        raise RequestError(f"{request.mask} has {len(mask)} frames and the video {len(video)}; give as many.")
    if abs(mask.shape[2] / mask.shape[1] - video.width / video.height) > 0.02 * video.width / video.height:
        raise RequestError(f"{request.mask} has another shape than {request.video}; give the same one.")
    size = (footage.width, footage.height)
    fill = np.stack([fit(frame.astype(np.float32), *size, Image.Resampling.BOX) > 0 for frame in mask])
    if not fill.any():
        raise RequestError(f"The mask {request.mask} leaves nothing to fill; make some of it white.")
    return np.broadcast_to(fill, (len(footage), *fill.shape[1:])).copy()


def _read_mask(mask: str, video: Video) -> Mask:
    """A mask at its own size (1 or T, H, W), true where it is white or in the box."""
    if box := box_of(mask):
        return _box_mask(box, video.width, video.height)
    if probe(mask).frames == 1:
        frames = read_image(mask)[None]
    else:
        frames = read_video(mask, max_frames=len(video) + 1, fps=video.fps).frames
    return np.asarray(frames.min(axis=-1) >= 128)


def _box_mask(box: tuple[float, float, float, float], width: int, height: int) -> Mask:
    """(1, H, W): every pixel that the box touches."""
    x, y, w, h = box
    return np.asarray(_touched(y, h, height)[None, :, None] & _touched(x, w, width)[None, None, :])


def _touched(start: float, extent: float, pixels: int) -> Mask:
    """Which of a row of pixels overlap the span that begins at `start`, in fractions of the row."""
    edges = np.arange(pixels + 1) / pixels
    slack = 1e-9  # what is only touched in floating point is not
    return (edges[1:] > start + slack) & (edges[:-1] < start + extent - slack)


# The fit rule


def fit(
    frame: NDArray[Pixel], width: int, height: int, filter: Image.Resampling = Image.Resampling.LANCZOS
) -> NDArray[Pixel]:
    """Scale a frame (H, W, 3) uint8 or (H, W) float32 to cover `width` x `height`, and cut the centre out."""
    rows, columns = frame.shape[:2]
    if (columns, rows) == (width, height):
        return frame
    scale = min(columns / width, rows / height)
    w, h = min(width * scale, columns), min(height * scale, rows)
    left, top = (columns - w) / 2, (rows - h) / 2
    image = Image.fromarray(frame).resize((width, height), filter, box=(left, top, left + w, top + h))
    return np.asarray(image)


def target_size(picture: NDArray[np.uint8], size: tuple[int, int], rule: str) -> tuple[int, int]:
    """The size of the clip: `size` itself, or the largest even one inside it with the picture's shape."""
    if rule == "crop":
        return size
    rows, columns = picture.shape[:2]
    scale = min(size[0] / columns, size[1] / rows)
    width, height = (2 * round(side * scale / 2) for side in (columns, rows))
    if min(width, height) < 16:
        raise RequestError(f"A {columns}x{rows} picture is too long and thin for pad; fit it by crop.")
    return width, height


def _cut_note(path: str, picture: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """What cropping cuts off, in words; empty if that is less than two pixels of the clip."""
    rows, columns = picture.shape[:2]
    scale = max(size[0] / columns, size[1] / rows)
    if max(columns * scale - size[0], rows * scale - size[1]) < 2:
        return ""
    shape = f"{size[0]}x{size[1]}"
    return f"{path}: Its {columns}x{rows} pixels are cropped to the shape of {shape}; fit pad keeps all."
