"""Training clips from the rendered world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from kineograph.data import truth
from kineograph.data.lessons import Lesson, lessons
from kineograph.data.shards import indices
from kineograph.text.vocabulary import Vocabulary
from kineograph.worlds.captions import ThingDescription, parse
from kineograph.worlds.renderer import render
from kineograph.worlds.world import FULL, World

FPS = 8.0
AROUND = 4  # pixels


def clips(
    count: int, seed: int, frames: int, size: int, of: World = FULL, part: int = 64
) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
    """`count` lessons about a world with their captions, `part` at a time: frames (N, T, H, W, 3), the packed
    truth about them, and focus (N, T, H, W), 1 on things and within `AROUND` pixels of them."""
    learnt = lessons(count, seed, of)
    for start in range(0, count, part):
        these = learnt[start : start + part]
        yield rendered(these, frames, size, of), [lesson.caption for lesson in these]


def rendered(learnt: Sequence[Lesson], frames: int, size: int, of: World = FULL) -> dict[str, Tensor]:
    """The fields of `clips` of lessons about a world, in their order; scenes and plates are each rendered
    together."""
    found: dict[int, dict[str, Tensor]] = {}
    for things in (True, False):
        chosen = [number for number, lesson in enumerate(learnt) if lesson.things == things]
        if not chosen:
            continue
        these = [learnt[number] for number in chosen]
        scenes = [lesson.scene for lesson in these]
        drawn = render(scenes, frames, size, FPS, things=things)
        fields = {"frames": drawn.frames, "focus": _around(drawn.segmentation > 0)}
        fields |= truth.pack(drawn, these, of)
        found |= {n: {name: values[row] for name, values in fields.items()} for row, n in enumerate(chosen)}
    rows = [found[number] for number in range(len(learnt))]
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def _around(things: Tensor) -> Tensor:
    """The mask (N, T, H, W) grown by `AROUND` pixels: an outline lies on both sides of an edge."""
    grown = F.max_pool2d(things.float().flatten(0, 1), 2 * AROUND + 1, stride=1, padding=AROUND)
    return torch.unflatten(grown, 0, things.shape[:2]).to(torch.uint8)


_THING = {name: FULL.values[name] for name in ("kind", "color", "size", "motion")}
_SCENE = {name: options for name, options in FULL.values.items() if name not in _THING}
CLASSES = tuple(1 + len(v) for v in [*_THING.values()] * FULL.most_things + [*_SCENE.values()])


def labels_of(text: str) -> list[int]:
    """What a caption names, as class numbers in the order of CLASSES; 0 where it leaves something open."""
    said = parse(text, FULL)
    most = FULL.most_things
    things = [*said.things[:most], *[ThingDescription()] * (most - len(said.things))]
    values = [(getattr(thing, name), names) for thing in things for name, names in _THING.items()]
    values += [(getattr(said, name), names) for name, names in _SCENE.items()]
    return [0 if value is None else 1 + names.index(value) for value, names in values]


class CaptionBatches:
    """Captions of lessons as numbers, with what they name as labels, by step."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        length: int,
        batch: int,
        count: int,
        seed: int = 7,
        world: World = FULL,
    ) -> None:
        self.vocabulary, self.length, self.world = vocabulary, length, world
        self.size, self.count, self.seed = batch, count, seed

    @cached_property
    def _all(self) -> dict[str, Tensor]:
        """Made when the first batch is asked for: a stage that is done needs none."""
        captions = [lesson.caption for lesson in lessons(self.count, self.seed, self.world)]
        return {
            "caption": torch.tensor([self.vocabulary.encode(text, self.length) for text in captions]),
            "labels": torch.tensor([labels_of(text) for text in captions]),
        }

    def batch(self, step: int) -> dict[str, Tensor]:
        chosen = indices(self.count, self.size, step, self.seed)
        return {name: values[chosen] for name, values in self._all.items()}
