"""The corpus of media files, and what becomes of one that is read."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from hostile.claims import claims
from hostile.damage import Case, cut, damaged, sound_files
from hostile.guises import guises
from hostile.watch import Outcome, attempt
from kineograph.media.decode import reading

SEED = 20
HARMS_EACH = 2  # of those that are done to a part


def corpus(folder: Path, secret: Path) -> list[Case]:
    """All of it: in every part of every file some harm, chosen by the seed."""
    sound = sound_files(folder)
    draw = random.Random(SEED)
    cuts, harms = list(cut(sound)), defaultdict(list)
    for case in damaged(sound, SEED):
        number, _, rest = case.name.partition(" ")
        harms[number, rest.rpartition(" in ")[2]].append(case)
    chosen = [case for cases in harms.values() for case in draw.sample(cases, HARMS_EACH)]
    return [*draw.sample(cuts, 200), *chosen, *claims(sound), *guises(sound, secret)]


def sample(cases: list[Case], count: int) -> Iterator[Case]:
    """So many, evenly from all of it."""
    yield from (cases[index * len(cases) // count] for index in range(count))


def read(folder: Path, case: Case) -> Outcome:
    """Write the file, read all its frames, and make sure that nothing else came to be."""
    path = folder / case.name
    path.write_bytes(case.make())
    try:
        outcome = attempt(case.name, lambda: count_frames(path), typed=[case.name])
        assert [file.name for file in folder.iterdir()] == [case.name]
    finally:
        path.unlink()
    return outcome


def count_frames(path: Path) -> None:
    with reading(path) as (_, frames):
        assert sum(1 for _ in frames) >= 1, path.name
