"""What a model learnt from where that was somebody's own clips: `data.json` beside its weights, and its card.

It names no file, as it travels with the model.

{"windows": 812, "files": 19, "unlicensed": 7, "exact": 0, "near": 1,
 "used": [{"source": {"files": "", "licence": …, "consent": …, "url": …}, "files": 12}]}
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kineograph.data import records
from kineograph.data.datasheet import Datasheet, Used
from kineograph.data.sources import ALLOW
from kineograph.errors import ModelError, RequestError
from kineograph.media.atomic import explaining, replacing

FILE, CARD = "data.json", "README.md"


@dataclass(frozen=True)
class Learnt:
    """Windows of files, whose sources are `used`; of `unlicensed` ones no licence is known, which somebody
    allowed. `exact` files are there more than once, `near` pairs are nearly the same."""

    windows: int
    files: int
    used: tuple[Used, ...]
    unlicensed: int
    exact: int
    near: int


def learnt_of(sheet: Datasheet) -> Learnt:
    """The part of a data sheet that a model tells."""
    again = sum(len(group) - 1 for group in sheet.exact)
    used = tuple(replace(one, source=replace(one.source, files="")) for one in sheet.used)
    return Learnt(sheet.clips, sheet.files, used, len(sheet.unlicensed), again, len(sheet.near))


def write(folder: Path, learnt: Learnt, name: str) -> None:
    """Put it beside the model in `folder`, with a card that tells of it."""
    card = (
        f"# {name}\n\n{section(learnt)}\n\nIt was not measured: `kineo evaluate` and `kineo audit` do that.\n"
    )
    records.write(folder / FILE, asdict(learnt))
    with replacing(folder / CARD) as part, explaining(folder / CARD):
        part.write_text(card, encoding="utf-8")


def read(folder: Path) -> Learnt | None:
    """What lies beside the model in `folder`; None where nothing does.

    Raises:
        ModelError: it is damaged.
    """
    path = folder / FILE
    try:
        return records.read(path, Learnt)
    except RequestError as error:
        raise ModelError(f"'{path}' is damaged: get the model again or delete this file.") from error


def section(learnt: Learnt) -> str:
    """The part of a card that tells what a model learnt from, in Markdown."""
    parts = [
        "## What it learnt from",
        f"Somebody's own clips: {learnt.windows} windows of {learnt.files} files.",
        "\n".join(f"- {_told(used)}" for used in learnt.used),
        _unlicensed(learnt),
        f"Files that are there once more: {learnt.exact}; pairs that are nearly the same: {learnt.near}.",
    ]
    return "\n\n".join(filter(None, parts))


def _told(used: Used) -> str:
    source = used.source
    where = f", {source.url}" if source.url else ""
    return f"{used.files} files: licence {source.licence}{where}; consent: {source.consent}."


def _unlicensed(learnt: Learnt) -> str:
    if not learnt.unlicensed:
        return ""
    return (
        f"**Of {learnt.unlicensed} files no licence and no consent is known.** Whoever trained it allowed "
        f"them with `{ALLOW}`."
    )
