"""The whole evaluation of a model, in one pass that tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

import kineograph
from kineograph.evaluation import diversity, horizon, learnt
from kineograph.evaluation import facts as training_facts
from kineograph.evaluation.adherence import CELLS, SEED, Cell, Judged, adherence, judge_cell
from kineograph.evaluation.cost import cost
from kineograph.evaluation.diversity import CLIPS as DIVERSE
from kineograph.evaluation.diversity import Diversity
from kineograph.evaluation.editing import EDITS, Edit, Editing, measure_edit
from kineograph.evaluation.facts import Facts
from kineograph.evaluation.filling import (
    TASKS,
    Filling,
    Footage,
    fill_task,
    footage,
    footage_of,
    reconstruction,
)
from kineograph.evaluation.frechet import COMPARED, Features, Fidelity, features, fidelity, fidelity_to
from kineograph.evaluation.guiding import GROUNDS, Control, Ground, measure_control, ways_of
from kineograph.evaluation.horizon import Horizon
from kineograph.evaluation.making import fill, text_canvases
from kineograph.evaluation.memorisation import Memorisation, Points, memorisation, training_points
from kineograph.evaluation.own import Own
from kineograph.evaluation.report import Report
from kineograph.models.family import Model, Spec
from kineograph.text.vocabulary import Vocabulary
from kineograph.video import Video
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import FULL, SMALL, World

T = TypeVar("T")

CLIPS = 256  # of each cell of the adherence
MOST_FILLED = 64  # clips of each task of filling
MOST_CHANGED = 32  # clips of each edit
MOST_GUIDED = 32  # clips of each kind of guide
BATCH = 16
# How much work there is, in clips made.
PER_RENDERED = 64  # rendering as many clips takes about as long as making one
READ = 2  # to read one with the detectors of the full world
JUDGED = 3  # times that a clip is read: as made, rebuilt, and as it was or should be
AHEAD = 3  # to continue a clip by so many windows
EDITED = 2  # to change a clip, beside reading it

SMALL_PROMPTS = (
    "a small red ball bounces over sand at sunset",
    "a large yellow star rises over water at night",
    "a medium blue box moves left over snow by day",
    "a large white ring circles over grass at sunset",
    "a large red car drives right on the beach by day",
    "a medium purple ball rolls left over grass by day",
    "a large green car stays still in the snow at sunset",
    "a small white star falls and a large blue ring moves right over water at night",
)
FULL_PROMPTS = (
    "a large pink robot walks right on the road at dawn",
    "a small orange bird flies up over grass by day in the rain",
    "a medium black ball bounces over snow at sunset in fog",
    "a large green box stays still on the beach by day in neon style",
    "a medium red star gets bigger over grass by day as a cartoon",
    "a large yellow car drives left on the road at night while the camera pans to the right",
)
SHEET_PROMPTS = (*SMALL_PROMPTS, *FULL_PROMPTS)


@dataclass(frozen=True)
class Progress:
    """`done` of `total` clips' worth of work; `part` says what is being done."""

    part: str
    done: float
    total: float


def evaluate(
    model: Model, folder: Path, clips: int = CLIPS, batch: int = BATCH, own: Own | None = None
) -> Iterator[Progress | Report]:
    """Measure all that can be measured of a model; the last item is the `Report`. Refuses at the call.

    Args:
        model: what to evaluate, at its own setting.
        folder: where its weights and, for the check of memorisation, its `training.json` lie.
        clips: to make for each cell of the adherence, but 128 at most of the full world; for each task of
            filling 64 at most, and for each edit and each kind of guide 32 at most.
        batch: clips made at once; of no influence on the figures but for rounding.
        own: clips to measure it by in place of the world's; then what needs detectors is left out.

    Raises:
        ModelError: its `training.json` is damaged.
    """
    return _measure(model, folder, training_facts.read(folder), clips, batch, own)


