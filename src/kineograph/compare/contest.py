"""A contest: every model is trained on the same clips for the same time, and measured by the same ruler.

OUT/contest.json     the terms
OUT/clips  latents   what all learn from
OUT/PRESET           a run each, its report.json, and its clips of the prompts that all are shown by
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kineograph import catalog
from kineograph.config import from_dict
from kineograph.errors import DataError, RequestError
from kineograph.evaluation import suite
from kineograph.evaluation.making import fill, text_canvases
from kineograph.evaluation.release import sheet_claim
from kineograph.evaluation.report import Report
from kineograph.lock import locked
from kineograph.media.atomic import replacing
from kineograph.models.family import Model
from kineograph.provenance import mark
from kineograph.training import recipes
from kineograph.training.events import Finished, Note, Prepared, Shown, Stepped
from kineograph.training.family_recipe import FamilyRecipe
from kineograph.training.presets import PRESETS
from kineograph.training.recipe import with_minutes
from kineograph.training.runs import run_of
from kineograph.video import Chunk

TERMS, REPORT, CLIPS = "contest.json", "report.json", "clips"
PROMPTS = suite.SMALL_PROMPTS[:6]
ENTRANTS = {
    name: recipe.kind.name for name, preset in PRESETS.items() if isinstance(recipe := preset(), FamilyRecipe)
}
MAIN = tuple({family: name for name, family in reversed(ENTRANTS.items())}.values())[::-1]


@dataclass(frozen=True)
class Terms:
    """What all are given: minutes of training, and clips of a world, of which `clips` are kept as pixels and
    `latents`, these among them, as latents. `judged` clips are made for each kind of scenes."""

    presets: tuple[str, ...] = MAIN
    minutes: float = 12.0
    world: str = "small"
    clips: int = 1024
    latents: int = 8192
    seed: int = 1
    judged: int = 64

    def in_proportion(self) -> Terms:
        """The same with fewer clips where there are fewer minutes than usual, as all recipes have it."""
        share = min(1.0, self.minutes / Terms.minutes)
        clips, latents = (math.ceil(share * count) for count in (self.clips, self.latents))
        return replace(self, clips=clips, latents=latents)


@dataclass(frozen=True)
class Trained:
    """Something that the training of a model tells."""

    preset: str
    event: Prepared | Stepped | Shown | Note


@dataclass(frozen=True)
class Measured:
    """How far the measuring of a model is."""

    preset: str
    progress: suite.Progress


News = Trained | Measured


@dataclass(frozen=True)
class Entry:
    """A model that was trained and measured: its report as JSON has it, and its clips of `PROMPTS`."""

    preset: str
    report: dict[str, Any]
    clips: tuple[Path, ...]


def recipe_of(preset: str, terms: Terms) -> FamilyRecipe:
    """The recipe that a model is trained by under these terms.

    Raises:
        RequestError: there is no such preset, or it is of no small family.
    """
    recipe = recipes.named(preset)
    if not isinstance(recipe, FamilyRecipe):
        raise RequestError(f"{preset} can't be compared on equal terms: choose from {', '.join(ENTRANTS)}.")
    alike = {"world": terms.world, "clips": terms.clips, "latents": terms.latents, "seed": terms.seed}
    timed = with_minutes(recipe, terms.minutes)
    assert isinstance(timed, FamilyRecipe)
    return replace(timed, sheets=0, **alike)  # type: ignore[arg-type]


def compare(terms: Terms, out: Path) -> Generator[News, None, list[Entry]]:
    """Train and measure all, one after another; what is done is not done again. Refuses at the first step.

    Raises:
        RequestError: the terms can't be met, or the folder holds a contest of other terms.
        DataError: what lies in the folder is damaged.
    """
    for preset in terms.presets:
        recipes.check(recipe_of(preset, terms))
    with locked(out, "comparison"):
        _keep(terms, out)
        entries = []
        for preset in terms.presets:
            entries.append((yield from _entered(preset, terms, out)))
        return entries


def _keep(terms: Terms, out: Path) -> None:
    path = out / TERMS
    if path.exists():
        begun = _read(path)
        if replace(begun, presets=terms.presets) != terms:
            raise RequestError(f"{out} holds a comparison on other terms: keep them, or give another folder.")
    with replacing(path) as part:
        part.write_text(json.dumps(asdict(terms), indent=1))


def _read(path: Path) -> Terms:
    try:
        return from_dict(Terms, json.loads(path.read_text()))
    except (OSError, ValueError, AttributeError, TypeError, RequestError) as error:
        raise DataError(f"{path} is damaged: begin again in another folder.") from error


def _entered(preset: str, terms: Terms, out: Path) -> Generator[News, None, Entry]:
    """Train a model and measure it."""
    folder = out / preset
    for event in _trained(preset, terms, out):
        yield Trained(preset, event)
    if not (folder / REPORT).exists():
        model = catalog.load(str(folder / "model"))
        found = yield from _measured(preset, model, folder, terms.judged)
        _show(model, folder / CLIPS)
        with replacing(folder / REPORT) as part:
            part.write_text(found.to_json() + "\n")
    return entry_of(preset, out)


def _trained(preset: str, terms: Terms, out: Path) -> Iterator[Prepared | Stepped | Shown | Note]:
    for event in run_of(recipe_of(preset, terms), out / preset, out).events():
        if not isinstance(event, Finished):
            yield event


def _measured(preset: str, model: Model, folder: Path, judged: int) -> Generator[News, None, Report]:
    for item in suite.evaluate(model, folder / "model", judged):
        if isinstance(item, Report):
            return item
        yield Measured(preset, item)
    raise AssertionError("unreachable: an evaluation ends with its report")


def _show(model: Model, folder: Path) -> None:
    """Write a clip of each prompt, the i-th with the random seed i."""
    folder.mkdir(exist_ok=True)
    made = fill(text_canvases(PROMPTS, model.spec), model).frames
    for number, clip in enumerate(made):
        path = folder / f"{number}.mp4"
        mark.save([Chunk(clip, 0)], sheet_claim(model.spec), path, model.spec.fps)


def entry_of(preset: str, out: Path) -> Entry:
    """An entry that was measured before.

    Raises:
        DataError: its report is damaged.
    """
    path = out / preset / REPORT
    try:
        report = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged: remove it to measure {preset} again.") from error
    return Entry(preset, report, tuple(sorted((out / preset / CLIPS).glob("*.mp4"))))
