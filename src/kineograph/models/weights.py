"""A trained model in a folder: config.json and safetensors files, matrices in bfloat16."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kineograph.config import from_dict
from kineograph.errors import ModelError, RequestError
from kineograph.fingerprint import weights_hash
from kineograph.models.family import Spec
from kineograph.sampling.settings import Sampling
from kineograph.sampling.solvers import SOLVERS

CONFIG = "config.json"


def save(folder: Path, spec: Spec, networks: Mapping[str, Any], modules: Mapping[str, nn.Module]) -> None:
    """Write the description, the networks' own settings, a safetensors file a module; the config last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, module in modules.items():
        tensors = {k: stored(v) for k, v in module.state_dict().items()}
        aside = folder / f".{name}.part"
        save_file(tensors, aside)
        aside.rename(folder / f"{name}.safetensors")
    described = asdict(spec) | {"abilities": sorted(spec.abilities)}
    described.pop("weights_hash")
    aside = folder / f".{CONFIG}.part"
    aside.write_text(json.dumps(described | {"networks": networks}, indent=1))
    aside.rename(folder / CONFIG)


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
        if values.get("thorough") is not None:
            values["thorough"] = from_dict(Sampling, values["thorough"])
        values["abilities"] = frozenset(values["abilities"])
        values["vocabulary"] = tuple(values["vocabulary"])
        spec = Spec(**values, weights_hash=weights_hash(folder))
        for sampling in filter(None, (spec.sampling, spec.thorough)):
            _check(sampling)
        return spec, networks
    except (OSError, ValueError, KeyError, TypeError, RequestError) as error:
        raise ModelError(
            f"The config of '{folder.name}' is damaged or incomplete: get the model again."
        ) from error


def _check(sampling: Sampling) -> None:
    """Raises ValueError for settings with which nothing can be sampled."""
    if sampling.solver not in SOLVERS or sampling.steps < 1 or not math.isfinite(sampling.guidance):
        raise ValueError(f"no clip can be sampled with {sampling}")


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
