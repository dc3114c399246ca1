"""Checkpoints that survive a kill at any moment: a folder written aside, checked, then renamed into place.

RUN/step-00000200/{weights,average,optimizer0}.safetensors  state.json  manifest.json (written last)
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

from kineograph.errors import OutputError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """Named groups of tensors and a JSON-able state."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(checkpoint: Checkpoint, run: Path, step: int, keep: int = 2) -> Path:
    """Write a checkpoint of `step` into `run`, then remove all but the newest `keep` up to it.

    One of the same step is replaced, but not in one stroke: save over a damaged one only.

    Raises:
        OutputError, OSError: it can't be written; those before are as they were.
    """
    final = run / f"step-{step:08d}"
    aside = run / f".{final.name}.part"
    clear(run)
    aside.mkdir(parents=True)
    for group, tensors in checkpoint.tensors.items():
        _save_tensors(aside / f"{group}.safetensors", {k: v.contiguous() for k, v in tensors.items()})
    _write_json(aside / "state.json", checkpoint.state)
    sums = {path.name: _sha256(path) for path in sorted(aside.iterdir())}
    _write_json(aside / MANIFEST, sums)
    for path in (*aside.iterdir(), aside):
        _sync(path)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    _sync(run)
    kept = [folder for folder in _folders(run) if folder <= final][-keep:]
    for other in set(_folders(run)) - set(kept):
        shutil.rmtree(other)
    return final


def newest(run: Path) -> Checkpoint | None:
    """The newest checkpoint of `run` that is whole; damaged ones are passed over."""
    return next((found for folder in reversed(_folders(run)) if (found := _load(folder))), None)


def exists(run: Path) -> bool:
    """Whether `run` holds any checkpoint, whole or damaged."""
    return bool(_folders(run))


def retreat(run: Path, step: int) -> None:
    """Forget the checkpoint of `step`, from which nothing good came, where there is an older one."""
    folders = _folders(run)
    if len(folders) > 1 and folders[-1].name == f"step-{step:08d}":
        shutil.rmtree(folders[-1])


def clear(run: Path) -> None:
    """Remove what a kill left half-written."""
    for leftover in run.glob(".step-*.part"):
        shutil.rmtree(leftover)


def _load(folder: Path) -> Checkpoint | None:
    try:
        sums = json.loads((folder / MANIFEST).read_text())
        files = {path.name for path in folder.iterdir()} - {MANIFEST}
        if sums.keys() != files or any(_sha256(folder / name) != digest for name, digest in sums.items()):
            return None
        groups = {p.stem: load_file(p) for p in sorted(folder.glob("*.safetensors"))}
        return Checkpoint(groups, dict(json.loads((folder / "state.json").read_text())))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError):
        return None


def _folders(run: Path) -> list[Path]:
    return sorted(run.glob("step-*"))


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # which hides what the system said
        raise OutputError(
            f"The checkpoint's {path.name} can't be written: see that the disk is not full."
        ) from error


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
