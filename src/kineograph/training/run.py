"""A recipe from clips to a model in a folder, stage by stage; a stage that is done is not done again.

OUT/recipe.json  .lock   what it is a run of; held while one is at work
OUT/clips  latents       shards; beside each its data sheet
OUT/STAGE                checkpoints, the log, the loss as a curve
OUT/sheets               what the stages make, in pictures
OUT/model                what `kineograph.load` reads
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from kineograph.data import datasheet, latents, sources, world
from kineograph.data.folder import Folder
from kineograph.data.shards import INDEX, Parts, Shards, writing
from kineograph.errors import RequestError
from kineograph.evaluation import cost, facts, learnt
from kineograph.evaluation.facts import Facts
from kineograph.lock import locked
from kineograph.models.tokenizer import Tokenizer
from kineograph.text.encoder import TextEncoder
from kineograph.text.pretrain import AttributeObjective
from kineograph.text.vocabulary import RESERVED, Vocabulary, split
from kineograph.training import datasheets, log, recipes
from kineograph.training.events import Event, Finished, Note, Prepared, Stepped
from kineograph.training.loop import Data, Objective, Trainable, Trainer
from kineograph.training.pictures import Pictures
from kineograph.training.recipe import WORLD, Recipe, Stage
from kineograph.training.sheets import Sheet
from kineograph.worlds.captions import words
from kineograph.worlds.world import WORLDS

T = TypeVar("T")
RecipeT = TypeVar("RecipeT", bound=Recipe)
SHOWN_LETTERS = 200  # of a caption
CAPTIONS = 20_000  # to learn what captions say from
CARD_FIGURES = {"tokenizer": "psnr", "decoder": "psnr", "text": "right"}  # shown as curves, else the loss


@dataclass
class Learner:
    """A module with the objectives that train it."""

    module: nn.Module
    objectives: list[Objective]
    hot: list[nn.Module]


class Run(ABC, Generic[RecipeT]):
    """One recipe in one folder, on one device.

    Args:
        recipe: what to make.
        out: the folder, in which a run is continued if it is there.
        shards: where clips and latents lie or are put, `out` unless given; runs on the same clips may share
            them, one after another.

    Raises:
        RequestError: the recipe can't be followed.
        DataError, ModelError: what the recipe names is not there.
    """

    def __init__(self, recipe: RecipeT, out: Path, shards: Path | None = None) -> None:
        recipes.check(recipe)
        self.recipe, self.out, self.shards = recipe, out, shards or out
        self.on_world = recipe.data == WORLD
        self.init = recipes.init_of(recipe, recipe.init) if recipe.init else None
        if self.init is not None:
            recipes.check_init(recipe, self.init)
            self.recipe = replace(recipe, init_hash=self.init.spec.weights_hash)
        self.folder = self._folder()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def events(self) -> Generator[Event, None, None]:
        """Do what is not done yet, telling of every step. Closing the iterator keeps what was learnt.

        Raises:
            RequestError: another run is at work in the folder.
            DataError: no clip can be read, or what lies in the folder is damaged.
            TrainingError: a loss is not finite, or no checkpoint can be read.
            OSError: the folder can't be written to.
        """
        with locked(self.out, "training"):
            recipes.keep(self.recipe, self.out)
            yield from self._followed()

    @abstractmethod
    def _followed(self) -> Iterator[Event]:
        """From clips to the model, stage by stage."""

    def _finished(self, clips: Shards) -> Iterator[Event]:
        """Tell of the model, which is saved, after putting the facts of its training beside it."""
        folder = self.out / "model"
        if (known := self._facts()) is not None:
            facts.write(folder, known)
        if not self.on_world and (sheet := datasheet.read(clips.folder)) is not None:
            learnt.write(folder, learnt.learnt_of(sheet), self.recipe.name)
        yield Finished(folder, shorten(clips.captions[0], SHOWN_LETTERS, placeholder=""))

    def _facts(self) -> Facts | None:
        """What the card tells of this training, and of that of the model it started from; stages that rested
        are left out. None where not all of it was on the world, or some of it isn't known."""
        if not self.on_world or (self.init and self.init.facts is None):
            return None
        recipe = self.recipe
        stages = [
            facts.stage_of(name, lines, stage.batch, CARD_FIGURES.get(name, "loss"))
            for name, stage in recipe.stages.items()
            if (lines := log.read(self.out / name))
        ]
        machine = cost.machine().words
        preset = recipe.preset or recipe.name
        known = Facts(
            preset, recipe.clips, recipe.latents, recipe.seed, machine, tuple(stages), world=recipe.world
        )
        if self.init and self.init.facts:
            return facts.continued(self.init.spec.name, self.init.facts, known)
        return known

    # Data

    def _folder(self) -> Folder | None:
        """The clips of somebody's own that have to be read first."""
        recipe = self.recipe
        if self.on_world or (self.shards / "clips" / INDEX).exists():
            return None
        if not recipe.data:
            raise RequestError(f"The recipe {recipe.name} learns from your own clips: give their folder.")
        folder = Folder(Path(recipe.data), recipe.frames, recipe.size, world.FPS)
        if not recipe.allow_unlicensed:
            sources.check(folder.folder, [path.name for path in folder.files])
        return folder

    def _clips(self) -> Generator[Event, None, Shards]:
        recipe, out = self.recipe, self.shards / "clips"
        if self.folder is not None:
            yield from written("Reading clips", out, self.folder.parts(), self.folder.fps, None)
            sheet = datasheets.describe_folder(Shards(out), self.folder)
            for note in (*self.folder.notes(), *datasheets.notes_on(sheet)):
                yield Note(note)
        elif not (out / INDEX).exists():
            rendered = world.clips(
                recipe.clips, recipe.seed, recipe.frames, recipe.size, WORLDS[recipe.world]
            )
            yield from written("Rendering clips", out, rendered, world.FPS, recipe.clips)
        clips = Shards(out)
        if self.on_world and datasheet.read(out) is None:
            datasheets.describe_world(clips, recipe.world)
        return clips

    def _latents(self, tokenizer: Tokenizer, clips: Shards) -> Generator[Event, None, Shards]:
        """Latents of the kept clips first, then of fresh ones that are not kept."""
        recipe, out = self.recipe, self.shards / "latents"
        if not (out / INDEX).exists():
            more = max(0, recipe.latents - len(clips)) if self.on_world else 0
            fresh = world.clips(more, recipe.seed + 1, recipe.frames, recipe.size, WORLDS[recipe.world])
            parts = latents.encode_parts(tokenizer, chain(latents.clips_of(clips), fresh))
            yield from written("Encoding clips", out, parts, clips.fps, len(clips) + more)
        encoded = Shards(out)
        if datasheet.read(out) is None:
            datasheets.describe_latents(encoded, clips)
        return encoded

    def _words(self, clips: Shards) -> tuple[str, ...]:
        own = words(WORLDS[self.recipe.world]) if self.on_world else Vocabulary.of(clips.captions).words
        known = self.init.networks.config.words if self.init else ()
        return tuple(sorted({*own, *known}))

    # Stages

    def _train_text(self, encoder: TextEncoder, vocabulary: Vocabulary, stage: Stage) -> Iterator[Event]:
        """Learn what captions say from captions alone."""
        objective = AttributeObjective(encoder, world.CLASSES)
        count = min(CAPTIONS, stage.batch * stage.train.steps)
        length, drawn = encoder.config.length, WORLDS[self.recipe.world]
        data = world.CaptionBatches(vocabulary, length, stage.batch, count, world=drawn)
        yield from self._stage("text", objective, data, stage)

    def _stage(
        self, name: str, learner: Trainable, data: Data, stage: Stage, sheet: Sheet | None = None
    ) -> Iterator[Event]:
        """Train, or continue, and leave the averaged weights in the learner's module."""
        trainer = Trainer(learner, data, stage.train, self.out / name)
        if trainer.resume():
            yield Note(f"Resuming {name} at step {trainer.progress.step}")
        begun, elapsed = trainer.progress.step, trainer.progress.elapsed
        average, every = trainer.ema.average, 60 * self.recipe.sheets
        pictures = Pictures(self.out, name, sheet if every else None, every, elapsed)
        try:
            for step in trainer.run():
                yield Stepped(name, step)
                yield from pictures.after(step, average)
        except GeneratorExit:
            trainer.save()
            raise
        if trainer.progress.step > begun:
            yield from pictures.make(trainer.progress.step, average)
        learner.module.load_state_dict(average.state_dict())


