"""`python -m benchmarks.steps`: what do few steps cost in quality, and what do they save in time?"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import kineograph
from benchmarks.command import run
from benchmarks.timing import Effort, in_turn
from kineograph import catalog
from kineograph.errors import RequestError
from kineograph.evaluation import cost
from kineograph.evaluation.adherence import CELLS, Cell, captions_of, judge, shares
from kineograph.evaluation.figures import Figure
from kineograph.evaluation.making import fill, text_canvases
from kineograph.evaluation.report import table
from kineograph.media.atomic import replacing
from kineograph.models.family import Model
from kineograph.sampling.solvers import evaluations

BATCH = 16
MANY = 24  # steps
SHOWN = tuple(cell for cell in CELLS if not cell.held_out and cell.objects in (1, 2))
TIMED = Effort(least=5, most=15, seconds=20.0, matrix=256)
LEAST = 4  # steps
CLOSE, FASTER = 0.03, 5.0  # the aims: how far below the many steps, and how many times as fast

Ways = dict[str, Model]


@dataclass(frozen=True)
class Way:
    """A way to sample: its setting, passes through the network and median seconds for one clip, and by cell
    and attribute the share of clips that show it right."""

    name: str
    setting: str
    passes: int
    seconds: float
    shares: Mapping[str, Mapping[str, Figure]]


def ways_of(model: Model) -> Ways:
    """The model's own steps, or half of them if they are many; many even ones of second order, Heun's; and
    fewer still.

    Raises:
        RequestError: the model takes too few steps to compare with fewer.
    """
    own = model.spec.sampling
    if own.steps < LEAST:
        raise RequestError(f"{model.spec.name} takes {own.steps} steps: there are too few to leave out.")
    few = own.steps if own.steps < MANY else own.steps // 2
    settings = (
        replace(own, steps=few),
        replace(own, steps=max(MANY, own.steps), solver="heun", shift=1.0),
        replace(own, steps=few * 2 // 3),
    )
    return {f"{setting.steps} steps": model.at(setting) for setting in settings}


def measured(ways: Ways, count: int, cells: Sequence[Cell] = SHOWN, effort: Effort = TIMED) -> Iterator[Way]:
    """Each way with the same prompts and noise; for the seconds they take turns."""
    prompts = captions_of(cells[0].scenes(1))
    jobs = {name: partial(fill, text_canvases(prompts, model.spec), model) for name, model in ways.items()}
    spent = in_turn(jobs, effort)
    for name, model in ways.items():
        found = {cell.name: _shares(cell, count, model, name) for cell in cells}
        yield Way(name, str(model.spec.sampling), _passes(model), statistics.median(spent[name]), found)


def _passes(model: Model) -> int:
    """With guidance, a step asks the network twice, with the prompt and without."""
    sampling = model.spec.sampling
    return evaluations(sampling.solver, sampling.steps) * (1 if sampling.guidance == 1 else 2)


def _shares(cell: Cell, count: int, model: Model, name: str) -> Mapping[str, Figure]:
    captions = captions_of(cell.scenes(count), cell.world)
    verdicts = []
    for start in range(0, count, BATCH):
        part = captions[start : start + BATCH]
        made = fill(text_canvases(part, model.spec), model, seed=start).frames
        verdicts += judge(part, made, model.spec.fps, cell.world)
        print(f"{name}: {cell.name}, {len(verdicts)} of {count}", file=sys.stderr, flush=True)
    return shares(verdicts)


def page(ways: list[Way], count: int) -> str:
    """The figures as a page in Markdown."""
    machine = cost.machine()
    few, many, _ = ways
    below = [
        many.shares[cell][name].value - figure.value
        for cell, figures in few.shares.items()
        for name, figure in figures.items()
    ]
    return f"""# Few steps beside many

    python -m benchmarks.steps --clips {count} --report docs/steps.md

printed this page with kineograph {kineograph.__version__} on {machine.processor}, {machine.cores} cores, \
{machine.precision}.

One set of weights, the same prompts and the same noise. Seconds are for a whole clip, decoder included,
in turns. Shares are of {count} clips of each kind of scenes, by detectors; they vary by some points from
chance alone ({_chance(few)} points in the widest 95% interval).

{table(("", *[way.name for way in ways]), list(_costs(ways)))}

{few.name} are {many.seconds / few.seconds:.1f} times as fast as {many.name} (aim: {FASTER:g} times), with \
{many.passes / few.passes:.1f} times fewer passes through the network.
Of {len(below)} shares, {sum(loss <= CLOSE + 1e-9 for loss in below)} are at most {CLOSE:.0%} below those of \
{many.name} (the aim for all); the worst is {max(below):.0%} below.
On average they are {_apart(statistics.mean(below))}.

{table(("", *[way.name for way in ways]), list(_rows(ways)))}
"""


def _apart(below: float) -> str:
    return f"{abs(below):.1%} {'below' if below > 0 else 'above'}"


def _chance(way: Way) -> str:
    figures = [figure for cell in way.shares.values() for figure in cell.values()]
    return f"{max((figure.high - figure.low) / 2 for figure in figures) * 100:.0f}"


def _costs(ways: list[Way]) -> Iterator[list[str]]:
    yield ["setting", *[way.setting for way in ways]]
    yield ["passes through the network", *[str(way.passes) for way in ways]]
    yield ["seconds a clip, median", *[f"{way.seconds:.3f}" for way in ways]]


def _rows(ways: list[Way]) -> Iterator[list[str]]:
    for cell, figures in ways[0].shares.items():
        for name in figures:
            yield [f"{cell}: {name}", *[f"{way.shares[cell][name].value:.0%}" for way in ways]]


def main(*, clips: int = 64, model: str = "playground", report: Path | None = None) -> None:
    """Sample a model in three ways, and tell how right its clips are and how long they take.

    Parameters
    ----------
    clips
        How many of each kind of scenes.
    model
        The model, a name or a folder.
    report
        Write the page into this file too.
    """
    if clips < 1:
        raise RequestError(f"clips must be a whole number from 1, not {clips}.")
    ways = ways_of(catalog.load(model))
    with ExitStack() as stack:
        part = report and stack.enter_context(replacing(report))
        text = page(list(measured(ways, clips)), clips)
        if part is not None:
            part.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run(main)
