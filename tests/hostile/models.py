"""Model folders, records, manifests and checkpoints from strangers, each wrong in its own way."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hostile.values import wrong_json, wrong_tensors

SEED = 7


@dataclass(frozen=True)
class Wrong:
    """What is wrong, and what makes it so in a sound folder."""

    name: str
    harm: Callable[[Path], None]


def written(file: str, data: bytes, folder: Path) -> None:
    (folder / file).write_bytes(data)


def wrong_models(sound: Path, most: int) -> list[Wrong]:
    """A folder's config, of which `most` are drawn, its weights, and what stands in their place."""
    config = json.loads((sound / "config.json").read_text())
    config["vocabulary"] = config["vocabulary"][:4]  # long, and always the same
    configs = [
        Wrong(f"config: {what}", partial(written, "config.json", data)) for what, data in wrong_json(config)
    ]
    chosen = random.Random(SEED).sample(configs, min(most, len(configs)))
    return [*chosen, *wrong_weights(sound), *wrong_files(sound)]


def wrong_weights(sound: Path) -> Iterator[Wrong]:
    weights = max(sound.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    for what, data in wrong_tensors(weights.read_bytes(), SEED):
        yield Wrong(f"weights: {what}", partial(written, weights.name, data))


def wrong_files(sound: Path) -> Iterator[Wrong]:
    for path in sorted(sound.iterdir()):
        yield Wrong(f"{path.name} gone", partial(removed, path.name))
        for target in ("/dev/zero", "/etc/passwd", "/nowhere", "."):
            yield Wrong(f"{path.name} is a link to {target}", partial(linked, path.name, target))
        yield Wrong(f"{path.name} is a pipe", partial(piped, path.name))
        yield Wrong(f"{path.name} is a folder", partial(made_folder, path.name))
    yield Wrong("README.md is a link to /dev/zero", partial(linked, "README.md", "/dev/zero"))
    yield Wrong("README.md is a pipe", partial(piped, "README.md"))
    yield Wrong("README.md clears the screen", partial(written, "README.md", b"\x1b[2J\x1b]0;x\7\xff"))
    for name in ("pytorch_model.bin", "model.pkl", "modeling.py", "setup.py", "__init__.py"):
        yield Wrong(f"{name} beside it", partial(written, name, b"\x80\4cos\nsystem\n(S'touch escaped'\ntR."))


def removed(file: str, folder: Path) -> None:
    (folder / file).unlink(missing_ok=True)


def linked(file: str, target: str, folder: Path) -> None:
    removed(file, folder)
    (folder / file).symlink_to(target)


def piped(file: str, folder: Path) -> None:
    removed(file, folder)
    os.mkfifo(folder / file)


def made_folder(file: str, folder: Path) -> None:
    removed(file, folder)
    (folder / file).mkdir()


def harmed(sound: Path, wrong: Wrong, place: Path) -> Path:
    """A copy of a sound folder with what is wrong."""
    shutil.copytree(sound, place)
    wrong.harm(place)
    return place
