"""Making clips: with the model in memory, as a whole process, and decoding alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import process
from benchmarks.report import Row
from benchmarks.setup import Setup
from benchmarks.timing import Effort, flops_of, measure_one
from kineograph import catalog
from kineograph.evaluation.cost import PROMPT
from kineograph.evaluation.making import text_canvases
from kineograph.generation import generate
from kineograph.models.family import Model
from kineograph.request import Request
from kineograph.sampling.noise import Noise

KINEO = "import sys; from kineograph.cli import main; sys.exit(main(sys.argv[1:]))"


def rows(setup: Setup) -> Iterator[Row]:
    """Figures of the model at its default settings, one clip at a time."""
    model = catalog.load(str(setup.model))
    spec, effort = model.spec, setup.effort
    note = f"{spec.window} frames of {spec.width}x{spec.height}, {spec.sampling.steps} steps"
    request = Request(PROMPT)

    def make() -> None:
        for _ in generate(request, model):
            pass

    flops = flops_of(make)
    yield Row("model in memory", measure_one(make, effort, flops), 1, "clips", note)
    yield _whole(setup.model, effort, flops, note)
    yield _decoding(model, effort)


def _whole(folder: Path, effort: Effort, flops: float, note: str) -> Row:
    """From the start of the interpreter to the file on disk."""
    megabytes: list[float] = []
    with tempfile.TemporaryDirectory() as out:
        clip = str(Path(out) / "clip.mp4")
        command = [sys.executable, "-c", KINEO, "generate", PROMPT, "--model", str(folder), "-o", clip]
        call = [sys.executable, process.__file__, *command]

        def run() -> None:
            done = subprocess.run(call, capture_output=True, text=True)  # noqa: S603
            if done.returncode:
                raise RuntimeError(f"kineo generate failed:\n{done.stderr}")
            megabytes.append(float(done.stdout))

        measured = measure_one(run, effort, flops)
    return Row("kineo generate, whole process", measured, 1, "clips", note, megabytes=max(megabytes))


def _decoding(model: Model, effort: Effort) -> Row:
    conditions = model.condition(text_canvases([PROMPT], model.spec))
    *_, latents = model.sample(conditions, [Noise(0)], model.spec.sampling)
    decode = partial(model.decode, latents)
    return Row("decoding alone", measure_one(decode, effort, flops_of(decode)), 1, "clips")