def written(doing: str, folder: Path, parts: Parts, fps: float, total: int | None) -> Iterator[Prepared]:
    """Write shards and tell how far they are."""
    done = 0
    yield Prepared(doing, done, total)
    for done in writing(folder, parts, fps):
        yield Prepared(doing, done, total)
    if total is None:
        yield Prepared(doing, done, done)


def long_captions(clips: Shards, length: int) -> Iterator[Event]:
    long = [caption for caption in dict.fromkeys(clips.captions) if len(split(caption)) > length]
    if long:
        such = shorten(long[0], SHOWN_LETTERS, placeholder=" …")
        yield Note(f"Captions are read up to word {length}; longer are {len(long)}, such as: {such}")


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly from the first on."""
    return [items[index] for index in range(0, len(items), max(1, -(-len(items) // count)))]


def take_over(networks: Any, init: Any) -> None:
    """Copy weights, the embedding word by word: the new vocabulary holds the old one."""
    old = init.state_dict()
    old["text.embedding.weight"] = networks.text.embedding.weight.detach().clone()
    numbers = Vocabulary(networks.config.words)
    for word, row in zip(init.config.words, init.text.embedding.weight.detach()[RESERVED:], strict=True):
        old["text.embedding.weight"][numbers.encode(word, 1)[0]] = row
    old["text.embedding.weight"][:RESERVED] = init.text.embedding.weight.detach()[:RESERVED]
    networks.load_state_dict(old)