@dataclass(frozen=True)
class _Plan:
    """What is measured of a model, `clips` of each cell; `learnt` clips of its training are drawn again;
    `own` are what it is measured by in place of the world's."""

    clips: int
    learnt: int
    cells: Sequence[Cell]
    tasks: Sequence[str]
    edits: Sequence[Edit]
    grounds: Sequence[Ground]
    abilities: frozenset[str]
    own: Own | None

    @staticmethod
    def of(spec: Spec, facts: Facts | None, clips: int, own: Own | None) -> _Plan:
        able, text = spec.abilities, "text" in spec.abilities
        known = _known_worlds(facts) if own is None else ()
        learnt_last = known[-1:]  # the largest, whose clips have told it what guides mean
        return _Plan(
            clips=clips if own is None else min(clips, len(own.clips)),
            learnt=facts.clips if facts and text and own is None else 0,
            cells=[cell for cell in CELLS if text and cell.world in known],
            tasks=[name for name in TASKS if name in able],
            edits=[
                edit
                for edit in EDITS
                if text and edit.needs <= able and edit.world in (learnt_last if edit.guides else known)
            ],
            grounds=[one for one in GROUNDS if text and one.world in learnt_last and ways_of(one, able)],
            abilities=able,
            own=own and own.first(clips),
        )

    @property
    def seen(self) -> list[Cell]:
        """The cells of what training shows."""
        return [cell for cell in self.cells if not cell.held_out]

    def scenes(self, seed: int) -> list[Scene]:
        return [scene for cell in self.seen for scene in cell.scenes(cell.clips(self.clips), seed)]

    @property
    def filled(self) -> int:
        return min(self.clips, MOST_FILLED)

    @property
    def changed(self) -> int:
        return min(self.clips, MOST_CHANGED)

    @property
    def guided(self) -> int:
        return min(self.clips, MOST_GUIDED)

    @property
    def total(self) -> float:
        """The work, in clips made."""
        rendered = self.learnt + COMPARED * sum(cell.clips(self.clips) for cell in self.seen)
        return (
            sum(cell.clips(self.clips) * _worth(cell.world) for cell in self.cells)
            + len(self.tasks) * self.filled
            + ("prediction" in self.abilities) * AHEAD * self.filled
            + ("text" in self.abilities) * (DIVERSE + (0 if self.own is None else self.clips))
            + sum(self.changed * _worth(edit.world, EDITED) for edit in self.edits)
            + sum(self.guided * ways_of(ground, self.abilities) * (1 + READ) for ground in self.grounds)
            + rendered / PER_RENDERED
        )


def _known_worlds(facts: Facts | None) -> tuple[World, ...]:
    return (SMALL,) if facts and facts.world == SMALL.name else (SMALL, FULL)


def _worth(world: World, made: int = 1) -> int:
    """How much work it is to make a clip of a world and to judge it."""
    return made if world == SMALL else made + JUDGED * READ


def _measure(
    model: Model, folder: Path, facts: Facts | None, clips: int, batch: int, own: Own | None
) -> Iterator[Progress | Report]:
    started = time.monotonic()
    plan = _Plan.of(model.spec, facts, clips, own)
    watch = _Watch(plan.total)
    price = cost(model, folder)
    judged = yield from _judged(plan, model, batch, watch)
    truth = _footage(plan, model, batch)
    filling = yield from _filling(plan, truth, model, batch, watch)
    ahead = (yield from _horizon(plan, model, batch, watch)) if "prediction" in plan.tasks else None
    diverse = (yield from _diversity(plan, model, watch)) if "text" in plan.abilities else None
    editing = yield from _editing(plan, model, batch, watch)
    control = yield from _control(plan, model, batch, watch)
    likeness = yield from _likeness(plan, judged, model, batch, watch)
    memory = (yield from _memory(plan, judged, facts, model.spec, watch)) if facts and plan.learnt else None
    yield Report(
        spec=model.spec,
        version=kineograph.__version__,
        scene_seed=SEED,
        cost=price,
        adherence=tuple(adherence(cell, found) for cell, found in judged.items()),
        tokenizer=reconstruction(truth),
        filling=tuple(filling),
        horizon=ahead,
        diversity=diverse,
        editing=tuple(editing),
        control=tuple(control),
        fidelity=likeness,
        memorisation=memory,
        facts=facts,
        minutes=round((time.monotonic() - started) / 60, 1),
        learnt=learnt.read(folder),
    )


# The parts: each tells how far it is and returns what it found

Telling = Generator[Progress, None, T]


def _judged(plan: _Plan, model: Model, batch: int, watch: _Watch) -> Telling[dict[Cell, Judged]]:
    judged: dict[Cell, Judged] = {}
    for cell in plan.cells:
        work = judge_cell(cell, cell.clips(plan.clips), model, batch)
        judged[cell] = yield from watch.over(cell.name, work, _worth(cell.world))
    return judged


