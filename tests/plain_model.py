"""A model without a network: it fills a canvas with one keyed colour a chunk, and keeps the contract."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

import kineograph.models
from kineograph import catalog
from kineograph.canvas import GUIDES, TASKS
from kineograph.models.family import Spec, Step
from kineograph.sampling.settings import Sampling
from kineograph.video import Chunk

CHUNK = 4
SPEC = Spec(
    name="plain",
    family="plain",
    abilities=frozenset({*TASKS, *GUIDES}),
    width=64,
    height=48,
    fps=8.0,
    window=9,
    sampling=Sampling(steps=4, guidance=2.0),
    vocabulary=("a", "ball", "red"),
    weights_hash="0" * 64,
)


class PlainModel:
    def __init__(self, spec=SPEC):
        self.spec = spec

    @classmethod
    def load(cls, folder: Path):
        return cls()

    def without(self, *abilities):
        return PlainModel(replace(self.spec, abilities=self.spec.abilities - set(abilities)))

    def condition(self, canvases):
        assert len({canvas.frames.shape for canvas in canvases}) == 1
        return list(canvases)

    def sample(self, canvases, noises, sampling):
        for done in range(sampling.steps):
            yield Step(done + 1, sampling.steps)
        for start in range(0, len(canvases[0]), CHUNK):
            yield start, canvases, noises, sampling.guidance

    def decode(self, latents):
        start, canvases, noises, guidance = latents
        return [self._chunk(start, *pair, guidance) for pair in zip(canvases, noises, strict=True)]

    def _chunk(self, start, canvas, noise, guidance):
        shape = canvas.frames[start : start + CHUNK].shape
        color = (128 + 30 * guidance / 2 * noise.normal("colour", start, (3,)).numpy()).clip(0, 255)
        return Chunk(np.broadcast_to(color.astype(np.uint8), shape).copy(), start)


CONFIG = {
    "name": "plain",
    "family": "plain",
    "abilities": sorted(SPEC.abilities),
    "width": 64,
    "height": 48,
    "fps": 8.0,
    "window": 9,
    "sampling": {"steps": 4, "guidance": 2.0},
    "vocabulary": list(SPEC.vocabulary),
}


def only_plain(folder, monkeypatch, **others):
    """An empty folder to work in, beside a catalog whose only model is `plain`; `others` are families."""
    plain = folder / "weights" / "plain"
    plain.mkdir(parents=True)
    (plain / "config.json").write_text(json.dumps(CONFIG))
    (plain / "README.md").write_text("# Plain\n\nFills with colours.\n")
    monkeypatch.setattr(catalog, "SHIPPED", plain.parent)
    monkeypatch.setattr(kineograph.models, "MODELS", {"plain": PlainModel, **others})
    here = folder / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here
