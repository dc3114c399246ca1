"""Rows of figures, as a page in Markdown and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import kineograph
from benchmarks.timing import QUICK, Effort, Measured
from kineograph.evaluation import cost
from kineograph.evaluation.report import table


@dataclass(frozen=True)
class Row:
    """One figure: `measured` is a run that makes `count` of `unit`; None if it could not be run, and why.

    `ratio` is how many times as fast it is as what stands beside it, `megabytes` the most memory held.
    """

    name: str
    measured: Measured | None
    count: float = 1
    unit: str = ""
    note: str = ""
    ratio: float | None = None
    megabytes: float | None = None

    @property
    def rate(self) -> float | None:
        """So many of `unit` a second."""
        return None if self.measured is None else self.count / self.measured.seconds

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        derived = {"rate": self.rate, "share": self.measured and self.measured.share}
        return asdict(self) | derived


@dataclass(frozen=True)
class Conditions:
    """What the figures were measured on; `load` is the average number of processes in the minute before."""

    machine: cost.Machine
    python: str
    kineograph: str
    load: float
    effort: Effort


def conditions(effort: Effort) -> Conditions:
    """This machine as it is now."""
    load = round(os.getloadavg()[0], 1)
    return Conditions(cost.machine(), platform.python_version(), kineograph.__version__, load, effort)


def as_json(found: Mapping[str, Sequence[Row]], on: Conditions, minutes: float) -> str:
    """All figures for machines."""
    rows = {part: [row.to_dict() for row in rows] for part, rows in found.items()}
    return json.dumps({"conditions": asdict(on), "minutes": minutes, "parts": rows}, indent=1) + "\n"


def page(found: Mapping[str, Sequence[Row]], about: Mapping[str, str], on: Conditions, minutes: float) -> str:
    """All figures for people, a heading to each part; `about` says of each that there is what it is."""
    command = " ".join(["python -m benchmarks", *(found if found.keys() < about.keys() else ())])
    parts = [f"## {part.capitalize()}\n\n{about[part]}\n\n{_table(rows)}" for part, rows in found.items()]
    return "\n\n".join([_head(command, found, on, minutes), *parts]) + "\n"


def _head(command: str, found: Mapping[str, Sequence[Row]], on: Conditions, minutes: float) -> str:
    machine, side = on.machine, on.effort.matrix
    gemm = [row.measured.gemm / 1e9 for rows in found.values() for row in rows if row.measured]
    reached = (
        f"{statistics.median(gemm):,.0f} GFLOP/s ({min(gemm):,.0f} to {max(gemm):,.0f} from figure to figure)"
    )
    warning = "\n\nThe networks are tiny and the runs few: these figures mean nothing." * (on.effort == QUICK)
    return f"""# Speed

    {command} --report docs/benchmarks.md

printed this page in {minutes:.1f} minutes with kineograph {on.kineograph}, torch {machine.torch} and Python \
{on.python}.

Machine: {machine.processor}, {machine.cores} cores, {machine.threads} threads, {machine.precision}; load \
before the run {on.load:g}.

Each figure is the median of up to {on.effort.most} runs after one that does not count.
In turn with them ran the yardstick, a product of two {side}x{side} matrices in {machine.precision} (GEMM).
It reached {reached}; `of GEMM` is how much of that rate a figure reaches,
counting matrix products and convolutions alone.{warning}"""


def _table(rows: Sequence[Row]) -> str:
    """A table without the columns that are empty."""
    head = ("what", "median", "rate", "GFLOP/s", "of GEMM", "times theirs", "peak MB", "runs", "note")
    columns = zip(head, zip(*map(_cells, rows), strict=True), strict=True)
    kept = {name: cells for name, cells in columns if any(cells)}
    return table(list(kept), list(zip(*kept.values(), strict=True)))


def _cells(row: Row) -> tuple[str, ...]:
    found = row.measured
    if found is None:
        return (row.name, *[""] * 7, row.note)
    return (
        row.name,
        f"{found.seconds:.2f} s" if found.seconds >= 1 else f"{1000 * found.seconds:.1f} ms",
        f"{row.rate:,.3g} {row.unit}/s",
        "" if found.speed is None else f"{found.speed / 1e9:,.1f}",
        "" if found.share is None else f"{found.share:.0%}",
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if row.megabytes is None else f"{row.megabytes:.0f}",
        str(found.runs),
        row.note,
    )
