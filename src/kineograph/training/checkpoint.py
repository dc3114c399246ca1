"""Checkpoints that survive a kill at any moment: a folder written aside, checked, then renamed into place.

    RUN/step-00000200/{weights,average,optimizer}.safetensors  state.json  manifest.json (written last)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """Named groups of tensors and a JSON-able state."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(checkpoint: Checkpoint, run: Path, step: int, keep: int = 2) -> Path:
    """Write a checkpoint of `step` into `run`, then remove all but the newest `keep`."""
    final = run / f"step-{step:08d}"
    aside = run / f".step-{step:08d}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for group, tensors in checkpoint.tensors.items():
        save_file({k: v.contiguous() for k, v in tensors.items()}, aside / f"{group}.safetensors")
    _write_json(aside / "state.json", checkpoint.state)
    sums = {path.name: _sha256(path) for path in sorted(aside.iterdir())}
    for name in sums:
        _sync(aside / name)
    _write_json(aside / MANIFEST, sums)
    _sync(aside / MANIFEST)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    _sync(run)
    for old in _folders(run)[:-keep]:
        shutil.rmtree(old)
    return final


def newest(run: Path) -> Checkpoint | None:
    """The newest checkpoint of `run` that is whole; damaged ones are passed over."""
    for folder in reversed(_folders(run)):
        found = _load(folder)
        if found is not None:
            return found
    return None


def _load(folder: Path) -> Checkpoint | None:
    try:
        sums = json.loads((folder / MANIFEST).read_text())
        if any(_sha256(folder / name) != digest for name, digest in sums.items()):
            return None
        groups = {p.stem: load_file(p) for p in sorted(folder.glob("*.safetensors"))}
        return Checkpoint(groups, json.loads((folder / "state.json").read_text()))
    except (OSError, ValueError, SafetensorError):
        return None


def _folders(run: Path) -> list[Path]:
    return sorted(run.glob("step-*"))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
