"""Paths, boxes, poses and actions that guide a clip, as they are written: from text to numbers.

A path is a row of points with spaces between them, spread evenly over the clip: `0.2,0.6 0.8,0.6` leads from
left to right. Numbers are fractions of the frame, from its upper left corner.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from kineograph.errors import RequestError

Point = tuple[float, ...]

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
VALUES = {"tracks": 2, "boxes": 4, "camera": 2}  # of a point
_POSE = f"The pose must be JSON, a list of poses of {JOINTS} points [x, y] each."


def path_of(name: str, text: str) -> list[Point]:
    """The points that `text` spells; `name` is one of `SUCH`. Of several things, one may be `free`: [].

    Raises:
        RequestError: it spells none.
    """
    if not isinstance(text, str):
        raise RequestError(f"{name} must be {SUCH[name]}, not {text!r}.")
    words = text.split()
    if words == ["free"] and name != "camera":
        return []
    point = r"\s*,\s*".join([f"({_NUMBER})"] * VALUES[name])
    matches = [re.fullmatch(point, word) for word in words]
    if not words or len(words) > MOST_POINTS or not all(matches):
        raise RequestError(f"{name} must be {SUCH[name]}, not {text[:80]!r}.")
    points = [tuple(float(group) for group in match.groups()) for match in matches if match]
    _check_points(name, points)
    return points


def _check_points(name: str, points: Sequence[Point]) -> None:
    if any(not abs(value) <= FARTHEST for point in points for value in point):
        raise RequestError(f"{name} must lie within {FARTHEST:g} frames of the clip; give fractions of it.")
    if name == "boxes" and min(min(point[2:]) for point in points) <= 0:
        raise RequestError("The boxes must have a width and a height above 0.")
    if name == "camera" and not all(0.25 <= zoom <= 4 for _, zoom in points):
        raise RequestError("The zoom of the camera must be from 0.25 to 4; 1 is none.")


def poses_of(text: str) -> list[list[Point]]:
    """Poses of JOINTS points, spread evenly over the clip, from JSON: a list of poses, each a list of [x, y].

    Raises:
        RequestError: it is not that.
    """
    try:
        poses = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(_POSE) from error
    if not isinstance(poses, list) or not 1 <= len(poses) <= MOST_POINTS or not all(map(_is_pose, poses)):
        raise RequestError(_POSE)
    read: list[list[Point]] = [[(float(x), float(y)) for x, y in pose] for pose in poses]
    for pose in read:
        _check_points("pose", pose)
    return read


def _is_pose(pose: Any) -> bool:
    return isinstance(pose, list) and len(pose) == JOINTS and all(map(_is_point, pose))


def _is_point(point: Any) -> bool:
    if not isinstance(point, list) or len(point) != 2:
        return False
    return all(type(value) in (int, float) and abs(value) <= sys.float_info.max for value in point)


def actions_of(text: str) -> tuple[str, ...]:
    """One action a frame, from words: `right*8 jump none*4`.

    Raises:
        RequestError: a word is no action.
    """
    runs: list[tuple[str, int]] = []
    for word in text.split() if isinstance(text, str) else ():
        name, _, times = word.partition("*")
        if name not in ACTIONS or not re.fullmatch(r"\d{1,5}|", times) or (times == "" and "*" in word):
            raise RequestError(
                f"{word[:40]!r} is no action: give {', '.join(ACTIONS)}, with *N for N frames of it."
            )
        runs.append((name, int(times or 1)))
    if not 1 <= sum(count for _, count in runs) <= MOST_POINTS:
        raise RequestError(
            f"actions must be words such as 'right*8 jump none*4', one action a frame, {MOST_POINTS} at most."
        )
    return tuple(name for name, count in runs for _ in range(count))


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
