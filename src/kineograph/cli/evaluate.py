"""`kineo evaluate`: measure a model."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kineograph import catalog
from kineograph.cli.output import say
from kineograph.errors import RequestError

if TYPE_CHECKING:
    from kineograph.evaluation.report import Report
    from kineograph.evaluation.suite import Progress

LEAST, MOST = 4, 4096  # clips of a cell
MOST_STEPS = 1000
LINES = 20  # of progress in all


def evaluate(
    name: str = "playground",
    /,
    *,
    report: Path | None = None,
    clips: int = 256,
    steps: int | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Measure how a model follows prompts and guides, how it fills canvases and changes clips, if it repeats
    its training, and what it costs.

    256 clips take about an hour on two processor cores.

    Examples:

        kineo evaluate playground

        kineo evaluate playground --clips 16 --report report

        kineo evaluate playground --clips 32 --steps 8

    Parameters
    ----------
    name
        A model's name or its folder.
    report
        A folder for the model's card, all figures as JSON, a contact sheet and learning curves.
    clips
        How many to make for each kind of scenes, 4 to 4096; more make narrower intervals. Of the full world
        there are 128 at most.
    steps
        Measure it with another number of steps than its own.
    json
        Print all figures as one JSON object instead of tables.
    """
    from kineograph.evaluation import release
    from kineograph.evaluation.report import tables
    from kineograph.evaluation.suite import evaluate as measure
    from kineograph.evaluation.suite import prompts_of_sheet, sheet

    if not LEAST <= clips <= MOST:
        raise RequestError(f"clips must be a whole number from {LEAST} to {MOST}, not {clips}.")
    if steps is not None and not 1 <= steps <= MOST_STEPS:
        raise RequestError(f"steps must be a whole number from 1 to {MOST_STEPS}, not {steps}.")
    model = catalog.load(name)
    if steps is not None:
        model = model.at(model.spec.setting(steps))
    measuring = measure(model, catalog.folder_of(name), clips)
    if report is not None:
        release.open_folder(report)
    found = _last(measuring)
    if report is not None:
        release.write(found, sheet(model), prompts_of_sheet(model.spec), report)
        say(f"wrote {release.CARD}, {release.FIGURES} and pictures into {report}")
    if json:
        print(found.to_json(), flush=True)
    elif report is None:
        print(tables(found), flush=True)


def _last(items: Iterable[Progress | Report]) -> Report:
    """The report, which comes last; what comes before is said."""
    from kineograph.evaluation.report import Report

    for item in _told(items):
        if isinstance(item, Report):
            return item
    raise AssertionError("unreachable: an evaluation ends with its report")


def _told(items: Iterable[Progress | Report]) -> Iterator[Progress | Report]:
    """Pass items on and say, at most `LINES` times, how far they are and how long is left."""
    from kineograph.evaluation.suite import Progress

    start, said = time.monotonic(), 0
    for item in items:
        if isinstance(item, Progress) and (line := int(LINES * item.done / item.total)) > said:
            said = line
            left = (time.monotonic() - start) * (item.total / item.done - 1)
            say(f"{item.done / item.total:.0%}, {item.part}; {left / 60:.1f} minutes left")
        yield item
