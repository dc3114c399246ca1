"""The report of an evaluation: all figures as values, as JSON, and as tables that a terminal shows well."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kineograph.evaluation.adherence import Adherence
from kineograph.evaluation.cost import WATTS, Cost
from kineograph.evaluation.diversity import Diversity
from kineograph.evaluation.editing import Editing
from kineograph.evaluation.facts import Facts
from kineograph.evaluation.figures import Figure
from kineograph.evaluation.filling import Filling, Nearness
from kineograph.evaluation.frechet import Fidelity
from kineograph.evaluation.guiding import Control
from kineograph.evaluation.horizon import Horizon
from kineograph.evaluation.learnt import Learnt
from kineograph.evaluation.memorisation import Memorisation
from kineograph.models.family import Spec

ATTRIBUTES = (
    "kind",
    "color",
    "size",
    "motion",
    "count",
    "relation",
    "ground",
    "time",
    "weather",
    "style",
    "camera",
    "all",
)


@dataclass(frozen=True)
class Report:
    """Everything that an evaluation found; what the model can't do, or what isn't known of it, is left empty.

    `version` is the package's, `scene_seed` that of the scenes, `minutes` how long the evaluation took.
    """

    spec: Spec
    version: str
    scene_seed: int
    cost: Cost
    adherence: tuple[Adherence, ...]
    tokenizer: Nearness | None
    filling: tuple[Filling, ...]
    horizon: Horizon | None
    diversity: Diversity | None
    editing: tuple[Editing, ...]
    control: tuple[Control, ...]
    fidelity: Fidelity | None
    memorisation: Memorisation | None
    facts: Facts | None
    minutes: float
    learnt: Learnt | None = None

    def to_json(self) -> str:
        """A JSON object on one line; numbers that are not finite become null."""
        values = asdict(self)
        values["spec"]["abilities"] = sorted(self.spec.abilities)
        return json.dumps(finite(values), allow_nan=False)


def finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Figures in words: the value and, in brackets, its 95% interval


def percent(figure: Figure) -> str:
    return _written(figure, "{:.0f}%", "{:.0f}-{:.0f}", 100)


def width(figure: Figure, pixels: int) -> str:
    """A share of a frame's width, in a hundredth of it and, at so many pixels of width, in those."""
    if math.isinf(figure.value):
        return "unseen"
    return f"{_written(figure, '{:.1f}%', '{:.1f}-{:.1f}', 100)}, {figure.value * pixels:.1f} px"


def decibels(figure: Figure) -> str:
    return _written(figure, "{:.1f}", "{:.1f}-{:.1f}", 1)


def ratio(figure: Figure) -> str:
    return _written(figure, "{:.3f}", "{:.3f}-{:.3f}", 1)


def _written(figure: Figure, value: str, interval: str, unit: float) -> str:
    if math.isnan(figure.value):
        return "none"
    return f"{value.format(figure.value * unit)} ({interval.format(figure.low * unit, figure.high * unit)})"


# Tables


