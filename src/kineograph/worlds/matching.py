"""Does a clip show what was said? Compares a description, attribute by attribute, with what was detected."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from kineograph.worlds.captions import SETTING, Description, ThingDescription
from kineograph.worlds.detectors import DetectedThing, Detection
from kineograph.worlds.relations import Place, stands
from kineograph.worlds.shapes import EXTENTS, SHAPES

ATTRIBUTES = ("kind", "color", "size", "motion")


def score(description: Description, detection: Detection) -> dict[str, bool]:
    """Which of the named attributes are right, under the assignment of things that makes most of them right.

    `kind`, `color`, `size`, `motion`, what is said of the whole scene and `relation` appear where the
    description names them, `count` where it names any thing; `all` says whether everything that appears is
    right. A thing that was not found is wrong in whatever is said of it.
    """
    verdicts = {}
    if description.things:
        verdicts["count"] = len(detection.things) == len(description.things)
        verdicts |= _best_assignment(description.things, detection.things)
    for name in SETTING:
        if (said := getattr(description, name)) is not None:
            verdicts[name] = said == getattr(detection, name)
    if description.relation is not None:
        verdicts["relation"] = _related(description, detection.things)
    return {**verdicts, "all": all(verdicts.values())}


def _related(description: Description, seen: tuple[DetectedThing, ...]) -> bool:
    """Whether the two things that look most like the first two said stand to one another as said."""
    pairs = list(permutations(seen, 2))
    if not pairs:
        return False
    first, second = description.things[:2]
    one, other = max(pairs, key=lambda pair: _alike(first, pair[0]) + _alike(second, pair[1]))
    return stands(str(description.relation), _place(one), _place(other))


def _alike(said: ThingDescription, seen: DetectedThing) -> int:
    return sum(getattr(said, name) in (None, getattr(seen, name)) for name in ATTRIBUTES)


def _place(seen: DetectedThing) -> Place:
    """Where a thing is as a rule, and where its foot was lowest."""
    x, y = np.nanmedian(seen.track, 0).tolist()
    half = EXTENTS[seen.size] * SHAPES[seen.kind].half_height
    return Place(x, y, float(np.nanmax(seen.track[:, 1])) + half)


def _best_assignment(said: tuple[ThingDescription, ...], seen: tuple[DetectedThing, ...]) -> dict[str, bool]:
    slots = range(max(len(said), len(seen)))
    orders = permutations(slots, len(seen))
    compared = (_compare(said, dict(zip(order, seen, strict=True))) for order in orders)
    # Equally good ones are told apart by their verdicts, so that the order of things does not matter.
    return max(((sum(r for _, r in pairs), _verdicts(pairs)) for pairs in compared), key=_rank)[1]


def _rank(assignment: tuple[int, dict[str, bool]]) -> tuple[int, tuple[bool, ...]]:
    right, verdicts = assignment
    return right, tuple(verdicts.values())


def _verdicts(pairs: list[tuple[str, bool]]) -> dict[str, bool]:
    return {name: all(right for other, right in pairs if other == name) for name, _ in pairs}


def _compare(said: tuple[ThingDescription, ...], seen: dict[int, DetectedThing]) -> list[tuple[str, bool]]:
    """Each named attribute of each thing, and whether the thing seen in its slot has it."""
    return [
        (name, getattr(seen.get(slot), name, None) == value)
        for slot, thing in enumerate(said)
        for name in ATTRIBUTES
        if (value := getattr(thing, name)) is not None
    ]
