"""Paths, boxes, poses and actions that guide a clip, as they are written: from text to numbers.

A path is a row of points with spaces between them, spread evenly over the clip: `0.2,0.6 0.8,0.6` leads from
left to right. Numbers are fractions of the frame, from its upper left corner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kineograph.errors import RequestError

Path = NDArray[np.float32]

ACTIONS = ("none", "left", "right", "jump")
THINGS = 3  # of how many things paths can tell
JOINTS = 9  # of a pose
FARTHEST = 4.0  # that a point may lie from the frame, in frames
MOST_POINTS = 10_000
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
SUCH = {
    "tracks": "X,Y X,Y …, such as '0.2,0.6 0.8,0.6'",
    "boxes": "X,Y,W,H X,Y,W,H …, such as '0.1,0.4,0.2,0.2 0.7,0.4,0.2,0.2'",
    "camera": "SHIFT,ZOOM SHIFT,ZOOM …, such as '0,1 0.16,1'",
}
_VALUES = {"tracks": 2, "boxes": 4, "camera": 2}


def path_of(name: str, text: str) -> Path:
    """The points (P, V) that `text` spells; `name` is one of `SUCH`. For one of several things, - is no path:
    (0, V).

    Raises:
        RequestError: it spells none.
    """
    values = _VALUES[name]
    if not isinstance(text, str):
        raise RequestError(f"{name} must be {SUCH[name]}, not {text!r}.")
    words = text.split()
    if words == ["-"] and name != "camera":
        return np.empty((0, values), np.float32)
    point = r"\s*,\s*".join([f"({_NUMBER})"] * values)
    matches = [re.fullmatch(point, word) for word in words]
    if not words or len(words) > MOST_POINTS or not all(matches):
        raise RequestError(f"{name} must be {SUCH[name]}, not {text[:80]!r}.")
    points = np.array([[float(group) for group in match.groups()] for match in matches if match], np.float32)
    _check_points(name, points)
    return points


def _check_points(name: str, points: Path) -> None:
    if not np.isfinite(points).all() or np.abs(points).max() > FARTHEST:
        raise RequestError(f"{name} must lie within {FARTHEST:g} frames of the clip; give fractions of it.")
    if name == "boxes" and points[:, 2:].min() <= 0:
        raise RequestError("The boxes must have a width and a height above 0.")
    if name == "camera" and not 0.25 <= points[:, 1].min() <= points[:, 1].max() <= 4:
        raise RequestError("The zoom of the camera must be from 0.25 to 4; 1 is none.")


def along(points: Path, frames: int) -> Path:
    """The place on a path (P, ...) at each of so many frames: (frames, ...), NaN of an empty one."""
    if not len(points):
        return np.full((frames, *points.shape[1:]), np.nan, np.float32)
    at = np.linspace(0, len(points) - 1, frames) if frames > 1 else np.zeros(1)
    before = np.floor(at).astype(int)
    share = (at - before).reshape(-1, *[1] * (points.ndim - 1))
    after = np.minimum(before + 1, len(points) - 1)
    return np.asarray(points[before] * (1 - share) + points[after] * share, np.float32)


def poses_of(text: str) -> Path:
    """Poses (P, JOINTS, 2), spread evenly over the clip, from JSON: a list of poses, each a list of [x, y].

    Raises:
        RequestError: it is not that.
    """
    such = f"JSON, a list of poses of {JOINTS} points [x, y] each"
    try:
        poses = np.array(json.loads(text), np.float32)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise RequestError(f"The pose must be {such}.") from error
    if poses.ndim != 3 or poses.shape[1:] != (JOINTS, 2) or not 1 <= len(poses) <= MOST_POINTS:
        raise RequestError(f"The pose must be {such}.")
    _check_points("pose", poses)
    return poses


def actions_of(text: str) -> tuple[str, ...]:
    """One action a frame, from words: `right*8 jump none*4`.

    Raises:
        RequestError: a word is no action.
    """
    done: list[str] = []
    for word in text.split() if isinstance(text, str) else ():
        name, _, times = word.partition("*")
        if name not in ACTIONS or not re.fullmatch(r"\d{1,5}|", times) or (times == "" and "*" in word):
            raise RequestError(
                f"{word[:40]!r} is no action: give {', '.join(ACTIONS)}, with *N for N frames of it."
            )
        done += [name] * int(times or 1)
    if not 1 <= len(done) <= MOST_POINTS:
        raise RequestError("actions must be words such as 'right*8 jump none*4', one action a frame.")
    return tuple(done)


def check(tracks: Sequence[str], boxes: Sequence[str], camera: str | None, actions: str | None) -> None:
    """Make sure that all of these can be read.

    Raises:
        RequestError: one can't, or paths are given for too many things.
    """
    for name, paths in (("tracks", tracks), ("boxes", boxes)):
        if not isinstance(paths, tuple) or len(paths) > THINGS:
            raise RequestError(f"{name} must be at most {THINGS}, one for each thing in the prompt's order.")
        for path in paths:
            path_of(name, path)
    if camera is not None:
        path_of("camera", camera)
    if actions is not None:
        actions_of(actions)
