"""From a name to a model: those that ship with the package, and local folders.

A model is a folder with `config.json`, its weights as safetensors and, if it has one, a card `README.md`.
"""

from __future__ import annotations

import difflib
import json
import math
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineograph.config import from_dict
from kineograph.errors import KineographError, ModelError, RequestError
from kineograph.fingerprint import weights_hash

if TYPE_CHECKING:  # naming and describing models needs no torch
    from kineograph.models.family import Model

SHIPPED = Path(__file__).parent / "weights"
LARGEST_TEXT = 1 << 22  # bytes of a config, and of a card
LONGEST_NAME, LONGEST_WORD = 100, 64
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
    from kineograph.models.weights import Budget

    family, folder = describe(name).family, folder_of(name)
    if family not in MODELS:
        raise ModelError(f"{name} is of an unknown family {family!r}; known are {', '.join(MODELS)}.")
    try:
        with Budget(folder, *map(SHIPPED.joinpath, names())):
            model: Model = MODELS[family].load(folder)
    except KineographError:
        raise
    except Exception as error:  # a config from elsewhere may break the building of networks in any way
        raise ModelError(f"The files of {name} make no model: get the model again.") from error
    return model


def describe(name: str) -> Description:
    """Describe a model by its name or from a local folder, without its weights.

    Raises:
        ModelError: there is no such model, or its config can't be read.
    """
    folder = folder_of(name)
    config = _config(folder)
    try:
        values = {
            **{key: config[key] for key in _TOLD},
            **{key: config["sampling"][key] for key in ("steps", "guidance")},
            "text_length": config.get("networks", {}).get("text_length"),
            "megabytes": sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6,
            "card": _card(folder / "README.md"),
        }
        description = from_dict(Description, values)
        _check(description)
        return description
    except (KeyError, ValueError, TypeError, AttributeError, RequestError) as error:
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


def _check(description: Description) -> None:
    """Raises ValueError for what isn't to be shown on a terminal, as it may come from elsewhere."""
    names = (description.name, description.family, *description.abilities)
    for words, longest in ((names, LONGEST_NAME), (description.vocabulary, LONGEST_WORD)):
        if not all(0 < len(word) <= longest and not any(map(_steers, word)) for word in words):
            raise ValueError("names and words are short and plain")
    if not (math.isfinite(description.fps) and math.isfinite(description.guidance)):
        raise ValueError("numbers are finite")


def _steers(letter: str) -> bool:
    """Whether it makes a terminal do something, or hides."""
    return unicodedata.category(letter) in ("Cc", "Cf")


def _card(path: Path) -> str:
    """What a model's card says, without what steers a terminal; empty if there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        text = file.read(LARGEST_TEXT).decode("utf-8", "replace")
    return "".join(letter for letter in text if letter in "\n\t" or not _steers(letter))


def folder_of(name: str) -> Path:
    """The folder of a model by its name or from a local folder.

    Raises:
        ModelError: there is no such model, or something else than files is there in their place.
    """
    if name in names():
        return SHIPPED / name
    with suppress(OSError, ValueError):  # a name too long for a file, a folder that may not be looked into
        if (Path(name) / "config.json").is_file():
            return _with_files(Path(name))
    close = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names()) or 'none'}."
    raise ModelError(f"There is no model {name!r:.80}; {hint}")


def _with_files(folder: Path) -> Path:
    """The folder, if what is to be read in it ends: it may come from elsewhere and hold links to devices."""
    for path in folder.glob("*.safetensors"):
        if not path.is_file():
            raise ModelError(f"{path.name} in the model {folder} is no file: get the model again.")
    return folder


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise ModelError(f"{path} is too large for a config: get the model again.")
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} can't be read, {error.strerror}: get the model again.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: get the model again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} must hold a JSON object.")
    return config
