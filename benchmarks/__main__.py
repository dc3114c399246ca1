"""`python -m benchmarks`: every figure of the documentation, from one run on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cyclopts

from benchmarks import generating, report, side_by_side, training
from benchmarks.timing import FULL, QUICK, Effort
from kineograph import catalog
from kineograph.models.denoiser import DenoiserConfig
from kineograph.models.tokenizer import TokenizerConfig
from kineograph.training.presets import Recipe, Stage, playground

Part = Literal["generating", "training", "side-by-side"]
PARTS: tuple[Part, ...] = ("generating", "training", "side-by-side")
SHIPPED = "playground"


def tiny() -> Recipe:
    """Networks so small that a run only shows that the benchmarks work."""
    recipe = playground()
    return replace(
        recipe,
        tokenizer=TokenizerConfig(8, (16, 16, 16), (1, 1, 1), (1, 1, 1)),
        denoiser=DenoiserConfig(8, (4, 4, 4), text_width=16, width=48, hidden=256, depth=2, heads=2),
        tokenizer_stage=_eager(recipe.tokenizer_stage, batch=2, canvas=0),
        flow_stage=_eager(recipe.flow_stage, batch=4, canvas=1),
    )


def _eager(stage: Stage, batch: int, canvas: int) -> Stage:
    return replace(stage, batch=batch, canvas=canvas, train=replace(stage.train, compile=False))


def measure(
    parts: tuple[Part, ...], model: str | None, recipe: Recipe, effort: Effort
) -> Iterator[report.Row]:
    """The rows of the chosen parts, as they come."""
    with tempfile.TemporaryDirectory() as scratch:
        if "generating" in parts:
            yield from generating.rows(_folder(model, recipe, Path(scratch)), effort)
        if "training" in parts:
            yield from training.rows(recipe, effort)
        if "side-by-side" in parts:
            yield from side_by_side.rows(recipe.denoiser, (2, recipe.flow_stage.batch), effort)


def _folder(model: str | None, recipe: Recipe, scratch: Path) -> Path:
    """The given model, or one of the recipe's sizes with random weights."""
    if model is None:
        return generating.untrained(recipe, scratch / "untrained")
    return catalog.SHIPPED / model if model in catalog.names() else Path(model)


def main(*parts: Part, quick: bool = False, model: str | None = None, json: Path | None = None) -> None:
    """Measure generation, training, and our denoiser beside that of diffusers; print a table.

    Parameters
    ----------
    parts
        What to measure; everything unless given.
    quick
        Tiny networks and two repetitions: shows that the benchmarks work, the figures mean nothing.
    model
        The model to generate with, a name or a folder; the shipped one unless given.
    json
        Write all figures into this file too.
    """
    shipped = SHIPPED if SHIPPED in catalog.names() and not quick else None
    recipe, effort = (tiny(), QUICK) if quick else (playground(), FULL)
    facts = report.machine()
    rows = list(measure(parts or PARTS, model or shipped, recipe, effort))
    report.table(rows, facts)
    if json is not None:
        json.write_text(report.as_json(rows, facts))


if __name__ == "__main__":
    cyclopts.run(main)
