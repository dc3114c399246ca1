"""The comparison in curves; needs matplotlib, `pip install 'kineograph[plots]'`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from kineograph.compare.columns import adherence, part
from kineograph.compare.contest import Entry
from kineograph.evaluation.adherence import Cell
from kineograph.worlds.world import WORLDS

ASKED = ("kind", "color", "size", "motion")  # of one thing
Drawing = Callable[[Any, Sequence[Entry]], None]


def _quality_and_cost(axes: Any, entries: Sequence[Entry]) -> None:
    for entry in entries:
        seconds = part("cost", "seconds")(entry.report)
        cell = Cell(1, False, WORLDS[entry.world])
        found = [adherence(name, cell)(entry.report) for name in ASKED]
        shares = [share for share in found if share is not None]
        if seconds is not None and shares:
            axes.scatter(seconds, sum(shares) / len(shares), label=entry.preset)
            axes.legend(fontsize=7)
    ylabel = f"right, mean of {', '.join(ASKED)}, %"
    axes.set(xscale="log", xlabel="seconds a clip", ylabel=ylabel, title="quality against cost")


def _drift(axes: Any, entries: Sequence[Entry]) -> None:
    known = [entry for entry in entries if entry.report["horizon"]]
    for entry in known:
        axes.plot(*_course(entry.report["horizon"]["model"]["psnr"]), label=entry.preset)
    if known:
        held = known[0].report["horizon"]["held"]["psnr"]
        axes.plot(*_course(held), color="0.6", linestyle="--", label="holding the last frame")
        axes.legend(fontsize=7)
    axes.set(xlabel="added frame", ylabel="PSNR, dB", title="continuations drift")


def _course(values: Sequence[float]) -> tuple[list[int], Sequence[float]]:
    return list(range(1, len(values) + 1)), values


def _training(axes: Any, entries: Sequence[Entry]) -> None:
    known = [entry for entry in entries if entry.report["facts"]]
    for entry in known:
        stage = entry.report["facts"]["stages"][-1]
        steps, values = zip(*stage["curve"], strict=True)
        first = abs(values[0]) or 1.0
        axes.plot([step / steps[-1] for step in steps], [v / first for v in values], label=entry.preset)
    axes.set(xlabel="share of the last stage", ylabel="loss, of the first", title="training")
    if known:
        axes.legend(fontsize=7)


DRAWINGS: dict[str, Drawing] = {
    "quality": _quality_and_cost,
    "drift": _drift,
    "training": _training,
}


def plot(name: str, entries: Sequence[Entry]) -> bytes:
    """One of `DRAWINGS` as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    DRAWINGS[name](axes, entries)
    axes.grid(alpha=0.3)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
