"""Training clips from the rendered world."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from kineograph.data.shards import indices
from kineograph.text.vocabulary import Vocabulary
from kineograph.worlds.captions import ThingDescription, caption, parse
from kineograph.worlds.holdout import training_scenes
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import COLORS, GROUNDS, KINDS, MOTIONS, SIZES, TIMES, Scene

FPS = 8.0
DROP = 0.15  # how often a caption leaves an attribute open
AROUND = 4  # pixels


def captions_of(scenes: list[Scene], seed: int) -> list[str]:
    """A caption for each scene, paraphrased at random."""
    return [caption(scene, random.Random(f"{seed}/{i}"), DROP) for i, scene in enumerate(scenes)]


def clips(
    count: int, seed: int, frames: int, size: int, *, truth: bool = True, part: int = 64
) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
    """Frames of `count` training scenes with their captions, `part` at a time; with truth also focus
    (N, T, H, W), 1 on objects and within `AROUND` pixels of them."""
    scenes = training_scenes(count, seed)
    captions = captions_of(scenes, seed)
    for start in range(0, count, part):
        rendered = render(scenes[start : start + part], frames=frames, size=size, fps=FPS, truth=truth)
        fields = {"frames": rendered.frames}
        if truth:
            fields["focus"] = _around(rendered.segmentation > 0)
        yield fields, captions[start : start + part]


def _around(things: Tensor) -> Tensor:
    """The mask (N, T, H, W) grown by `AROUND` pixels: an outline lies on both sides of an edge."""
    grown = F.max_pool2d(things.float().flatten(0, 1), 2 * AROUND + 1, stride=1, padding=AROUND)
    return torch.unflatten(grown, 0, things.shape[:2]).to(torch.uint8)


_THING = {"kind": KINDS, "color": COLORS, "size": SIZES, "motion": MOTIONS}
_SCENE = {"ground": GROUNDS, "time": TIMES}
CLASSES = tuple(1 + len(v) for v in [*_THING.values()] * 2 + [*_SCENE.values()])


def labels_of(text: str) -> list[int]:
    """What a caption names, as class numbers in the order of CLASSES; 0 where it leaves something open."""
    said = parse(text)
    things = [*said.things[:2], *[ThingDescription()] * (2 - len(said.things))]
    values = [(getattr(thing, name), names) for thing in things for name, names in _THING.items()]
    values += [(getattr(said, name), names) for name, names in _SCENE.items()]
    return [0 if value is None else 1 + names.index(value) for value, names in values]


class CaptionBatches:
    """Captions of training scenes as numbers, with what they name as labels, by step."""

    def __init__(
        self, vocabulary: Vocabulary, length: int, batch: int, count: int = 20_000, seed: int = 7
    ) -> None:
        self.vocabulary, self.length, self.size, self.count, self.seed = (
            vocabulary,
            length,
            batch,
            count,
            seed,
        )

    @cached_property
    def _all(self) -> dict[str, Tensor]:
        """Made when the first batch is asked for: a stage that is done needs none."""
        captions = captions_of(training_scenes(self.count, self.seed), self.seed)
        return {
            "caption": torch.tensor([self.vocabulary.encode(text, self.length) for text in captions]),
            "labels": torch.tensor([labels_of(text) for text in captions]),
        }

    def batch(self, step: int) -> dict[str, Tensor]:
        chosen = indices(self.count, self.size, step, self.seed)
        return {name: values[chosen] for name, values in self._all.items()}