def _footage(plan: _Plan, model: Model, batch: int) -> Footage:
    if plan.own is None:
        return footage(plan.filled, model, batch)
    own = plan.own.first(plan.filled)
    clips = own.clips[:, : model.spec.window]
    return footage_of(clips, own.captions, np.zeros(clips.shape[:4], bool), model, batch)


def _filling(plan: _Plan, truth: Footage, model: Model, batch: int, watch: _Watch) -> Telling[list[Filling]]:
    found: list[Filling] = []
    for name in plan.tasks:
        found.append((yield from watch.over(name, fill_task(name, truth, model, batch))))
    return found


def _horizon(plan: _Plan, model: Model, batch: int, watch: _Watch) -> Telling[Horizon]:
    own = plan.own and plan.own.first(plan.filled)
    true = horizon.rendered(plan.filled, model.spec) if own is None else (own.clips, own.captions)
    return (yield from watch.over("horizon", horizon.measure_horizon(*true, model, batch), AHEAD))


def _diversity(plan: _Plan, model: Model, watch: _Watch) -> Telling[Diversity | None]:
    """None where there are too few prompts to tell."""
    own = plan.own and plan.own.distinct(diversity.PROMPTS)
    if own is not None and len(own.clips) == 1:
        return None
    true = (
        diversity.rendered(model.spec) if own is None else (own.clips[:, : model.spec.window], own.captions)
    )
    return (yield from watch.over("diversity", diversity.measure_diversity(*true, model)))


def _editing(plan: _Plan, model: Model, batch: int, watch: _Watch) -> Telling[list[Editing]]:
    found: list[Editing] = []
    for edit in plan.edits:
        work = measure_edit(edit, plan.changed, model, batch)
        found.append((yield from watch.over(f"edit: {edit.name}", work, _worth(edit.world, EDITED))))
    return found


def _control(plan: _Plan, model: Model, batch: int, watch: _Watch) -> Telling[list[Control]]:
    found: list[Control] = []
    for ground in plan.grounds:
        work = measure_control(ground, plan.guided, model, batch)
        found += yield from watch.over(f"guides: {ground.name}", work, 1 + READ)
    return found


def _likeness(
    plan: _Plan, judged: Mapping[Cell, Judged], model: Model, batch: int, watch: _Watch
) -> Telling[Fidelity | None]:
    """How like true clips those are that were made for what these show."""
    if plan.seen:
        return (yield from _fidelity(plan, judged, model.spec, watch))
    halves = plan.own and plan.own.halves
    if not halves or "text" not in plan.abilities:
        return None
    true, others = halves
    made = yield from watch.over("fidelity", _features_made(true.captions, model, batch))
    window = model.spec.window
    return fidelity_to(made, true.clips[:, :window], others.clips[:, :window])


def _features_made(captions: Sequence[str], model: Model, batch: int) -> Generator[int, None, Features]:
    """The features of a clip of each caption; yields how many it has just made."""
    found = []
    for start in range(0, len(captions), batch):
        canvases = text_canvases(captions[start : start + batch], model.spec)
        found.append(features(fill(canvases, model, seed=start).frames))
        yield len(canvases)
    return np.concatenate(found)


def _fidelity(plan: _Plan, judged: Mapping[Cell, Judged], spec: Spec, watch: _Watch) -> Telling[Fidelity]:
    made = np.concatenate([points for cell in plan.seen for points in judged[cell].made_features])
    compared = fidelity(made, plan.scenes(SEED), plan.scenes(SEED + 1), spec)
    return (yield from watch.over("fidelity", compared, 1 / PER_RENDERED))


def _memory(
    plan: _Plan, judged: Mapping[Cell, Judged], facts: Facts, spec: Spec, watch: _Watch
) -> Telling[Memorisation]:
    points = training_points(facts, spec)
    training = yield from watch.over("memorisation", points, 1 / PER_RENDERED)
    return _memorisation([judged[cell] for cell in plan.seen], training)


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


def prompts_of_sheet(spec: Spec) -> tuple[str, ...]:
    """Those of `SHEET_PROMPTS` of which the model knows every word, all if it knows none."""
    vocabulary = Vocabulary(spec.vocabulary)
    known = tuple(prompt for prompt in SHEET_PROMPTS if not vocabulary.unknown(prompt))
    return known or SHEET_PROMPTS


def sheet(model: Model) -> list[Video]:
    """A clip of each of the sheet's prompts, the i-th with the random seed i."""
    made = fill(text_canvases(prompts_of_sheet(model.spec), model.spec), model)
    return [Video(clip, model.spec.fps) for clip in made.frames]
