"""Partners of a scene: the same scene with one attribute changed, and its plate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kineograph.errors import RequestError
from kineograph.worlds.captions import SETTING
from kineograph.worlds.renderer import Rendered, render
from kineograph.worlds.scene import Scene

LOOKS = ("kind", "color", "size")  # of a thing; its motion and place stay


def partner(scene: Scene, attribute: str, value: str, thing: int = 0) -> Scene:
    """The scene with one attribute changed: of the setting (`style`, `time`, `weather`, ...), or the `color`
    (kind, size) of one of its things. Rendered alike, the two clips differ in nothing else.

    Raises RequestError for an attribute that can't be changed alone, or an unknown value.
    """
    if attribute in SETTING:
        changed: dict[str, Any] = {attribute: value}
        return replace(scene, **changed)
    if attribute not in LOOKS or not 0 <= thing < len(scene.things):
        raise RequestError(
            f"Can't change {attribute!r} of thing {thing}: choose one of {', '.join((*SETTING, *LOOKS))} "
            f"and a thing from 0 to {len(scene.things) - 1}."
        )
    look: dict[str, Any] = {attribute: value}
    one = replace(scene.things[thing], **look)
    return replace(scene, things=(*scene.things[:thing], one, *scene.things[thing + 1 :]))


def plate(scenes: Sequence[Scene], frames: int = 17, size: int | tuple[int, int] = 128) -> Rendered:
    """Clips of the scenes without their things: what a thing hides is known."""
    return render(scenes, frames, size, things=False)
