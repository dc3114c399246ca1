"""The data sheet of the clips that a run has just written, or found without one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from kineograph.data import datasheet, duplicates, sources
from kineograph.data.datasheet import Datasheet
from kineograph.data.folder import Folder
from kineograph.data.shards import Shards
from kineograph.evaluation.memorisation import Points
from kineograph.evaluation.metrics import thumbnails
from kineograph.worlds.world import WORLDS

COMPARED = 2048  # clips at most, among which duplicates are looked for
PART = 64


def describe_world(clips: Shards, world: str) -> Datasheet:
    """Write the sheet of rendered clips of a world beside them."""
    points, digests = seen(clips)
    names = [str(number) for number in range(len(points))]
    exact = duplicates.exact(zip(names, digests, strict=True))
    return _kept(
        clips,
        replace(
            _begun(f"kineograph-{world}-world", world, clips),
            compared=len(points),
            exact=exact,
            near=duplicates.others(duplicates.near(points, names), exact),
            balance=datasheet.balance_of(clips.captions, WORLDS[world]),
        ),
    )


def describe_folder(clips: Shards, folder: Folder) -> Datasheet:
    """Write the sheet of windows of somebody's own clips beside them, after `folder.parts` is done."""
    points, _ = seen(clips)
    known = sources.read(folder.folder)
    names = list(dict.fromkeys(folder.origins))
    exact = duplicates.exact((name, _digest(folder.folder / name)) for name in names)
    near = duplicates.near(points, folder.origins[: len(points)])
    return _kept(
        clips,
        replace(
            _begun(folder.folder.name or "clips", "", clips),
            files=len(names),
            used=datasheet.used_of(names, known),
            unlicensed=tuple(sources.unlicensed(names, known)),
            compared=len(points),
            exact=exact,
            near=duplicates.others(near, exact),
            balance=datasheet.balance_of(clips.captions, None),
        ),
    )


def describe_latents(latents: Shards, clips: Shards) -> Datasheet | None:
    """Write the sheet of latents beside them: of the clips and, where those are a world's, of more that were
    not kept as pixels, among which no duplicates are looked for. None where the clips have no sheet."""
    known = datasheet.read(clips.folder)
    if known is None:
        return None
    said = datasheet.balance_of(latents.captions, WORLDS[known.world] if known.world else None)
    return _kept(latents, replace(known, name=f"{known.name}-latents", clips=len(latents), balance=said))


def notes_on(sheet: Datasheet) -> Iterator[str]:
    """What whoever trains should know of their clips."""
    if sheet.unlicensed:
        yield f"Of {len(sheet.unlicensed)} of {sheet.files} clips no licence is known, which was allowed."
    for group in sheet.exact[:1]:
        yield f"There are clips that are the same, such as {' and '.join(group[:2])}."
    for pair in sheet.near[:1]:
        yield f"There are clips that are nearly the same, such as {pair.first} and {pair.second}."


def seen(clips: Shards) -> tuple[Points, list[str]]:
    """Thumbnails (N, D) of the first clips, and digests of their frames."""
    points, digests = [], []
    for start in range(0, min(len(clips), COMPARED), PART):
        rows = range(start, min(len(clips), COMPARED, start + PART))
        frames = torch.stack([clips.clip(row, "frames") for row in rows]).numpy()
        points.append(thumbnails(frames))
        digests += [hashlib.sha256(clip.tobytes()).hexdigest() for clip in frames]
    return np.concatenate(points), digests


def _begun(name: str, world: str, clips: Shards) -> Datasheet:
    frames, size, _, _ = clips.clip(0, "frames").shape
    return Datasheet(name, world, len(clips), frames, size, clips.fps)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _kept(clips: Shards, sheet: Datasheet) -> Datasheet:
    datasheet.write(clips.folder, sheet)
    return sheet
