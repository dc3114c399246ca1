"""Making clips: warm, cold (a whole process), decoding alone, and rendering the world."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.report import Row
from benchmarks.timing import Effort, Job, Measured, flops_of, interleaved, measure
from kineograph.generation import generate
from kineograph.models import diffusion
from kineograph.models.diffusion import Diffusion, DiffusionConfig, DiffusionNetworks
from kineograph.models.precision import compute_dtype
from kineograph.request import Request
from kineograph.training.presets import Recipe
from kineograph.worlds.captions import words
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import sample_scenes

PROMPT = "a small red ball bounces over sand at sunset"
CLIPS = 16
COMMAND = "import sys; from kineograph.cli import main; sys.exit(main(sys.argv[1:]))"


def untrained(recipe: Recipe, folder: Path) -> Path:
    """A model of the recipe's sizes with random weights, which is as fast as a trained one."""
    torch.manual_seed(0)
    networks = DiffusionNetworks(DiffusionConfig(tuple(words()), recipe.tokenizer, recipe.denoiser))
    diffusion.save(folder, networks, diffusion.spec_of("untrained", networks.config))
    return folder


def rows(folder: Path, effort: Effort) -> Iterator[Row]:
    """Figures of the model in `folder` at its default settings."""
    model = diffusion.load(folder)
    spec, dtype = model.spec, compute_dtype(model.device)
    note = f"{spec.window} frames {spec.width}x{spec.height}, {spec.sampling.steps} steps, {str(dtype)[6:]}"
    yield _warm(model, effort, note)
    yield _cold(folder, effort, note)
    yield _decode(model, effort)
    yield _render(model, effort)


def _warm(model: Diffusion, effort: Effort, note: str) -> Row:
    request = Request(PROMPT)

    def make() -> None:
        for _ in generate(request, model):
            pass

    return Row("generate, warm", _measured(model, make, effort), 1, "clip", note)


def _cold(folder: Path, effort: Effort, note: str) -> Row:
    """From the start of the interpreter to the file on disk."""
    with tempfile.TemporaryDirectory() as out:
        clip = str(Path(out) / "clip.mp4")
        call = [sys.executable, "-c", COMMAND, "generate", PROMPT, "--model", str(folder), "-o", clip]

        def run() -> None:
            subprocess.run(call, check=True, capture_output=True)  # noqa: S603

        seconds = interleaved({"cold": run}, min(effort.repetitions, 3))["cold"]
    return Row("generate, whole process", Measured(seconds), 1, "clip", note)


def _decode(model: Diffusion, effort: Effort) -> Row:
    config = model.networks.config.denoiser
    shape = (1, config.grid[0], config.channels, *config.grid[1:])
    values = torch.randn(shape, device=model.device)
    window = diffusion.Latents(values, 0, 0, model.spec.window, model.spec.height, model.spec.width)
    return Row("decode", _measured(model, lambda: model.decode(window), effort), model.spec.window, "frame")


def _render(model: Diffusion, effort: Effort) -> Row:
    scenes, spec = sample_scenes(CLIPS, seed=0), model.spec

    def draw() -> None:
        render(scenes, frames=spec.window, size=spec.width, fps=spec.fps, truth=True)

    seconds = interleaved({"render": draw}, effort.repetitions)["render"]
    return Row(
        "render, with truth", Measured(seconds), CLIPS * spec.window, "frame", f"{CLIPS} clips at once"
    )


def _measured(model: Diffusion, job: Job, effort: Effort) -> Measured:
    flops = {"job": flops_of(job)}
    return measure({"job": job}, flops, model.device, compute_dtype(model.device), effort)["job"]
