"""A contest: every model is trained on the same clips for the same time, and measured by the same ruler.

OUT/contest.json     the terms
OUT/clips  latents   what all learn from
OUT/held             clips of somebody's own that none learns from
OUT/PRESET           a run each, its card and report, and its clips of the prompts that all are shown by
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kineograph import catalog
from kineograph.config import from_dict
from kineograph.data import sources, world
from kineograph.data.folder import Folder
from kineograph.data.shards import INDEX, Shards
from kineograph.errors import DataError, RequestError
from kineograph.evaluation import cost, release, suite
from kineograph.evaluation.making import fill, text_canvases
from kineograph.evaluation.own import Own
from kineograph.evaluation.report import Report
from kineograph.lock import locked
from kineograph.media.atomic import replacing
from kineograph.models.family import Model
from kineograph.provenance import mark
from kineograph.provenance.claim import sheet_claim
from kineograph.training import datasheets, recipes
from kineograph.training.events import Finished, Note, Prepared, Shown, Stepped
from kineograph.training.family_recipe import FamilyRecipe
from kineograph.training.presets import PRESETS
from kineograph.training.recipe import WORLD, with_minutes
from kineograph.training.run import spread, written
from kineograph.training.runs import run_of
from kineograph.video import Chunk, Video
from kineograph.worlds.world import FULL, SMALL

TERMS, CLIPS = "contest.json", "clips"
LEARNT, HELD_OUT = "clips", "held"  # clips of somebody's own
HELD = 5  # of somebody's own clips every fifth is kept from training
PROMPTS = {SMALL.name: suite.SMALL_PROMPTS[:6], FULL.name: suite.FULL_PROMPTS[:6]}
ENTRANTS = {
    name: recipe.kind.name for name, preset in PRESETS.items() if isinstance(recipe := preset(), FamilyRecipe)
}
MAIN = tuple({family: name for name, family in reversed(ENTRANTS.items())}.values())[::-1]


@dataclass(frozen=True)
class Terms:
    """What all are given: minutes of training, and clips of a world, of which `clips` are kept as pixels and
    `latents`, these among them, as latents, or the clips in the folder `data`. `judged` clips are made for
    each kind of scenes."""

    presets: tuple[str, ...] = MAIN
    minutes: float = 12.0
    world: str = "small"
    clips: int = 1024
    latents: int = 8192
    seed: int = 1
    judged: int = 64
    data: str = ""
    allow_unlicensed: bool = False

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
    """A model that was trained and measured: its report as JSON has it, its clips of the prompts, and the
    world that it learnt, if it was one."""

    preset: str
    report: dict[str, Any]
    clips: tuple[Path, ...]
    prompts: tuple[str, ...]
    world: str = SMALL.name


def recipe_of(preset: str, terms: Terms) -> FamilyRecipe:
    """The recipe that a model is trained by under these terms.

    Raises:
        RequestError: there is no such preset, or it is of no small family.
    """
    recipe = entrant(preset)
    alike = {"world": terms.world, "clips": terms.clips, "latents": terms.latents, "seed": terms.seed}
    alike["allow_unlicensed"] = terms.allow_unlicensed
    timed = with_minutes(replace(recipe, data=terms.data or WORLD), terms.minutes)
    assert isinstance(timed, FamilyRecipe)
    return replace(timed, sheets=0, **alike)  # type: ignore[arg-type]


def entrant(preset: str) -> FamilyRecipe:
    """The recipe of a small family.

    Raises:
        RequestError: there is no such preset, or it is of no small family.
    """
    recipe = recipes.named(preset)
    if not isinstance(recipe, FamilyRecipe):
        raise RequestError(f"{preset} can't be compared on equal terms: choose from {', '.join(ENTRANTS)}.")
    return recipe


def entrants(names: Sequence[str]) -> tuple[str, ...]:
    """The presets of these names, each once; a family's name stands for its main one. Without names, the main
    one of each family."""
    main = {ENTRANTS[preset].removeprefix("small "): preset for preset in MAIN}
    found = [name if name in ENTRANTS else main.get(name, name) for name in names]
    return tuple(dict.fromkeys(found)) or MAIN


def compare(terms: Terms, out: Path) -> Generator[News, None, list[Entry]]:
    """Train and measure all, one after another; what is done is not done again. Refuses at the first step.

    Raises:
        RequestError: the terms can't be met, or the folder holds a contest of other terms.
        DataError: what lies in the folder is damaged.
    """
    for preset in terms.presets:
        recipes.check(recipe_of(preset, terms))
    folders = folders_of(terms)
    with locked(out, "comparison"):
        _keep(terms, out)
        for name, folder in folders.items():
            yield from _read_clips(name, folder, out)
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


def folders_of(terms: Terms) -> dict[str, Folder]:
    """The clips that all learn from and those that none does, where they are somebody's own.

    Raises:
        DataError: there are too few, or they can't be read.
    """
    if not terms.data:
        return {}
    spec, folder = recipe_of(terms.presets[0], terms), Path(terms.data)
    length = Own.length_of(spec.frames)
    learnt, held = (Folder(folder, frames, spec.size, world.FPS) for frames in (spec.frames, length))
    held.files = learnt.files[HELD - 1 :: HELD] or learnt.files[1:]
    learnt.files = [path for path in learnt.files if path not in held.files]
    if not held.files:
        raise DataError(f"{folder} holds one clip: give two at least, as one of them is kept from training.")
    if not terms.allow_unlicensed:
        sources.check(folder, [path.name for path in sorted(learnt.files + held.files)])
    return {LEARNT: learnt, HELD_OUT: held}


def _read_clips(name: str, folder: Folder, out: Path) -> Iterator[Trained]:
    if not (out / name / INDEX).exists():
        for event in written("Reading clips", out / name, folder.parts(), folder.fps, None):
            yield Trained(name, event)
        sheet = datasheets.describe_folder(Shards(out / name), folder)
        for note in (*folder.notes(), *datasheets.notes_on(sheet)):
            yield Trained(name, Note(note))


def own_of(terms: Terms, out: Path) -> Own | None:
    """Clips that none of the models has learnt from, evenly from all of them; None on a world.

    Raises:
        DataError: they are damaged.
    """
    if not terms.data:
        return None
    held = Shards(out / HELD_OUT)
    chosen = spread(range(len(held)), terms.judged)
    frames = torch.stack([held.clip(index, "frames") for index in chosen]).numpy()
    return Own(frames, [held.captions[index] for index in chosen])


def _entered(preset: str, terms: Terms, out: Path) -> Generator[News, None, Entry]:
    """Train a model and measure it."""
    folder = out / preset
    for event in _trained(preset, terms, out):
        yield Trained(preset, event)
    own = own_of(terms, out)
    found_of_it = [release.FIGURES, *([release.CARD] if own is None else [])]  # in the order of writing
    if not all((folder / name).exists() for name in found_of_it):
        model = catalog.load(str(folder / "model"))
        found = yield from _measured(preset, model, folder, terms.judged, own)
        alone = replace(found, cost=cost.cost_alone(folder / "model"))
        _keep_report(alone, model, prompts_of(own, terms), folder, card=own is None)
    return entry_of(preset, out, prompts_of(own, terms), terms.world)


def _keep_report(report: Report, model: Model, prompts: Sequence[str], folder: Path, *, card: bool) -> None:
    """Write the clips that the model is shown by, the i-th with the random seed i, and its report; with a
    card where it was measured on a world."""
    made = fill(text_canvases(prompts, model.spec), model).frames
    videos = [Video(clip, model.spec.fps) for clip in made]
    (folder / CLIPS).mkdir(exist_ok=True)
    for number, video in enumerate(videos):
        path = folder / CLIPS / f"{number}.mp4"
        mark.save([Chunk(video.frames, 0)], sheet_claim(model.spec), path, model.spec.fps)
    if card:
        release.write(report, videos, prompts, folder)
    else:
        with replacing(folder / release.FIGURES) as part:
            part.write_text(report.to_json() + "\n")


def prompts_of(own: Own | None, terms: Terms) -> tuple[str, ...]:
    """What clips are shown of: the world's, or what somebody's own clips are called."""
    prompts = PROMPTS[terms.world]
    return prompts if own is None else tuple(own.distinct(len(prompts)).captions)


def _trained(preset: str, terms: Terms, out: Path) -> Iterator[Prepared | Stepped | Shown | Note]:
    for event in run_of(recipe_of(preset, terms), out / preset, out).events():
        if not isinstance(event, Finished):
            yield event


def _measured(
    preset: str, model: Model, folder: Path, judged: int, own: Own | None
) -> Generator[News, None, Report]:
    for item in suite.evaluate(model, folder / "model", judged, own=own):
        if isinstance(item, Report):
            return item
        yield Measured(preset, item)
    raise AssertionError("unreachable: an evaluation ends with its report")


def entry_of(preset: str, out: Path, prompts: tuple[str, ...], world: str) -> Entry:
    """An entry that was measured before.

    Raises:
        DataError: its report is damaged.
    """
    path = out / preset / release.FIGURES
    try:
        report = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged: remove it to measure {preset} again.") from error
    return Entry(preset, report, tuple(sorted((out / preset / CLIPS).glob("*.mp4"))), prompts, world)
