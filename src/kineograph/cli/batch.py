"""`kineo batch`: a clip for each row of a table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from kineograph.cli.generate import model_of, size_of
from kineograph.cli.marks import UNSAID, Marks, marking_of
from kineograph.cli.output import print_json, say
from kineograph.errors import RequestError
from kineograph.request import Request

if TYPE_CHECKING:
    from kineograph.batch.orders import Order, Outcome, Summary
    from kineograph.cli.watch import News
    from kineograph.provenance.marking import Marking

MOST_WORKERS = 256
MOST_SHOWN = 8  # rows that failed alike


def batch(
    jobs: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    template: str | None = None,
    workers: int = 1,
    model: str | None = None,
    fit: Literal["crop", "pad"] | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    fps: float | None = None,
    size: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int | None = None,
    format_: Annotated[Literal["mp4", "webm", "gif"], Parameter(name="--format")] = "mp4",
    json: Annotated[bool, Parameter(negative=())] = False,
    marks: Marks = UNSAID,
) -> None:
    """Make a clip for each row of a table, and go on where it was stopped.

    The same command again makes what isn't there yet, or has changed. Rows that can't be made are told at the
    end and don't stop the others.

    Examples:

        kineo batch jobs.jsonl -o clips

        kineo batch people.csv --template "a {size} {color} ball rolls over {ground}" -o clips

        kineo batch jobs.csv --seconds 4 --workers 2 -o clips

    Parameters
    ----------
    jobs
        The table, .csv or .jsonl. Its columns may be prompt, name, and those of a request: seed, image,
        video, mask, extend and so on, over the options given here. Paths start from the table's folder.
    out
        The folder to make the clips in.
    template
        The prompt of rows without one of their own; {column} stands for what a row has there.
    workers
        How many processes make clips, each with its share of the processor's cores.
    model
        A model's name or its folder; playground unless given.
    fit
        How other shapes are fitted: crop (the default) fills the frame and cuts the rest off, pad keeps all.
    frames
        The length in frames; of rows with a length of their own or a video, that counts.
    seconds
        The length in seconds, likewise.
    fps
        Frames per second; the model's own unless given.
    size
        WIDTHxHEIGHT in pixels; the model's own unless given, which is its largest.
    steps
        Network evaluations; more take longer.
    guidance
        How strongly prompt and guides pull, less where more pixels are known; 1 is no more than the model has
        learnt, and takes half as long.
    seed
        The random seed, 0 unless given: the same seed makes the same clip.
    format_
        The kind of file.
    json
        Print the summary as a JSON object.
    """
    given = {
        "model": model_of(model) if model is not None else None,
        "fit": fit,
        "frames": frames,
        "seconds": seconds,
        "fps": fps,
        "size": size_of(size) if size is not None else None,
        "steps": steps,
        "guidance": guidance,
        "seed": seed,
    }
    common: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    Request("any", **common)  # refused before the table is read
    if not 1 <= workers <= MOST_WORKERS:
        raise RequestError(f"workers must be a whole number from 1 to {MOST_WORKERS}, not {workers}.")
    marking = marking_of(marks)
    rows = _planned(jobs, template, common, f".{format_}", marking, marks.consent)
    summary = _follow(rows, out, workers)
    if json:
        print_json(asdict(summary))
    else:
        print(_table(summary), flush=True)
    if summary.failed:
        again = "mend them and run the same command again"
        raise RequestError(f"{summary.failed} of {len(rows)} rows could not be made: {again}.")


def _planned(
    jobs: Path,
    template: str | None,
    common: dict[str, Any],
    suffix: str,
    marking: Marking,
    consent: str | None,
) -> list[Order | Outcome]:
    from kineograph.cli.table import Plan, Template, read_rows

    prompts = None if template is None else Template(template)
    plan = Plan(prompts, common, jobs.parent, suffix, marking, consent)
    rows = read_rows(jobs)
    orders = plan.orders(rows)
    if unused := plan.unused(rows):
        say(f"note: columns that are not used: {', '.join(unused)}")
    return orders


def _follow(rows: Sequence[Order | Outcome], out: Path, workers: int) -> Summary:
    """Go through the batch and show it."""
    from kineograph.batch.orders import Summary
    from kineograph.batch.run import run
    from kineograph.cli.watch import shown

    try:
        with shown() as show:
            teller = Teller(len(rows), show)
            with closing(run(rows, out, workers, teller.share)) as outcomes:
                for outcome in outcomes:
                    if isinstance(outcome, Summary):
                        return outcome
                    teller.tell(outcome)
    except KeyboardInterrupt:
        say("Stopped; what is finished is kept, and the same command again goes on.")
        raise
    raise AssertionError("unreachable: a batch ends with its summary")


class Teller:
    """Tells how far a batch is, and what to know of its rows, each thing once."""

    def __init__(self, total: int, show: Callable[[News], None]) -> None:
        self._total, self._show = total, show
        self._start = time.monotonic()
        self._shares: dict[int, float] = {}
        self._statuses: Counter[str] = Counter()
        self._said: set[str] = set()

    def share(self, row: int, share: float) -> None:
        """Hear that a share of a row's clip, from 0 to 1, is done."""
        self._shares[row] = share
        if share < 1:  # its outcome follows
            self._show(self._news())

    def tell(self, outcome: Outcome) -> None:
        """Hear what came of a row."""
        from kineograph.cli.watch import News

        self._shares.pop(outcome.row, None)
        self._statuses[outcome.status] += 1
        changed = ["made again, as what it is made from has changed"] * (outcome.status == "made again")
        for note in (*changed, *outcome.notes):
            if note not in self._said:
                self._said.add(note)
                self._show(News(f"row {outcome.row}: {note}"))
        self._show(self._news())

    def _news(self) -> News:
        from kineograph.cli.watch import News, clock

        came, partly = self._statuses.total(), sum(self._shares.values())
        made = self._statuses["made"] + self._statuses["made again"] + partly
        words = [f"{came} of {self._total} rows"]
        if failed := self._statuses["failed"]:
            words.append(f"{failed} failed")
        if made and came < self._total:
            left = (time.monotonic() - self._start) / made * (self._total - came - partly)
            words.append(f"{clock(left)} left")
        return News(", ".join(words), "batch", (came + partly) / self._total)


def _table(summary: Summary) -> str:
    """The summary as lines."""
    cost = f"   {summary.seconds:.1f} s, {summary.evaluations} evaluations"
    again = f", {summary.made_again} of them again" * bool(summary.made_again)
    lines = [f"made    {summary.made:6d}{again}{cost}", f"skipped {summary.skipped:6d}"]
    lines.append(f"failed  {summary.failed:6d}")
    reasons: dict[str, list[int]] = {}
    for outcome in summary.rows:
        if outcome.status == "failed":
            reasons.setdefault(outcome.reason, []).append(outcome.row)
    lines += [f"{_rows(numbers)}: {reason}" for reason, numbers in reasons.items()]
    if summary.others:
        lines.append(f"left as they are, from other tables: {', '.join(summary.others)}")
    return "\n".join(lines)


def _rows(numbers: list[int]) -> str:
    """ "row 3", "rows 3, 5", or the first few of many."""
    shown = ", ".join(map(str, numbers[:MOST_SHOWN]))
    more = f" and {len(numbers) - MOST_SHOWN} more" * (len(numbers) > MOST_SHOWN)
    return f"row{'s' * (len(numbers) > 1)} {shown}{more}"
