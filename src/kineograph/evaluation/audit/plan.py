"""What an audit asks for: prompts with a slot, the groups that may stand in it, and the target.

{"templates": ["a {color} ring moves left over grass by day", ""],
 "groups": {"color": ["red", "yellow", "green", "blue", "purple", "white"], "kind": ["ball", "box"]},
 "target": {"color": {"red": 0.5, "yellow": 0.1, "green": 0.1, "blue": 0.1, "purple": 0.1, "white": 0.1}}}

A template with a slot is asked once for each value of its group, with the same seeds; left empty, the slot
leaves the group open. A template without a slot leaves open every group of which it names no value. The
target of a group is uniform unless it is declared.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from kineograph.errors import RequestError
from kineograph.text.vocabulary import split
from kineograph.worlds.world import SMALL, World

KEYS = ("templates", "groups", "target")
EXACT = 1e-6  # how near to 1 the shares of a target must add up
_SLOT = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Open:
    """A prompt that leaves a group open; `template` has the slot at which it could be completed, "" if there
    is none."""

    prompt: str
    group: str
    template: str = ""


@dataclass(frozen=True)
class Plan:
    """Templates, the values of each group by its name, and targets of groups: shares that add up to 1."""

    templates: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    target: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def shares(self, group: str) -> list[float]:
        """The target of a group, in the order of its values."""
        values = self.groups[group]
        declared = self.target.get(group, dict.fromkeys(values, 1 / len(values)))
        return [declared[value] for value in values]

    def left_open(self) -> list[Open]:
        """Every prompt that leaves a group open, with that group."""
        found = []
        for template in self.templates:
            slot, prompt = slot_of(template), filled(template, "")
            names = [slot] if slot else [name for name in self.groups if not self._names(prompt, name)]
            found += [Open(prompt, name, template if slot else "") for name in names]
        return found

    def compared(self, group: str) -> list[str]:
        """The templates whose slot is this group's."""
        return [template for template in self.templates if slot_of(template) == group]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; the inverse of `plan_of`."""
        return asdict(self)

    def _names(self, prompt: str, group: str) -> bool:
        said = set(split(prompt))
        return any(said >= set(split(value)) for value in self.groups[group])


def slot_of(template: str) -> str:
    """The name in the slot of a template, "" if it has none."""
    found = _SLOT.search(template)
    return found[1] if found else ""


def filled(template: str, value: str) -> str:
    """The template with a value in its slot; spaces that would stand double stand once."""
    return " ".join(_SLOT.sub(lambda _: value, template).split())


def built_in(world: World = SMALL) -> Plan:
    """Which colors and kinds come, and whether all are drawn alike, in a world. Of rings no color is held
    out from training, and of what stays still no kind."""
    return Plan(
        templates=(
            "a {color} ring moves right over grass by day",
            "a large {color} ring rises over snow by day",
            "a large red {kind} stays still over grass by day",
            "",
        ),
        groups={"color": world.colors, "kind": world.kinds},
    )


def read_plan(text: str) -> Plan:
    """A plan from JSON, see above.

    Raises:
        RequestError: it is no such plan; says what is wrong with it.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The groups can't be read as JSON, {error}: mend the file.") from error
    return plan_of(values)


def plan_of(values: Any) -> Plan:
    """A plan from plain values.

    Raises:
        RequestError: as `read_plan`.
    """
    _require(isinstance(values, dict), "The groups must be a JSON object with templates and groups")
    unknown = [key for key in values if key not in KEYS]
    _require(not unknown, f"{unknown[:1]} is none of the keys: choose from {', '.join(KEYS)}")
    groups = _groups(values.get("groups"))
    templates = _templates(values.get("templates"), groups)
    target = values.get("target", {})
    _require(isinstance(target, dict), "target must be an object: the name of a group and its shares")
    return Plan(templates, groups, {name: _target(name, of, groups) for name, of in target.items()})


def _groups(values: Any) -> dict[str, tuple[str, ...]]:
    _require(isinstance(values, dict) and len(values) > 0, "groups must be an object with at least one group")
    for name, options in values.items():
        named = isinstance(options, list) and all(isinstance(v, str) and split(v) for v in options)
        _require(named, f"The group {name!r} must be a list of values, each of words")
        distinct = len({tuple(split(value)) for value in options}) == len(options) >= 2
        _require(distinct, f"The group {name!r} must have at least two values, and each of them once")
    return {name: tuple(options) for name, options in values.items()}


def _templates(values: Any, groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    listed = isinstance(values, list) and all(isinstance(value, str) for value in values)
    _require(listed and len(values) > 0, "templates must be a list of at least one text")
    for template in values:
        slots = _SLOT.findall(template)
        braces = template.count("{") + template.count("}")
        _require(len(slots) <= 1 and braces == 2 * len(slots), f"{template!r} must have one slot at most")
        known = ", ".join(groups)
        _require(
            all(s in groups for s in slots), f"The slot of {template!r} is no group: choose from {known}"
        )
    _require(len(set(values)) == len(values), "A template stands there twice: leave one out")
    return tuple(values)


def _target(name: str, shares: Any, groups: Mapping[str, Sequence[str]]) -> dict[str, float]:
    _require(name in groups, f"The target {name!r} is of no group: choose from {', '.join(groups)}")
    each = isinstance(shares, dict) and set(shares) == set(groups[name])
    _require(each, f"The target of {name!r} must give a share to each of its values and to nothing else")
    for share in shares.values():
        number = isinstance(share, int | float) and not isinstance(share, bool)
        _require(
            number and math.isfinite(share) and share >= 0, f"A share of {name!r} is no number from 0 on"
        )
    whole = math.isclose(math.fsum(shares.values()), 1, abs_tol=EXACT)
    _require(whole, f"The shares of {name!r} must add up to 1")
    return {value: float(share) for value, share in shares.items()}


def _require(right: bool, sentence: str) -> None:
    if not right:
        raise RequestError(f"{sentence}.")
