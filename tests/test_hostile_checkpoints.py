"""Checkpoints from strangers, or from a disk that lies: one sentence, or a run that goes on."""

import hashlib
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hostile.models import SEED
from hostile.values import wrong_json, wrong_tensors
from hostile.watch import Outcome, attempt, told
from killed import CONFIG, trainer


def trained(folder: Path) -> Path:
    for _ in trainer(folder, replace(CONFIG, steps=2)).run():
        pass
    return next(folder.glob("step-*"))


def wrong_checkpoints(sound: Path) -> list[tuple[str, str, bytes]]:
    """What is wrong, in which file, and what that holds."""
    found = []
    for name in ("state.json", "manifest.json"):
        found += [(what, name, data) for what, data in wrong_json(json.loads((sound / name).read_text()))]
    for name in ("weights.safetensors", "optimizer0.safetensors"):
        found += [(what, name, data) for what, data in wrong_tensors((sound / name).read_bytes(), SEED)]
    return found


def resumed(sound: Path, place: Path, case: tuple[str, str, bytes]) -> Outcome:
    """Resume a run whose only checkpoint is wrong, with sums that fit, so that all of it is looked at."""
    what, name, data = case
    folder = place / sound.name
    shutil.copytree(sound, folder)
    (folder / name).write_bytes(data)
    if name != "manifest.json":
        sums = json.loads((folder / "manifest.json").read_text())
        sums[name] = hashlib.sha256(data).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(sums))
    try:
        return attempt(f"{name}: {what}", lambda: resume(place), [str(place)])
    finally:
        shutil.rmtree(place)


def resume(run: Path) -> None:
    again = trainer(run, replace(CONFIG, steps=3))
    if again.resume() and again.progress.step == 2:
        for _ in again.run():
            pass


def test_a_sample_of_checkpoints(tmp_path: Path) -> None:
    sound = trained(tmp_path / "run")
    cases = random.Random(SEED).sample(wrong_checkpoints(sound), 60)
    outcomes = [resumed(sound, tmp_path / "place", case) for case in cases]
    assert any(outcome.said for outcome in outcomes)


@pytest.mark.slow
def test_all_checkpoints(tmp_path: Path) -> None:
    sound = trained(tmp_path / "run")
    print(
        told("checkpoints", [resumed(sound, tmp_path / "place", case) for case in wrong_checkpoints(sound)])
    )
