"""A data sheet of all that training reads: what it is, where from, who may use it, what is there twice.

DIR/datasheet.json   the sheet
DIR/croissant.json   the same as Croissant with its vocabulary for responsible AI, JSON-LD, beside the shards
                     (docs.mlcommons.org/croissant)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kineograph.data import records
from kineograph.data.croissant import croissant
from kineograph.data.duplicates import Pair
from kineograph.data.sources import Source, source_of
from kineograph.errors import DataError, RequestError
from kineograph.text.vocabulary import split
from kineograph.worlds.captions import SETTING, parse
from kineograph.worlds.world import World

SHEET, CROISSANT = "datasheet.json", "croissant.json"
OPEN = "left open"
MOST_WORDS = 40  # of own captions, the most frequent ones


@dataclass(frozen=True)
class Used:
    """A source, and how many files are from it."""

    source: Source
    files: int


@dataclass(frozen=True)
class Datasheet:
    """Clips of `frames` frames of `size` x `size` pixels: of the `world` of that name or, where that is "",
    windows of `files` of somebody's own. Files of no source are `unlicensed`, which somebody allowed.

    `exact` groups files (of the world: clips, by number) that are the same, `near` those that nearly are;
    the first `compared` clips were looked at. `balance` counts the clips by what their captions say: of each
    attribute its values, or the words.
    """

    name: str
    world: str
    clips: int
    frames: int
    size: int
    fps: float
    files: int = 0
    used: tuple[Used, ...] = ()
    unlicensed: tuple[str, ...] = ()
    compared: int = 0
    exact: tuple[tuple[str, ...], ...] = ()
    near: tuple[Pair, ...] = ()
    balance: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def used_of(names: Sequence[str], sources: Sequence[Source]) -> tuple[Used, ...]:
    """The sources that files of these names are from."""
    counted = Counter(source for name in names if (source := source_of(name, sources)) is not None)
    return tuple(Used(source, counted[source]) for source in sources if source in counted)


def balance_of(captions: Sequence[str], world: World | None) -> dict[str, dict[str, int]]:
    """How many captions say what: of a world each value of each attribute, of the first thing where it is one
    of things, else the words."""
    if world is None:
        said = Counter(word for caption in captions for word in set(split(caption)))
        return {"word": dict(sorted(said.most_common(MOST_WORDS), key=lambda item: (-item[1], item[0])))}
    read = [parse(caption, world) for caption in captions]
    owners = {
        name: [one if name in SETTING else next(iter(one.things), None) for one in read]
        for name in world.values
    }
    return {
        name: _counted((getattr(owner, name, None) for owner in owners[name]), options)
        for name, options in world.values.items()
    }


def _counted(values: Iterable[str | None], options: Sequence[str]) -> dict[str, int]:
    counted = Counter(OPEN if value is None else value for value in values)
    return {option: counted[option] for option in (*options, OPEN)}


# To and from a folder


def write(folder: Path, sheet: Datasheet) -> None:
    """Put both files beside the shards in `folder`, each whole or not at all."""
    records.write(folder / SHEET, asdict(sheet))
    records.write(folder / CROISSANT, croissant(sheet, folder))


def read(folder: Path) -> Datasheet | None:
    """The sheet beside the shards in `folder`; None where there is none.

    Raises:
        DataError: it is damaged.
    """
    path = folder / SHEET
    try:
        return records.read(path, Datasheet)
    except RequestError as error:
        raise DataError(f"'{path}' is damaged: remove it, or make the clips again.") from error
