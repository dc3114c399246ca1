"""From a name to a model: those that ship with the package, and local folders.

A model is a folder with `config.json`, its weights as safetensors and, if it has one, a card `README.md`.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineograph.errors import ModelError

if TYPE_CHECKING:  # naming and describing models needs no torch
    from kineograph.models.family import Model

SHIPPED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Description:
    """What can be said of a model without loading its weights. Size in pixels, rate in frames per second."""

    name: str
    family: str
    abilities: tuple[str, ...]
    width: int
    height: int
    fps: float
    window: int
    steps: int
    guidance: float
    vocabulary: tuple[str, ...]
    megabytes: float
    card: str


def names() -> list[str]:
    """The models that ship, by name."""
    return sorted(config.parent.name for config in SHIPPED.glob("*/config.json"))


def able(task: str) -> list[str]:
    """The models that ship and can fill canvases of this task."""
    return [name for name in names() if task in describe(name).abilities]


def load(name: str) -> Model:
    """Load a model by its name or from a local folder.

    Raises:
        ModelError: there is no such model, or its files don't fit.
    """
    from kineograph.models import MODELS

    folder = _folder(name)
    family = _config(folder).get("family")
    if family not in MODELS:
        raise ModelError(f"{folder} is of an unknown family {family!r}; known are {', '.join(MODELS)}.")
    model: Model = MODELS[family].load(folder)
    return model


def describe(name: str) -> Description:
    """Describe a model by its name or from a local folder, without its weights.

    Raises:
        ModelError: there is no such model, or its config can't be read.
    """
    folder = _folder(name)
    config = _config(folder)
    card = folder / "README.md"
    try:
        return Description(
            name=config["name"],
            family=config["family"],
            abilities=tuple(config["abilities"]),
            width=config["width"],
            height=config["height"],
            fps=config["fps"],
            window=config["window"],
            steps=config["sampling"]["steps"],
            guidance=config["sampling"]["guidance"],
            vocabulary=tuple(config["vocabulary"]),
            megabytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6,
            card=card.read_text(encoding="utf-8") if card.exists() else "",
        )
    except (KeyError, TypeError) as error:
        raise ModelError(f"{folder / 'config.json'} is damaged: {error} is missing or wrong.") from error


def _folder(name: str) -> Path:
    if name in names():
        return SHIPPED / name
    if (Path(name) / "config.json").is_file():
        return Path(name)
    close = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names()) or 'none'}."
    raise ModelError(f"There is no model {name}; {hint}")


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read as JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} must hold a JSON object.")
    return config
