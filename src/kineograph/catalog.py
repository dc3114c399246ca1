"""From a name to a model: those that ship with the package, and local folders.

A model is a folder with `config.json`, its weights as safetensors and, if it has one, a card `README.md`.
"""

from __future__ import annotations

import difflib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineograph.config import from_dict
from kineograph.errors import ModelError, RequestError
from kineograph.fingerprint import weights_hash

if TYPE_CHECKING:  # naming and describing models needs no torch
    from kineograph.models.family import Model

SHIPPED = Path(__file__).parent / "weights"
_TOLD = ("name", "family", "abilities", "width", "height", "fps", "window", "vocabulary")  # as they stand


@dataclass(frozen=True)
class Description:
    """What can be said of a model without loading its weights. Size in pixels, rate in frames per second.

    `text_length` is how many words of a prompt are read; None if all are.
    """

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
    text_length: int | None
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

    family = describe(name).family
    if family not in MODELS:
        raise ModelError(f"{name} is of an unknown family {family!r}; known are {', '.join(MODELS)}.")
    model: Model = MODELS[family].load(folder_of(name))
    return model


def describe(name: str) -> Description:
    """Describe a model by its name or from a local folder, without its weights.

    Raises:
        ModelError: there is no such model, or its config can't be read.
    """
    folder = folder_of(name)
    config = _config(folder)
    card = folder / "README.md"
    try:
        values = {
            **{key: config[key] for key in _TOLD},
            **{key: config["sampling"][key] for key in ("steps", "guidance")},
            "text_length": config.get("networks", {}).get("text_length"),
            "megabytes": sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6,
            "card": card.read_text(encoding="utf-8", errors="replace") if card.exists() else "",
        }
        return from_dict(Description, values)
    except (KeyError, TypeError, AttributeError, RequestError) as error:
        raise ModelError(f"The config of {name} is damaged or incomplete: get the model again.") from error
    except OSError as error:
        raise ModelError(f"The files of {name} can't be read, {error.strerror}: get it again.") from error


def hash_of(name: str) -> str:
    """What tells the weights of a model from all others.

    Raises:
        ModelError: there is no such model, or its weights can't be read.
    """
    try:
        return weights_hash(folder_of(name))
    except OSError as error:
        raise ModelError(f"The files of {name} can't be read, {error.strerror}: get it again.") from error


def folder_of(name: str) -> Path:
    """The folder of a model by its name or from a local folder.

    Raises:
        ModelError: there is no such model.
    """
    if name in names():
        return SHIPPED / name
    with suppress(OSError):  # a name too long for a file, a folder that may not be looked into
        if (Path(name) / "config.json").is_file():
            return Path(name)
    close = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names()) or 'none'}."
    raise ModelError(f"There is no model {name}; {hint}")


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} can't be read as JSON, {error}: get the model again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} must hold a JSON object.")
    return config
