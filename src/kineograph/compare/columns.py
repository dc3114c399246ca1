"""What the models are compared by: columns of a table, read from their reports.

A column reads None where a model can't do what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kineograph.compare.contest import Entry
from kineograph.evaluation.adherence import CELLS, Cell
from kineograph.worlds.world import World

NONE = "-"

Value = float | None


@dataclass(frozen=True)
class Column:
    """A figure: its name, how it is read from a report (None where the model has none) and written, and what
    it means."""

    name: str
    read: Callable[[dict[str, Any]], Value]
    written: str
    meaning: str

    def cell(self, entry: Entry) -> str:
        value = self.read(entry.report)
        return NONE if value is None else self.written.format(value)


def adherence(attribute: str, cell: Cell) -> Callable[[dict[str, Any]], Value]:
    """The share of a cell's clips that show an attribute right, in percent."""

    def read(report: dict[str, Any]) -> Value:
        found = [one["model"] for one in report["adherence"] if one["cell"] == cell.name]
        return 100 * found[0][attribute]["value"] if found and attribute in found[0] else None

    return read


def filling(task: str, figure: str) -> Callable[[dict[str, Any]], Value]:
    """A figure of how near to the truth a task's unknown pixels are filled."""

    def read(report: dict[str, Any]) -> Value:
        found = [one["model"][figure]["value"] for one in report["filling"] if one["task"] == task]
        return found[0] if found else None

    return read


def part(*names: str, scale: float = 1.0) -> Callable[[dict[str, Any]], Value]:
    """A number that stands under these names in a report."""

    def read(report: dict[str, Any]) -> Value:
        value: Any = report
        for name in names:
            value = None if value is None else value[name]
        return None if value is None else scale * value

    return read


def drift(report: dict[str, Any]) -> Value:
    """How much PSNR a continuation loses from its first frame to its last, in dB."""
    course = report["horizon"] and report["horizon"]["model"]["psnr"]
    return course[0] - course[-1] if course else None


def trained(report: dict[str, Any]) -> Value:
    """Minutes of training."""
    facts = report["facts"]
    return sum(stage["minutes"] for stage in facts["stages"]) if facts else None


def by_rule(report: dict[str, Any]) -> dict[str, Any]:
    """The same figures of trivial rules in place of the model: all else is left out."""
    filling = [one | {"model": next(iter(one["rules"].values()))} for one in report["filling"]]
    course = report["horizon"]
    return {"filling": filling, "horizon": course and course | {"model": course["held"]}}


ATTRIBUTES = {
    "kind": "clips of one thing that show its kind right",
    "color": "its color",
    "size": "its size",
    "motion": "its motion",
    "count": "one thing and no more",
    "ground": "the ground",
    "time": "the time of day",
    "weather": "the weather",
    "style": "the style",
    "camera": "how the camera moves",
}


def follows(world: World) -> tuple[Column, ...]:
    """How well prompts about a world are followed."""
    one, two = Cell(1, False, world), Cell(2, False, world)
    unseen = next(cell for cell in CELLS if cell.held_out and cell.world == world)
    named = [name for name in ATTRIBUTES if name in ("count", *world.values)]
    return (
        *(Column(name, adherence(name, one), "{:.0f}%", ATTRIBUTES[name]) for name in named),
        Column("all", adherence("all", one), "{:.0f}%", "all that the prompt names"),
        Column(
            "held out", adherence("all", unseen), "{:.0f}%", "all, of combinations that no training shows"
        ),
        Column("two things", adherence("all", two), "{:.0f}%", "all, of prompts that name two things"),
    )


LIKENESS = (
    Column(
        "Fréchet",
        part("fidelity", "model"),
        "{:.0f}",
        "distance of made clips to rendered ones, as sets; less is better",
    ),
    Column(
        "floor", part("fidelity", "floor"), "{:.0f}", "the same distance of rendered clips of other scenes"
    ),
    Column(
        "diversity",
        part("diversity", "share", "value", scale=100),
        "{:.0f}%",
        "how far clips of one prompt lie apart, of what rendered clips of different scenes do",
    ),
)
FILLING = (
    Column("predicts, MSE", lambda r: _mse(filling("prediction", "psnr")(r)), "{:.0f}", "in squared levels"),
    Column("PSNR", filling("prediction", "psnr"), "{:.1f} dB", "of a clip's second half, from its first"),
    Column("SSIM", filling("prediction", "ssim"), "{:.3f}", "of the same"),
    Column("drift", drift, "{:.1f} dB", "what PSNR loses from the first added frame to the 24th"),
    Column("inpaints", filling("inpainting", "psnr"), "{:.1f} dB", "PSNR in a hole, a quarter of the frame"),
)
COST = (
    Column("parameters", part("cost", "parameters", scale=1e-6), "{:.2f} M", "beside the shared tokenizer"),
    Column("trained", trained, "{:.1f} min", "of training; clips were made before"),
    Column("evaluations", part("cost", "evaluations"), "{:.0f}", "of the network for a clip"),
    Column("a clip", part("cost", "seconds"), "{:.2f} s", "17 frames of 128x128, the median of five"),
    Column("energy", part("cost", "joules"), "{:.1f} J", "of a clip, estimated from busy cores at 5 W each"),
    Column(
        "memory", part("cost", "peak_memory"), "{:.0f} MB", "the most that the process held which made these"
    ),
)


def _mse(psnr: Value) -> Value:
    return None if psnr is None else float(255**2 / 10 ** (psnr / 10))
