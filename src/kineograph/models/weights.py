"""A trained model in a folder: config.json and safetensors files, matrices in bfloat16."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from kineograph.config import from_dict
from kineograph.errors import ModelError, OutputError, RequestError
from kineograph.fingerprint import weights_hash
from kineograph.media.atomic import explaining, replacing
from kineograph.models.family import Spec
from kineograph.sampling.settings import Sampling
from kineograph.sampling.solvers import SOLVERS

CONFIG = "config.json"
MOST_PIXELS = 1 << 28  # of a window: 256 frames of 1024 x 1024
MOST_STEPS, MOST_FPS, MOST_SHIFT = 1000, 240, 100.0
MOST_SETTINGS, DEEPEST = 64, 8  # side by side, and within one another
# What a config may ask for while its networks are built and filled, in numbers: so many for each byte of the
# weights, as each is read, checked and converted, and some for tables. An operation counts as some, too, so
# that layers without end are refused in seconds.
PER_BYTE, AT_LEAST, PER_OPERATION = 4, 1 << 26, 1 << 12


def save(folder: Path, spec: Spec, networks: Mapping[str, Any], modules: Mapping[str, nn.Module]) -> None:
    """Write the description, the networks' own settings, a safetensors file a module; the config last.

    Raises:
        OutputError: a file can't be written.
    """
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, module in modules.items():
        _save_tensors(folder / f"{name}.safetensors", {k: stored(v) for k, v in module.state_dict().items()})
    described = asdict(spec) | {"abilities": sorted(spec.abilities)}
    described.pop("weights_hash")
    with replacing(folder / CONFIG) as part, explaining(folder / CONFIG):
        part.write_text(json.dumps(described | {"networks": networks}, indent=1))


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    with replacing(path) as part:
        try:
            save_file(tensors, part)
        except SafetensorError as error:  # which hides what the system said
            raise OutputError(f"{path.name!r} can't be written: see that the disk is not full.") from error


def stored(value: Tensor) -> Tensor:
    """Matrices in bfloat16, the few vectors as they are."""
    kept = value.detach().cpu()
    return (kept.to(torch.bfloat16) if kept.ndim > 1 else kept).contiguous()


def read_config(folder: Path) -> tuple[Spec, dict[str, Any]]:
    """The description and the networks' own settings of the model in `folder`.

    Raises:
        ModelError: the config is missing, damaged or incomplete.
    """
    try:
        values = dict(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
        networks = dict(values.pop("networks"))
        values["sampling"] = from_dict(Sampling, values["sampling"])
        values["abilities"] = frozenset(values["abilities"])
        values["vocabulary"] = tuple(values["vocabulary"])
        spec = Spec(**values, weights_hash=weights_hash(folder))
        _check(spec)
        _check_settings(networks)
        return spec, networks
    except (OSError, ValueError, KeyError, TypeError, RecursionError, RequestError) as error:
        raise ModelError(
            f"The config of '{folder.name}' is damaged or incomplete: get the model again."
        ) from error


def _check(spec: Spec) -> None:
    """Raises ValueError for what no model can be, or what no clip can be sampled with."""
    sizes = (spec.width, spec.height, spec.window)
    if not all(type(size) is int and size > 0 for size in sizes) or math.prod(sizes) > MOST_PIXELS:
        raise ValueError(f"no window has the sizes {sizes}")
    if type(spec.fps) not in (int, float) or not 0 < spec.fps <= MOST_FPS:
        raise ValueError(f"no clip has {spec.fps} frames per second")
    if not all(isinstance(word, str) for word in (spec.name, spec.family, *spec.abilities, *spec.vocabulary)):
        raise ValueError("names and words are texts")
    sampling = spec.sampling
    told = (sampling.guidance, *sampling.interval)
    steps = 1 <= sampling.steps <= MOST_STEPS
    numbers = all(map(math.isfinite, told)) and 1 / MOST_SHIFT <= sampling.shift <= MOST_SHIFT
    if sampling.solver not in SOLVERS or not steps or not numbers:
        raise ValueError(f"no clip can be sampled with {sampling}")


def _check_settings(value: object, within: int = 0) -> None:
    """Raises ValueError for settings that no network has: lists without end, for one."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if len(inner) > MOST_SETTINGS or within > DEEPEST:
        raise ValueError("the networks have too many settings")
    for one in inner:
        _check_settings(one, within + 1)


class Budget(TorchFunctionMode):
    """While it lasts, no more numbers are made than a model needs whose weights are in `folders`.

    A config of a few bytes could else take all memory. Raises ValueError, before a tensor is made.
    """

    def __init__(self, *folders: Path) -> None:
        super().__init__()
        sizes = [path.stat().st_size for folder in folders for path in folder.glob("*.safetensors")]
        self.left = AT_LEAST + PER_BYTE * sum(sizes)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.left -= PER_OPERATION + _numbers(args)
        if self.left < 0:
            raise ValueError("the config asks for more than its weights hold")
        return func(*args, **(kwargs or {}))


def _numbers(args: Sequence[Any]) -> int:
    """About how many numbers an operation makes: of a shape that it is given as a whole or side by side, up
    to an end, as of a range, or of several tensors together."""
    sides = [arg for arg in args if isinstance(arg, int)]
    shapes = [arg for arg in args if isinstance(arg, list | tuple) and all(type(side) is int for side in arg)]
    tensors = [arg.shape for arg in args if isinstance(arg, Tensor)]
    try:
        together = torch.broadcast_shapes(*tensors) if len(tensors) > 1 else ()  # type: ignore[no-untyped-call]
    except RuntimeError:  # they don't go number by number
        together = ()
    return max(1, *map(abs, sides), *map(math.prod, [sides, together, *shapes]))


def load_modules(folder: Path, modules: Mapping[str, nn.Module]) -> None:
    """Fill the modules from their files.

    Raises:
        ModelError: a file is missing or damaged, doesn't fit, or holds numbers that are not finite.
    """
    for name, module in modules.items():
        try:
            tensors = load_file(folder / f"{name}.safetensors")
            module.load_state_dict({k: v.float() for k, v in tensors.items()})
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ModelError(
                f"The weights '{name}.safetensors' of '{folder.name}' are missing or don't fit: "
                "get the model again."
            ) from error
        if not all(bool(torch.isfinite(v).all()) for v in tensors.values()):
            raise ModelError(
                f"The weights '{name}.safetensors' of '{folder.name}' are not finite: train it again."
            )
