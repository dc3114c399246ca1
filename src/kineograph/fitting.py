"""From a request to its canvas: read pictures, footage and mask, and fit them to a model by a stated rule.

This is the last place where paths exist. Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kineograph.canvas import (
    CHANGES,
    Canvas,
    Mask,
    Source,
    continue_canvas,
    edit_canvas,
    inpainting_canvas,
    interpolation_canvas,
    keyframes_canvas,
    outpainting_canvas,
    precede_canvas,
    text_canvas,
)
from kineograph.errors import RequestError
from kineograph.media.decode import reading
from kineograph.media.wire import Probe
from kineograph.request import MAX_FRAMES, Request, box_of
from kineograph.video import Frames, Video

Pixel = TypeVar("Pixel", np.uint8, np.float32)

NOTHING = "nothing"  # what a clip shows that all things are taken out of
UNTOLD = 0.9  # how far a removal changes a clip where no prompt tells what is to be left


def task_of(request: Request) -> str:
    """The name in `TASKS` of what the request asks for; reads nothing."""
    if request.mask is not None:
        return "inpainting"
    if request.outpaint:
        return "outpainting"
    if request.remove:
        return "removal"
    if request.insert:
        return "insertion"
    if request.edit is not None or (request.video and not (request.interpolate or request.extend)):
        return "edit"
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
    """The canvas with notes added, each of them once, empty ones left out."""
    return replace(canvas, notes=tuple(dict.fromkeys(filter(None, canvas.notes + notes))))


def _notes(path: str, found: Probe) -> list[str]:
    """What reading the file leaves out or alters."""
    return [f"{path}: {note}" for note in found.notes]


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
    indices = _indices(request, length, fps)
    pictures, notes = zip(*(_picture(image.path) for image in request.images), strict=True)
    size = target_size(_size(pictures[0]), size, request.fit)
    cuts = [_cut_note(image.path, _size(p), size) for image, p in zip(request.images, pictures, strict=True)]
    fitted = {index: fit(picture, *size) for index, picture in zip(indices, pictures, strict=True)}
    canvas = keyframes_canvas(request.prompt, fitted, frames=length, fps=fps)
    return _noted(canvas, *chain(*notes), *cuts)


def _picture(path: str) -> tuple[Frames, list[str]]:
    """The picture (H, W, 3) in a file, and what is to be said of it."""
    with reading(path, max_frames=1) as (found, frames):
        notes = _notes(path, found)
        if found.frames != 1:
            notes.append(f"{path}: Its first frame is taken.")
        return next(frames), notes


def _indices(request: Request, length: int, fps: float) -> list[int]:
    """The frame at which each image stands; the end of the clip is its last frame."""
    last = len(request.images) - 1
    indices: list[int] = []
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
    rate: float | None = request.fps or fps
    if request.interpolate is not None:  # here the footage's own rate is what is multiplied
        rate = None if request.fps is None else request.fps / request.interpolate
    with reading(request.video, max_frames=MAX_FRAMES + 1, fps=rate) as (found, frames):
        whole = size
        own = (found.width, found.height)
        size = _inside(own, size) if request.outpaint else target_size(own, size, request.fit)
        footage = Video(np.stack([fit(frame, *size) for frame in frames]), rate or found.fps)
    cut = "" if request.outpaint else _cut_note(request.video, own, size)
    notes = [*_notes(request.video, found), cut]
    if abs(footage.fps - found.fps) > 0.01:
        notes.append(f"{request.video}: Its {found.fps:g} frames per second are taken at {footage.fps:g}.")
    if request.outpaint:
        return _noted(_wider(request, footage, whole), *notes)
    if (task := task_of(request)) in CHANGES:
        _check_length(len(footage))
        untold = request.remove and request.prompt in ("", NOTHING)
        source = Source(footage.frames, request.edit or (UNTOLD if untold else 1.0))
        prompt = NOTHING if untold else request.prompt
        return _noted(edit_canvas(prompt, source, footage.fps, task), *notes)
    if request.mask is None:
        return _noted(_longer(request, footage), *notes)
    _check_length(len(footage))
    fill, said = _fill(request.mask, (found.width, found.height), footage)
    return _noted(inpainting_canvas(request.prompt, footage, fill), *notes, *said)


def _wider(request: Request, footage: Video, size: tuple[int, int]) -> Canvas:
    """The canvas that adds pixels around the footage."""
    _check_length(len(footage))
    if (footage.width, footage.height) == size:
        shape = f"the shape of the clip, {size[0]}x{size[1]}, to the pixel"
        raise RequestError(f"{request.video} has {shape}; give another size to outpaint it.")
    return outpainting_canvas(request.prompt, footage, width=size[0], height=size[1])


def _longer(request: Request, footage: Video) -> Canvas:
    """The canvas that adds frames between those of the footage, after or before them."""
    if request.interpolate is not None:
        if len(footage) < 2:
            raise RequestError(f"{request.video} has one frame at {footage.fps:g} fps; two are needed.")
        _check_length((len(footage) - 1) * request.interpolate + 1)
        return interpolation_canvas(request.prompt, footage, request.interpolate)
    assert request.extend is not None
    added = _count(abs(request.extend), footage.fps)
    _check_length(len(footage) + added)
    build = continue_canvas if request.extend > 0 else precede_canvas
    return build(request.prompt, footage, added)


def _check_length(frames: int) -> None:
    if frames > MAX_FRAMES:
        raise RequestError(f"The clip would have {frames} frames or more; the most is {MAX_FRAMES}.")


# Masks


def _fill(mask: str, shape: tuple[int, int], footage: Video) -> tuple[Mask, list[str]]:
    """Where to fill `footage` (T, H, W): any pixel that the mask touches, which lies over frames of the size
    `shape`, from which the footage was fitted. And what is to be said of the mask.
    """
    box, notes = box_of(mask), list[str]()
    size = (footage.width, footage.height)
    if box:
        fill = _touching(_box_mask(box, *shape), size)[None]
    else:
        with reading(mask, max_frames=len(footage) + 1, fps=footage.fps) as (found, frames):
            _check_shape(mask, (found.width, found.height), shape)
            notes = _notes(mask, found)
            fill = np.stack([_touching(frame.min(axis=-1) >= 128, size) for frame in frames])
    if len(fill) not in (1, len(footage)):
        raise RequestError(
            f"The mask {mask} has {len(fill)} frames and the video {len(footage)}; give as many."
        )
    if not fill.any():
        raise RequestError(f"The mask {mask} leaves nothing to fill; make some of it white.")
    return np.broadcast_to(fill, (len(footage), *fill.shape[1:])).copy(), notes


def _check_shape(mask: str, own: tuple[int, int], shape: tuple[int, int]) -> None:
    """Make sure that two sizes (width, height) are of one shape, to within two percent."""
    if abs(own[0] * shape[1] - shape[0] * own[1]) > 0.02 * shape[0] * own[1]:
        sizes = f"{own[0]}x{own[1]}, the video {shape[0]}x{shape[1]}"
        raise RequestError(f"The mask {mask} has another shape than the video, {sizes}; give the same one.")


def _touching(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask (H, W) fitted to another size: any pixel that it touches."""
    return fit(mask.astype(np.float32), *size, Image.Resampling.BOX) > 0


