"""How far is what a clip shows from what its guides ask for? Whatever is asked for is the truth of a scene.

Detectors find the things of a clip. A thing that is asked for is what looks most like it, in kind and colour.

    T frames, H x W pixels; K = 3 things, J joints. Places are in fractions of the frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from kineograph.evaluation.figures import Figure, Values, bootstrap, share
from kineograph.evaluation.making import draw
from kineograph.models.family import Spec
from kineograph.video import Frames
from kineograph.worlds import surroundings
from kineograph.worlds.actions import offsets
from kineograph.worlds.finding import Sighting, find
from kineograph.worlds.posing import joints_of
from kineograph.worlds.renderer import Rendered, outlines
from kineograph.worlds.scene import Scene, Thing
from kineograph.worlds.shapes import SHAPES
from kineograph.worlds.surroundings import View
from kineograph.worlds.world import FULL

NEAR = 2  # pixels between outlines that count as one
COVERED = 0.5  # by a thing, from which on a pixel belongs to it
HELD = 0.9  # correlation of what actions ask for and what is done, from which on they count as obeyed
SHOULDER = 1  # which of the joints


# What is asked for and what is seen


@dataclass(frozen=True, eq=False)
class Asked:
    """The truth of one scene: tracks (T, K, 2), boxes (T, K, 4), pose (T, K, J, 2), NaN for what there is
    not; segmentation and depth (T, H, W); camera (T, 2)."""

    scene: Scene
    fps: float
    tracks: Values
    boxes: Values
    pose: Values
    segmentation: Tensor
    depth: Values
    camera: Values

    def guide(self, kind: str) -> Any:
        """The guide of a kind as a `Canvas` has it."""
        if kind == "depth":
            return (1 / self.depth).astype(np.float32)
        if kind == "edges":
            return outlines(self.segmentation).float().numpy()
        if kind == "actions":
            acts = ("none", *self.scene.actions, *["none"] * len(self.tracks))
            return acts[: len(self.tracks)]
        return getattr(self, kind).astype(np.float32)


def asked_of(scenes: Sequence[Scene], spec: Spec) -> tuple[Frames, list[Asked]]:
    """Clips (N, T, H, W, 3) of the scenes, and what each would be asked for."""
    drawn = draw(scenes, spec, truth=True)
    return drawn.frames.numpy(), [_asked(scene, n, drawn, spec.fps) for n, scene in enumerate(scenes)]


def _asked(scene: Scene, n: int, drawn: Rendered, fps: float) -> Asked:
    tracks, boxes, pose = (_slots(values[n]) for values in (drawn.tracks, drawn.boxes, drawn.joints))
    depth, camera = (values[n].double().numpy() for values in (drawn.depth, drawn.camera))
    return Asked(scene, fps, tracks, boxes, pose, drawn.segmentation[n], depth, camera)


def _slots(values: Tensor) -> Values:
    """(T, K', ...) with as many things as guides tell of, the added ones NaN."""
    missing = FULL.most_things - values.shape[1]
    beside = [(0, 0)] * (values.dim() - 2)
    padded: Values = np.pad(
        values.double().numpy(), ((0, 0), (0, missing), *beside), constant_values=math.nan
    )
    return padded


@dataclass(frozen=True, eq=False)
class Seen:
    """What a clip of H x W pixels shows: its surroundings, and its things, the clearest first."""

    height: int
    width: int
    view: View
    things: list[Sighting]

    def likest(self, thing: Thing) -> Sighting | None:
        """What looks most like a thing; none where neither kind nor colour is right."""
        alike = [(one.kind == thing.kind) + (one.color == thing.color) for one in self.things]
        return self.things[alike.index(max(alike))] if any(alike) else None

    @property
    def segmentation(self) -> Tensor:
        """(T, H, W) uint8: 0 backdrop, i + 1 where the i-th thing is."""
        found = torch.zeros(len(self.view.rest), self.height, self.width, dtype=torch.uint8)
        for number, thing in reversed(list(enumerate(self.things, start=1))):
            cover = F.interpolate(thing.cover[:, None], found.shape[1:], mode="bilinear")[:, 0]
            found[(cover >= COVERED) & thing.seen[:, None, None]] = number
        return found


def see(clips: Frames, fps: float) -> list[Seen]:
    """Read clips (N, T, H, W, 3), each by itself."""
    return [_see(torch.from_numpy(clip), fps) for clip in clips]


def _see(clip: Tensor, fps: float) -> Seen:
    _, height, width, _ = clip.shape
    view = surroundings.view(clip, fps)
    return Seen(height, width, view, find(view, min(height, width)))


# How far what is seen is from what was asked for: numbers of one clip, always as many

Read = Callable[[Asked, Seen], Values]


def _track_distances(asked: Asked, seen: Seen) -> Values:
    """(T K,) distances from asked to seen centres: see `_distances`."""
    found = _each(asked, seen, lambda one: one.centre.numpy(), (2,))
    return _distances(asked.tracks, found, seen)


def _nearest_distances(asked: Asked, seen: Seen) -> Values:
    """(T K,) the same to whatever is seen nearest: which thing goes which way doesn't count."""
    found = [np.full_like(asked.tracks, math.nan)]
    found += [np.broadcast_to(one.centre.numpy()[:, None], asked.tracks.shape) for one in seen.things]
    return np.asarray(np.min([_distances(asked.tracks, one, seen) for one in found], axis=0))


def _joint_distances(asked: Asked, seen: Seen) -> Values:
    """(T K J,) distances from asked to seen joints."""
    return _distances(asked.pose, _joints(asked, seen), seen)


def _limb_distances(asked: Asked, seen: Seen) -> Values:
    """(T K (J - 1),) the same of the other joints about the shoulder: how limbs are held, wherever it is."""
    wanted, found = (_limbs(pose) for pose in (asked.pose, _joints(asked, seen)))
    return _distances(wanted, found, seen)


def _limbs(pose: Values) -> Values:
    return np.delete(pose - pose[:, :, SHOULDER, None], SHOULDER, axis=2)


def _joints(asked: Asked, seen: Seen) -> Values:
    """(T, K, J, 2), NaN for all but robots that are seen."""
    pixels = min(seen.height, seen.width)

    def pose(one: Sighting) -> NDArray[Any]:
        everywhere = joints_of(seen.view, one, pixels).numpy()
        return everywhere if one.kind == "robot" else np.full_like(everywhere, math.nan)

    return _each(asked, seen, pose, asked.pose.shape[2:])


def _each(
    asked: Asked, seen: Seen, read: Callable[[Sighting], NDArray[Any]], shape: tuple[int, ...]
) -> Values:
    """(T, K, ...) of what is seen of each thing that is asked for; NaN where nothing is."""
    found = np.full((*asked.tracks.shape[:2], *shape), math.nan)
    for slot, thing in enumerate(asked.scene.things):
        if (one := seen.likest(thing)) is not None:
            found[:, slot] = read(one)
    return found


def _distances(asked: Values, found: Values, seen: Seen) -> Values:
    """Distances of points (..., 2) in frame widths, flat: infinite where a thing is not seen, NaN where
    nothing is asked for."""
    apart = np.hypot(*np.moveaxis((found - asked) * (1, seen.height / seen.width), -1, 0))
    unasked = np.isnan(asked).any(axis=-1)
    return np.where(unasked, math.nan, np.where(np.isnan(apart), math.inf, apart)).ravel()


def _box_overlaps(asked: Asked, seen: Seen) -> Values:
    """(T K,) intersection over union of asked and seen boxes: 0 where a thing is not seen, NaN where nothing
    is asked for."""

    def box(one: Sighting) -> NDArray[Any]:
        shape, unit = SHAPES[one.kind], min(seen.height, seen.width)
        half = torch.tensor([shape.half_width * unit / seen.width, shape.half_height * unit / seen.height])
        reach = one.extent[:, None] * half
        return torch.cat([one.centre - reach, one.centre + reach], 1).numpy()

    found = np.nan_to_num(_each(asked, seen, box, (4,)))
    shared = np.minimum(asked.boxes, found)[..., 2:] - np.maximum(asked.boxes, found)[..., :2]
    both = shared.clip(min=0).prod(axis=-1)
    areas = sum((boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (asked.boxes, found))
    return np.asarray(both / (areas - both)).ravel()


def _silhouettes(asked: Asked, seen: Seen) -> Values:
    """(2,) pixels that are things in both, and in either."""
    first, second = asked.segmentation > 0, seen.segmentation > 0
    return np.array([float((first & second).sum()), float((first | second).sum())])


def _outlines(asked: Asked, seen: Seen) -> Values:
    """(4,) outline pixels: those seen that are close to asked ones, all that are seen, those asked for that
    are close to seen ones, all that are asked for."""
    first, second = (outlines(one.segmentation) for one in (asked, seen))
    counts = (second & _around(first), second, first & _around(second), first)
    return np.array([float(pixels.sum()) for pixels in counts])


def _around(pixels: Tensor) -> Tensor:
    grown: Tensor = F.max_pool2d(pixels.float(), 2 * NEAR + 1, 1, NEAR) > 0
    return grown


def _camera(asked: Asked, seen: Seen) -> Values:
    """(1,) whether the camera is read as asked."""
    return np.array([float(seen.view.setting.camera == asked.scene.camera)])


def _steps(asked: Asked, seen: Seen) -> Values:
    """(T - 1, 2, 2) asked and seen displacements x, y from frame to frame, in the shorter side of the frame;
    what is not seen stands still."""
    t = torch.arange(len(asked.tracks), dtype=torch.float64) / asked.fps
    wanted = offsets(asked.scene.actions, t)[:, :2].diff(dim=0).numpy()
    aspect = np.array([seen.width, seen.height]) / min(seen.height, seen.width)
    found = np.diff(_each(asked, seen, lambda one: one.centre.numpy(), (2,))[:, 0] * aspect, axis=0)
    return np.stack([wanted, np.nan_to_num(found)], axis=1)


# Figures of many clips


def _median(values: Values) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else math.nan


def _mean(values: Values) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _found(values: Values) -> float:
    """The share of what is asked for that is seen."""
    known = values[~np.isnan(values)]
    return float(np.isfinite(known).mean()) if len(known) else math.nan


def _overlap(counts: Values) -> float:
    both, either = counts.sum(axis=0)
    return float(both / either) if either else math.nan


def _f_score(counts: Values) -> float:
    right, seen, met, asked = counts.sum(axis=0)
    if not seen or not asked:
        return 0.0
    precision, recall = right / seen, met / asked
    return float(2 * precision * recall / (precision + recall)) if right else 0.0


def _correlation(steps: Values) -> float:
    """Pearson's, of (N, T - 1, 2, 2) steps in both directions; 0 where nothing moves."""
    wanted, found = (steps[:, :, side].ravel() for side in (0, 1))
    still = min(wanted.std(), found.std()) < 1e-9
    return 0.0 if still else float(np.corrcoef(wanted, found)[0, 1])


def _obeyed(steps: Values) -> Figure:
    """How many clips by themselves correlate by HELD or more."""
    return share(sum(_correlation(clip[None]) >= HELD for clip in steps), len(steps))


def _read_right(values: Values) -> Figure:
    return share(int(values.sum()), len(values))


@dataclass(frozen=True)
class Measure:
    """A name, what is read of each clip, and what that comes to; `unit` is "width" for shares of the frame's
    width, "share" for other shares, and "" for plain numbers."""

    name: str
    unit: str
    read: Read
    figure: Callable[[Values], Figure]


def _of(statistic: Callable[[Values], float]) -> Callable[[Values], Figure]:
    return lambda values: bootstrap(statistic, values)


def _how_far(what: str, read: Read) -> Iterator[Measure]:
    yield Measure(f"{what}, median", "width", read, _of(_median))
    yield Measure(f"{what}, mean of the seen", "width", read, _of(_mean))
    yield Measure("seen", "share", read, _of(_found))


MEASURES: Mapping[str, tuple[Measure, ...]] = {
    "tracks": (
        *_how_far("distance of centres", _track_distances),
        Measure("distance to the nearest thing, median", "width", _nearest_distances, _of(_median)),
    ),
    "boxes": (Measure("overlap of boxes", "", _box_overlaps, _of(_mean)),),
    "depth": (Measure("overlap of silhouettes", "", _silhouettes, _of(_overlap)),),
    "edges": (Measure("F-score of outlines", "", _outlines, _of(_f_score)),),
    "pose": (
        *_how_far("distance of joints", _joint_distances),
        Measure("distance about the shoulder, median", "width", _limb_distances, _of(_median)),
    ),
    "camera": (Measure("moves as asked", "share", _camera, _read_right),),
    "actions": (
        Measure("correlation of steps", "", _steps, _of(_correlation)),
        Measure(f"clips of {HELD:g} and more", "share", _steps, _obeyed),
    ),
}
