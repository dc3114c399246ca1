"""The whole evaluation of a model, in one pass that tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

import kineograph
from kineograph.evaluation import facts as training_facts
from kineograph.evaluation.adherence import CELLS, SEED, Cell, Judged, adherence, judge_cell
from kineograph.evaluation.cost import cost
from kineograph.evaluation.editing import OPTIONS, Editing, edit_attribute
from kineograph.evaluation.facts import Facts
from kineograph.evaluation.filling import TASKS, Filling, fill_task, footage, reconstruction
from kineograph.evaluation.frechet import COMPARED, Fidelity, fidelity
from kineograph.evaluation.making import fill, text_canvases
from kineograph.evaluation.memorisation import Memorisation, Points, memorisation, training_points
from kineograph.evaluation.report import Report
from kineograph.models.family import Model
from kineograph.video import Video
from kineograph.worlds.scene import Scene

T = TypeVar("T")

CLIPS = 256  # of each cell of the adherence
MOST_FILLED = 64  # clips of each task of filling
MOST_EDITED = 32  # clips of each attribute to change, each of which costs as much as two
BATCH = 16
PER_RENDERED = 64  # rendering as many clips takes about as long as making one

SHEET_PROMPTS = (
    "a small red ball bounces over sand at sunset",
    "a large yellow star rises over water at night",
    "a medium blue box moves left over snow by day",
    "a large white ring circles over grass at sunset",
    "a large red car drives right on the beach by day",
    "a medium purple ball rolls left over grass by day",
    "a large green car stays still in the snow at sunset",
    "a small white star falls and a large blue ring moves right over water at night",
)


@dataclass(frozen=True)
class Progress:
    """`done` of `total` clips' worth of work; `part` says what is being done."""

    part: str
    done: float
    total: float


def evaluate(
    model: Model, folder: Path, clips: int = CLIPS, batch: int = BATCH
) -> Iterator[Progress | Report]:
    """Measure all that can be measured of a model; the last item is the `Report`. Refuses at the call.

    Args:
        model: what to evaluate, at its own setting.
        folder: where its weights and, for the check of memorisation, its `training.json` lie.
        clips: to make for each cell of the adherence; for each task of filling as many, but 64 at most,
            and for each attribute to change 32 at most.
        batch: clips made at once; of no influence on the figures but for rounding.

    Raises:
        ModelError: its `training.json` is damaged.
    """
    return _measure(model, folder, training_facts.read(folder), clips, batch)


def _measure(
    model: Model, folder: Path, facts: Facts | None, clips: int, batch: int
) -> Iterator[Progress | Report]:
    started = time.monotonic()
    tasks = [name for name in TASKS if name in model.spec.abilities]
    cells = CELLS if "text" in model.spec.abilities else ()
    filled, rendered = min(clips, MOST_FILLED), facts.clips if facts and cells else 0
    seen = [cell for cell in cells if not cell.held_out]
    shown = COMPARED * len(seen) * clips  # rendered to compare with
    edited = tuple(OPTIONS) if "edit" in model.spec.abilities and cells else ()
    changed = min(clips, MOST_EDITED)
    drawn = (rendered + shown) / PER_RENDERED
    watch = _Watch(len(cells) * clips + len(tasks) * filled + 2 * len(edited) * changed + drawn)

    price = cost(model, folder)
    judged: dict[Cell, Judged] = {}
    for cell in cells:
        judged[cell] = yield from watch.over(cell.name, judge_cell(cell, clips, model, batch))
    truth = footage(filled, model, batch)
    filling: list[Filling] = []
    for name in tasks:
        filling.append((yield from watch.over(name, fill_task(name, truth, model, batch))))
    editing: list[Editing] = []
    for name in edited:
        work = edit_attribute(name, changed, model, batch)
        editing.append((yield from watch.over(f"edit {name}", work, worth=2)))
    likeness: Fidelity | None = None
    if seen:
        made = np.concatenate([points for cell in seen for points in judged[cell].made_features])
        compared = fidelity(made, _scenes(seen, clips, SEED), _scenes(seen, clips, SEED + 1), model.spec)
        likeness = yield from watch.over("fidelity", compared, worth=1 / PER_RENDERED)
    memory: Memorisation | None = None
    if rendered and facts:
        points = training_points(facts.clips, facts.seed, model.spec)
        training = yield from watch.over("memorisation", points, worth=1 / PER_RENDERED)
        memory = _memorisation([judged[cell] for cell in seen], training)
    yield Report(
        spec=model.spec,
        version=kineograph.__version__,
        scene_seed=SEED,
        cost=price,
        adherence=tuple(adherence(cell, found) for cell, found in judged.items()),
        tokenizer=reconstruction(truth),
        filling=tuple(filling),
        editing=tuple(editing),
        fidelity=likeness,
        memorisation=memory,
        facts=facts,
        minutes=round((time.monotonic() - started) / 60, 1),
    )


def _scenes(cells: Sequence[Cell], count: int, seed: int) -> list[Scene]:
    return [scene for cell in cells for scene in cell.scenes(count, seed)]


def _memorisation(judged: Sequence[Judged], training: Points) -> Memorisation:
    made = np.concatenate([points for found in judged for points in found.made_points])
    unseen = np.concatenate([points for found in judged for points in found.true_points])
    return memorisation(made, unseen, training)


@dataclass
class _Watch:
    """Counts the work done, in clips, over all parts."""

    total: float
    done: float = 0.0

    def over(
        self, part: str, work: Generator[int, None, T], worth: float = 1.0
    ) -> Generator[Progress, None, T]:
        """Tell of every step of `work`, which yields how many clips it has just done; return its result."""
        while True:
            try:
                self.done += worth * next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            yield Progress(part, self.done, self.total)


def sheet(model: Model) -> list[Video]:
    """A clip of each of `SHEET_PROMPTS`, the i-th with the random seed i."""
    made = fill(text_canvases(SHEET_PROMPTS, model.spec), model)
    return [Video(clip, model.spec.fps) for clip in made.frames]