def _box_mask(box: tuple[float, float, float, float], width: int, height: int) -> Mask:
    """(H, W): every pixel that the box touches."""
    x, y, w, h = box
    return np.asarray(_touched(y, h, height)[:, None] & _touched(x, w, width))


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


def _size(picture: Frames) -> tuple[int, int]:
    """(width, height) of (H, W, 3)."""
    return picture.shape[1], picture.shape[0]


def target_size(own: tuple[int, int], size: tuple[int, int], rule: str) -> tuple[int, int]:
    """The size of the clip: `size` itself, or the largest even one inside it of the shape of `own`."""
    if rule == "crop":
        return size
    scale = min(size[0] / own[0], size[1] / own[1])
    width, height = (2 * round(side * scale / 2) for side in own)
    if min(width, height) < 16:
        raise RequestError(f"A {own[0]}x{own[1]} picture is too long and thin for pad; fit it by crop.")
    return width, height


def _inside(own: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The largest size inside `size` of the shape of `own`, to the nearest pixel."""
    scale = min(size[0] / own[0], size[1] / own[1])
    width, height = (max(1, round(side * scale)) for side in own)
    return width, height


def _cut_note(path: str, own: tuple[int, int], size: tuple[int, int]) -> str:
    """What cropping cuts off, in words; empty if that is less than two pixels of the clip."""
    scale = max(size[0] / own[0], size[1] / own[1])
    if max(own[0] * scale - size[0], own[1] * scale - size[1]) < 2:
        return ""
    return (
        f"{path}: Its {own[0]}x{own[1]} pixels are cropped to the shape of {size[0]}x{size[1]}; "
        "fit pad keeps all."
    )
