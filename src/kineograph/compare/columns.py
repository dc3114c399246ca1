"""What the models are compared by: columns of a table, read from their reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kineograph.compare.contest import Entry

SEEN, UNSEEN, TWO = "one thing, seen combinations", "one thing, held-out combinations", "two things"
NONE = "-"  # where a model can't do what is measured

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


def adherence(attribute: str, cell: str = SEEN) -> Callable[[dict[str, Any]], Value]:
    """The share of a cell's clips that show an attribute right, in percent."""

    def read(report: dict[str, Any]) -> Value:
        found = [one for one in report["adherence"] if one["cell"].startswith(cell)]
        return 100 * found[0]["model"][attribute]["value"] if found else None

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


QUALITY = (
    Column("kind", adherence("kind"), "{:.0f}%", "clips of one thing that show its kind right"),
    Column("color", adherence("color"), "{:.0f}%", "its color"),
    Column("motion", adherence("motion"), "{:.0f}%", "its motion"),
    Column("all", adherence("all"), "{:.0f}%", "all that the prompt names"),
    Column("held out", adherence("all", UNSEEN), "{:.0f}%", "all, of combinations that no training shows"),
    Column("two things", adherence("all", TWO), "{:.0f}%", "all, of prompts that name two things"),
    Column(
        "Fréchet",
        part("fidelity", "model"),
        "{:.0f}",
        "distance of made clips to rendered ones, as sets; less is better",
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
    Column("trained", trained, "{:.0f} min", "on the machine named below"),
    Column("evaluations", part("cost", "evaluations"), "{:.0f}", "of the network for a clip"),
    Column("a clip", part("cost", "seconds"), "{:.2f} s", "17 frames of 128x128, the median of five"),
    Column("energy", part("cost", "joules"), "{:.1f} J", "of a clip, estimated from busy cores at 5 W each"),
    Column(
        "memory", part("cost", "peak_memory"), "{:.0f} MB", "the most that the process held which made these"
    ),
)


def _mse(psnr: Value) -> Value:
    return None if psnr is None else float(255**2 / 10 ** (psnr / 10))
