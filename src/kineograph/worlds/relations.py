"""How two things stand to one another: said only where it holds all the time."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from kineograph.worlds.layout import CLIP_SECONDS
from kineograph.worlds.scene import Scene
from kineograph.worlds.stage import cast

CLEAR = {"left of": 0.14, "above": 0.20, "in front of": 0.12}  # by how much, in fractions of the frame


def holding(place: Tensor, floor: Tensor) -> tuple[str, ...]:
    """Which relations hold of the first to the second thing: (T, 2, 2) centres x, y and (T, 2) rows of the
    ground below them, in fractions of the frame, as the camera sees them."""
    x, y = place.diff(dim=1)[:, 0].unbind(-1)
    apart = {"left of": x, "above": y, "in front of": floor[:, 0] - floor[:, 1]}
    return tuple(name for name, gap in apart.items() if bool((gap > CLEAR[name]).all()))


@dataclass(frozen=True)
class Place:
    """Where a thing was seen: its usual centre, and its lowest foot, in fractions of the frame."""

    x: float
    y: float
    foot: float


def stands(relation: str, one: Place, other: Place) -> bool:
    """Whether a relation holds between what was seen."""
    gaps = {"left of": other.x - one.x, "above": other.y - one.y, "in front of": one.foot - other.foot}
    return gaps[relation] > 0


def relations(scene: Scene) -> tuple[str, ...]:
    """The relations of the scene's first thing to its second throughout a clip of a square frame."""
    if len(scene.things) < 2:
        return ()
    things = cast([scene], CLIP_SECONDS, 1000, 1000, len(scene.things))
    return holding(things.centre[0, :, :2] / 1000, things.floor[0, :, :2] / 1000)
