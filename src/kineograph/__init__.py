"""Kineograph: learned video generation that runs and trains on a laptop CPU."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from kineograph.canvas import GUIDES, TASKS, Canvas
    from kineograph.catalog import describe, load, names
    from kineograph.errors import (
        AbilityError,
        DataError,
        KineographError,
        MediaError,
        ModelError,
        OutputError,
        RequestError,
        TrainingError,
        UserError,
    )
    from kineograph.generation import generate, generate_batch, generate_video, play
    from kineograph.models.family import Step
    from kineograph.provenance.mark import MadeVideo, save
    from kineograph.request import Keyframe, Request, Walk, Waypoint
    from kineograph.video import Chunk, Video

__all__ = [
    "GUIDES",
    "TASKS",
    "AbilityError",
    "Canvas",
    "Chunk",
    "DataError",
    "Keyframe",
    "KineographError",
    "MadeVideo",
    "MediaError",
    "ModelError",
    "OutputError",
    "Request",
    "RequestError",
    "Step",
    "TrainingError",
    "UserError",
    "Video",
    "Walk",
    "Waypoint",
    "__version__",
    "describe",
    "generate",
    "generate_batch",
    "generate_video",
    "load",
    "names",
    "play",
    "save",
]

# Where each public name stands; its module is imported when the name is first asked for.
_HOMES = {
    "GUIDES": "canvas",
    "TASKS": "canvas",
    "Canvas": "canvas",
    "describe": "catalog",
    "load": "catalog",
    "names": "catalog",
    "AbilityError": "errors",
    "DataError": "errors",
    "KineographError": "errors",
    "MediaError": "errors",
    "ModelError": "errors",
    "OutputError": "errors",
    "RequestError": "errors",
    "TrainingError": "errors",
    "UserError": "errors",
    "generate": "generation",
    "generate_batch": "generation",
    "generate_video": "generation",
    "play": "generation",
    "Step": "models.family",
    "MadeVideo": "provenance.mark",
    "save": "provenance.mark",
    "Keyframe": "request",
    "Request": "request",
    "Walk": "request",
    "Waypoint": "request",
    "Chunk": "video",
    "Video": "video",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