def tables(report: Report) -> str:
    """All figures as Markdown, a heading to each part."""
    parts = [
        *map(_adherence, report.adherence),
        _tokenizer(report.tokenizer),
        _filling(report.filling),
        _horizon(report.horizon),
        _diversity(report.diversity),
        _editing(report.editing),
        _control(report.control, report.spec.width),
        _fidelity(report.fidelity),
        _memorisation(report.memorisation),
        _cost(report),
    ]
    return "\n\n".join(filter(None, parts))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    ruler = ["-" * width for width in widths]
    lines = [" | ".join(map(str.ljust, row, widths)) for row in (head, ruler, *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _adherence(found: Adherence) -> str:
    count = found.model["all"].count
    columns = [found.model, found.rebuilt or {}, found.truth]
    rows = [
        [name, *(percent(column[name]) if name in column else "none" for column in columns)]
        for name in ATTRIBUTES
        if name in found.model
    ]
    rows.append(["all, of the ceiling", percent(found.of_ceiling), "", ""])
    title = f"### Follows the prompt: {found.cell} ({count} clips)"
    return f"{title}\n\n{table(('right', 'model', 'ceiling', 'truth'), rows)}"


def _tokenizer(found: Nearness | None) -> str:
    if found is None:
        return ""
    row = [*map(decibels, (found.psnr, found.mean_psnr, found.things)), ratio(found.ssim)]
    title = f"### Latents: unseen clips, encoded and decoded ({found.psnr.count} clips)"
    return f"{title}\n\n{table(('PSNR, dB', 'mean of clips', 'of things', 'SSIM'), [row])}"


def _filling(found: Sequence[Filling]) -> str:
    if not found:
        return ""
    rows = [row for task in found for row in _task_rows(task)]
    title = f"### Fills canvases: unknown pixels against the truth ({found[0].better.count} clips a task)"
    head = ("task", "filled by", "PSNR, dB", "of things", "at the seam", "SSIM", "model nearer than rule")
    return f"{title}\n\n{table(head, rows)}"


def _task_rows(found: Filling) -> list[list[str]]:
    ways = {"model": found.model, **found.rules}
    if found.ceiling is not None:
        ways["ceiling"] = found.ceiling
    return [
        [
            found.task if way == "model" else "",
            way,
            decibels(near.psnr),
            decibels(near.things),
            decibels(near.seam),
            ratio(near.ssim),
            percent(found.better) if way == "model" else "",
        ]
        for way, near in ways.items()
    ]


def _horizon(found: Horizon | None) -> str:
    if found is None:
        return ""
    added = len(found.model.psnr)
    chosen = sorted({0, added // 8, added // 4, added // 2, added - 1})
    rows = [
        [str(at + 1), *(f"{way.psnr[at]:.1f}" for way in ways), *(f"{way.ssim[at]:.3f}" for way in ways)]
        for at in chosen
        for ways in [(found.model, found.held)]
    ]
    title = f"### Continues {found.past} frames: each added frame against the truth ({found.clips} clips)"
    head = ("added frame", "PSNR, dB", "of holding", "SSIM", "of holding")
    return f"{title}\n\n{table(head, rows)}"


def _diversity(found: Diversity | None) -> str:
    if found is None:
        return ""
    title = f"### Clips of one prompt ({found.prompts} prompts, {found.seeds} seeds each)"
    head = ("apart, levels", "rendered clips of different scenes", "of that")
    return f"{title}\n\n{table(head, [[f'{found.made:.1f}', f'{found.rendered:.1f}', percent(found.share)]])}"


def _editing(found: Sequence[Editing]) -> str:
    if not found:
        return ""
    rows = [row for one in found for row in _editing_rows(one)]
    title = f"### Changes a clip ({found[0].model.all.count} clips each)"
    head = ("change", "by", "as asked", "all right", "PSNR of the change, dB", "of the rest")
    return f"{title}\n\n{table(head, rows)}"


def _editing_rows(found: Editing) -> list[list[str]]:
    ways = {"model": found.model, "copy": found.copy, "ceiling": found.ceiling}
    first = {"model": found.edit}
    return [
        [first.get(way, ""), way, percent(of.changed), percent(of.all), decibels(of.new), decibels(of.kept)]
        for way, of in ways.items()
        if of is not None
    ]


def _control(found: Sequence[Control], pixels: int) -> str:
    if not found:
        return ""
    guides = [one.guide for one in found]
    rows = [
        [
            one.guide if guides.index(one.guide) == number else "",
            one.measure,
            *(_measured(figure, one.unit, pixels) for figure in (one.model, one.unguided, one.ceiling)),
        ]
        for number, one in enumerate(found)
    ]
    title = f"### Follows guides ({found[0].model.count} clips each)"
    return f"{title}\n\n{table(('guide', 'measure', 'model', 'unguided', 'ceiling'), rows)}"


def _measured(figure: Figure | None, unit: str, pixels: int) -> str:
    if figure is None:
        return ""
    return width(figure, pixels) if unit == "width" else (percent if unit == "share" else ratio)(figure)


def _fidelity(found: Fidelity | None) -> str:
    if found is None:
        return ""
    title = f"### Fréchet distance to other rendered clips ({found.clips} clips a set)"
    head = ("made clips", "rendered clips", "with frames shuffled", "with the first frame held")
    row = [f"{value:.1f}" for value in (found.model, found.floor, found.shuffled, found.frozen)]
    return f"{title}\n\n{table(head, [row])}"


def _memorisation(found: Memorisation | None) -> str:
    if found is None:
        return ""
    title = f"### Nearest of {found.training_clips} training clips ({found.nearer.count} clips)"
    head = ("made clips, median", "unseen clips, median", "ratio", "made nearer than 99 in 100 unseen")
    row = [f"{found.made:.2f}", f"{found.unseen:.2f}", ratio(found.ratio), percent(found.nearer)]
    return f"{title}\n\n{table(head, [row])}"


def _cost(report: Report) -> str:
    cost, sampling = report.cost, report.spec.sampling
    rows = [
        ("seconds a clip", f"{cost.seconds:.2f} (median of {cost.runs}, one clip at a time)"),
        ("joules a clip", f"{cost.joules:.1f} (estimated: {WATTS:g} W for each busy core)"),
        ("network evaluations", f"{cost.evaluations} ({sampling.solver}, guidance {sampling.guidance:g})"),
        ("parameters", f"{cost.parameters:,}"),
        ("files", f"{cost.megabytes:.1f} MB"),
        ("peak memory", f"{cost.peak_memory:.0f} MB"),
        ("machine", f"{cost.machine.processor}, {cost.machine.cores} cores, {cost.machine.threads} threads"),
        ("precision", f"{cost.machine.precision}, torch {cost.machine.torch}"),
    ]
    return f"### Cost\n\n{table(('what', 'how much'), rows)}"
