"""`python -m benchmarks`: what the package costs on this machine, from one run."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks import generating, rendering, setup, side_by_side, training
from benchmarks.command import run
from benchmarks.report import Row, as_json, conditions, page
from benchmarks.setup import Setup
from kineograph.errors import RequestError
from kineograph.media.atomic import replacing

Name = Literal["rendering", "generating", "training", "side-by-side"]


@dataclass(frozen=True)
class Part:
    """What is measured, and what the page says of it."""

    rows: Callable[[Setup], Iterator[Row]]
    about: str


PARTS: dict[Name, Part] = {
    "rendering": Part(rendering.rows, "Clips of the world with all of their truth. No matrix products."),
    "generating": Part(
        generating.rows,
        "One clip at a time at the model's own setting. The whole process starts the interpreter, loads the\n"
        "model, makes the clip and writes the file; its operations are those of the clip.",
    ),
    "training": Part(
        training.rows,
        "At the batch sizes of the recipe `playground`. Steps are those of the real loop with its\n"
        "optimizer, whose operations are not counted.",
    ),
    "side-by-side": Part(
        side_by_side.rows,
        "The denoiser beside `WanTransformer3DModel` of diffusers: width, depth, tokens and precision are\n"
        f"equal, operations within {side_by_side.ALIKE:.0%}. Sampling runs forward, eager; training runs\n"
        "forward and backward, compiled. `times theirs` is how many times as fast ours is.\n"
        f"The aim is {side_by_side.FASTER} times their speed or {side_by_side.SHARE:.0%} of GEMM.",
    ),
}


def main(
    *parts: Name,
    quick: bool = False,
    model: str | None = None,
    json: Path | None = None,
    report: Path | None = None,
) -> None:
    """Measure rendering, generating, training, and the denoiser beside that of diffusers; print a page.

    All of it takes about five minutes on two processor cores.

    Parameters
    ----------
    parts
        What to measure; everything unless given.
    quick
        Tiny networks and two runs: shows that the benchmarks work, the figures mean nothing.
    model
        The model to generate with, a name or a folder; the shipped one unless given.
    json
        Write all figures into this file too.
    report
        Write the page into this file too.
    """
    if quick and model is not None:
        raise RequestError("--quick makes a tiny model of its own; leave out --model, or --quick.")
    started = time.monotonic()
    with ExitStack() as stack:
        files = {path: stack.enter_context(replacing(path)) for path in (json, report) if path is not None}
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        chosen = setup.quick(scratch) if quick else setup.full(model, scratch)
        on = conditions(chosen.effort)
        names: tuple[Name, ...] = parts or tuple(PARTS)
        found: dict[str, list[Row]] = {name: list(_told(PARTS[name].rows(chosen))) for name in names}
        minutes = (time.monotonic() - started) / 60
        text = page(found, {name: part.about for name, part in PARTS.items()}, on, minutes)
        if json is not None:
            files[json].write_text(as_json(found, on, minutes), encoding="utf-8")
        if report is not None:
            files[report].write_text(text, encoding="utf-8")
    print(text)


def _told(rows: Iterator[Row]) -> Iterator[Row]:
    """Pass rows on and say that they are done."""
    for row in rows:
        print(row.name, file=sys.stderr, flush=True)
        yield row


if __name__ == "__main__":
    run(main)
