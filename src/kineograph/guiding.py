"""From a request to what guides the filling of its canvas: later prompts, paths, maps and clips of a style.

Like `fitting`, a place where paths of files exist; what follows knows arrays alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineograph.canvas import Canvas
from kineograph.controls import JOINTS, THINGS, VALUES, actions_of, path_of, poses_of
from kineograph.errors import MediaError, RequestError
from kineograph.fitting import fit
from kineograph.media.decode import reading
from kineograph.media.sandbox import opened
from kineograph.media.wire import LIMITS, Unreadable
from kineograph.request import Request
from kineograph.video import Frames

Map = NDArray[np.float16]

STYLE_FRAMES = 240  # of a clip whose style is wanted; those after them are not read
LARGEST_POSE = 2**24  # bytes
GUIDED = ("style", "tracks", "boxes", "pose", "depth", "edges", "camera", "actions")


def guides_of(request: Request) -> set[str]:
    """The names in `GUIDES` of what the request has; reads nothing."""
    given = {name for name in GUIDED if getattr(request, name)}
    return given | ({"travel"} if request.then else {"walk"} if request.walk else set())


def guides_for(request: Request, canvas: Canvas) -> dict[str, Any]:
    """What guides the filling of the request's canvas, by the names in `GUIDES`.

    Raises:
        RequestError: a later prompt or an action comes after the end of the clip, or a file doesn't fit.
        MediaError: a file can't be read.
    """
    return {name: _MAKERS[name](request, canvas) for name in sorted(guides_of(request))}


def notes_on(request: Request, canvas: Canvas) -> tuple[str, ...]:
    """What somebody may not expect of how the request is guided."""
    first = canvas.past / canvas.fps
    within = [one for one in request.then if one.at <= first and canvas.past < len(canvas)]
    if not (within and canvas.past):
        return ()
    last = within[-1].at
    return (f"What is made begins at {first:g} s: what is prompted before {last:g} s plays no part in it.",)


def _travel(request: Request, canvas: Canvas) -> tuple[tuple[str, float], ...]:
    if (last := request.then[-1]).at * canvas.fps > len(canvas):
        raise RequestError(f"The prompt at {last.at:g} s stands after the end of the clip; make it longer.")
    return tuple((one.prompt, one.at * canvas.fps) for one in request.then)


def _walk(request: Request, canvas: Canvas) -> tuple[str, float]:
    assert request.walk is not None
    return request.walk.prompt, request.walk.share


def _tracks(request: Request, canvas: Canvas) -> NDArray[np.float32]:
    return _paths("tracks", request.tracks, len(canvas))


def _boxes(request: Request, canvas: Canvas) -> NDArray[np.float32]:
    boxes = _paths("boxes", request.boxes, len(canvas))
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def _paths(name: str, texts: Sequence[str], frames: int) -> NDArray[np.float32]:
    """(frames, THINGS, V), NaN for things without a path."""
    paths = [along(_points(name, text), frames) for text in texts]
    beyond = [np.full_like(paths[0], np.nan)] * (THINGS - len(paths))
    return np.stack([*paths, *beyond], axis=1)


def _pose(request: Request, canvas: Canvas) -> NDArray[np.float32]:
    assert request.pose is not None
    try:
        with opened(request.pose, replace(LIMITS, file_bytes=LARGEST_POSE)) as file:
            text = file.readall()
    except Unreadable as reason:
        raise MediaError(f"{request.pose!r} {reason}") from reason
    poses = np.array(poses_of(text.decode("utf-8", "replace")), np.float32).reshape(-1, JOINTS, 2)
    posed = along(poses, len(canvas))[:, None]
    nobody = np.full((len(canvas), THINGS - 1, *posed.shape[2:]), np.nan, np.float32)
    return np.concatenate([posed, nobody], axis=1)


def _camera(request: Request, canvas: Canvas) -> NDArray[np.float32]:
    assert request.camera is not None
    return along(_points("camera", request.camera), len(canvas))


def _points(name: str, text: str) -> NDArray[np.float32]:
    """The points (P, V) of a path, P = 0 where it is none."""
    return np.array(path_of(name, text), np.float32).reshape(-1, VALUES[name])


def along(points: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """The place on a path (P, ...) at each of so many frames: (frames, ...), NaN of an empty one."""
    if not len(points):
        return np.full((frames, *points.shape[1:]), np.nan, np.float32)
    at = np.linspace(0, len(points) - 1, frames) if frames > 1 else np.zeros(1)
    before = np.floor(at).astype(int)
    share = (at - before).reshape(-1, *[1] * (points.ndim - 1))
    after = np.minimum(before + 1, len(points) - 1)
    return np.asarray(points[before] * (1 - share) + points[after] * share, np.float32)


def _actions(request: Request, canvas: Canvas) -> tuple[str, ...]:
    """What leads to each frame: nothing to the first, and nothing after the last action."""
    assert request.actions is not None
    actions = actions_of(request.actions)
    if len(actions) > len(canvas) - 1:
        most = len(canvas) - 1
        raise RequestError(f"There are {len(actions)} actions; the clip has time for {most}.")
    return ("none", *actions, *["none"] * (len(canvas) - 1 - len(actions)))


def _depth(request: Request, canvas: Canvas) -> Map:
    assert request.depth is not None
    return _map(request.depth, canvas)


def _edges(request: Request, canvas: Canvas) -> Map:
    assert request.edges is not None
    return _map(request.edges, canvas)


def _map(path: str, canvas: Canvas) -> Map:
    """The brightness of a video or a picture (T', H, W) in [0, 1], fitted to the canvas; a picture holds for
    all frames."""
    with reading(path, max_frames=len(canvas), fps=canvas.fps) as (found, frames):
        grey = [fit(frame, canvas.width, canvas.height).mean(axis=-1) / 255 for frame in frames]
    if found.frames == 1:
        grey = grey * len(canvas)
    return np.stack(grey[: len(canvas)]).astype(np.float16)


def _style(request: Request, canvas: Canvas) -> tuple[Frames, ...]:
    return tuple(_clip(path, canvas) for path in request.style)


def _clip(path: str, canvas: Canvas) -> Frames:
    with reading(path, max_frames=STYLE_FRAMES, fps=canvas.fps) as (_, frames):
        return np.stack([fit(frame, canvas.width, canvas.height) for frame in frames])


_MAKERS = {
    "travel": _travel,
    "walk": _walk,
    "style": _style,
    "tracks": _tracks,
    "boxes": _boxes,
    "pose": _pose,
    "depth": _depth,
    "edges": _edges,
    "camera": _camera,
    "actions": _actions,
}
