"""A recipe from clips to a model in a folder, stage by stage; a stage that is done is not done again.

OUT/recipe.json  .lock               what it is a run of; held while one is at work
OUT/clips  latents                   shards
OUT/tokenizer  text  flow  leap  decoder   checkpoints, logs, the loss as a curve
OUT/sheets                           what the stages make, in pictures
OUT/model                            what `kineograph.load` reads
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import TypeVar

import torch
from torch import nn

from kineograph.data import latents, world
from kineograph.data.crops import CropBatches
from kineograph.data.folder import Folder
from kineograph.data.shards import INDEX, FieldBatches, Parts, Shards, writing
from kineograph.errors import RequestError
from kineograph.evaluation import cost, facts
from kineograph.evaluation.facts import Facts
from kineograph.lock import locked
from kineograph.models import diffusion
from kineograph.models.diffusion import DEFAULT_SAMPLING, LEAPING
from kineograph.models.distillation import LeapObjective
from kineograph.models.flow import DiffusionConfig, DiffusionNetworks, FlowObjective
from kineograph.models.tokenizer import Tokenizer, TokenizerObjective
from kineograph.sampling.settings import Sampling
from kineograph.text.pretrain import AttributeObjective
from kineograph.text.vocabulary import RESERVED, Vocabulary, split
from kineograph.training import log, recipes
from kineograph.training.events import Event, Finished, Note, Prepared, Shown, Stepped
from kineograph.training.loop import Data, Objective, Trainable, Trainer
from kineograph.training.pictures import Pictures
from kineograph.training.presets import WORLD, Recipe, Stage
from kineograph.training.sheets import Reconstructions, Samples, Sheet
from kineograph.worlds.captions import words
from kineograph.worlds.world import FULL

__all__ = ["Event", "Finished", "Learner", "Note", "Prepared", "Run", "Shown", "Stepped"]

T = TypeVar("T")
SHOWN_CLIPS, SHOWN_SAMPLES = 3, 4  # rows of a contact sheet
SHOWN_LETTERS = 200  # of a caption
CAPTIONS = 20_000  # to learn what captions say from
CARD_FIGURES = {
    "tokenizer": "psnr",
    "text": "right",
    "flow": "loss",
    "leap": "loss",
    "decoder": "psnr",
}  # shown as curves


@dataclass
class Learner:
    """A module with the objectives that train it."""

    module: nn.Module
    objectives: list[Objective]
    hot: list[nn.Module]


class Run:
    """One recipe in one folder, on one device.

    Args:
        recipe: what to make.
        out: the folder, in which a run is continued if it is there.

    Raises:
        RequestError: the recipe can't be followed.
        DataError, ModelError: what the recipe names is not there.
    """

    def __init__(self, recipe: Recipe, out: Path) -> None:
        recipes.check(recipe)
        self.recipe, self.out = recipe, out
        self.on_world = recipe.data == WORLD
        self.init = recipes.init_of(recipe.init) if recipe.init else None
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

    def _followed(self) -> Iterator[Event]:
        """From clips to the model, stage by stage."""
        clips = yield from self._clips()
        networks = self._networks(clips)
        yield from _long_captions(clips, networks.config.text_length)
        yield from self._train_tokenizer(networks.tokenizer, clips)
        encoded = yield from self._latents(networks.tokenizer, clips)
        if "text" in self.recipe.stages:
            yield from self._train_text(networks)
        networks.tokenizer.requires_grad_(False)
        yield from self._train_flow("flow", networks, encoded, clips)
        yield from self._train_flow("leap", networks, encoded, clips)
        yield from self._train_decoder(networks.tokenizer, clips)
        folder = self.out / "model"
        diffusion.save(
            folder, networks, diffusion.spec_of(self.recipe.name, networks.config, self._sampling())
        )
        if (known := self._facts()) is not None:
            facts.write(folder, known)
        yield Finished(folder, shorten(clips.captions[0], SHOWN_LETTERS, placeholder=""))

    def _facts(self) -> Facts | None:
        """What the card tells of this training, and of that of the model it started from; stages that rested
        are left out. None where not all of it was on the world, or some of it isn't known."""
        if not self.on_world or (self.init and self.init.facts is None):
            return None
        recipe = self.recipe
        stages = [
            facts.stage_of(name, lines, stage.batch, CARD_FIGURES[name])
            for name, stage in recipe.stages.items()
            if (lines := log.read(self.out / name))
        ]
        on = cost.machine()
        machine = f"{on.cores} cores of {on.processor}, {on.precision}, torch {on.torch}"
        preset = recipe.preset or recipe.name
        known = Facts(preset, recipe.clips, recipe.latents, recipe.seed, machine, tuple(stages))
        if self.init and self.init.facts:
            return facts.continued(self.init.spec.name, self.init.facts, known)
        return known

    # Data

    def _folder(self) -> Folder | None:
        """The clips of somebody's own that have to be read first."""
        recipe = self.recipe
        if self.on_world or (self.out / "clips" / INDEX).exists():
            return None
        if not recipe.data:
            raise RequestError(f"The recipe {recipe.name} learns from your own clips: give their folder.")
        return Folder(Path(recipe.data), recipe.frames, recipe.size, world.FPS)

    def _clips(self) -> Generator[Event, None, Shards]:
        recipe, out = self.recipe, self.out / "clips"
        if self.folder is not None:
            yield from _written("Reading clips", out, self.folder.parts(), self.folder.fps, None)
            for note in self.folder.notes():
                yield Note(note)
        elif not (out / INDEX).exists():
            rendered = world.clips(recipe.clips, recipe.seed, recipe.frames, recipe.size)
            yield from _written("Rendering clips", out, rendered, world.FPS, recipe.clips)
        return Shards(out)

    def _latents(self, tokenizer: Tokenizer, clips: Shards) -> Generator[Event, None, Shards]:
        """Latents of the kept clips first, then of fresh ones that are not kept."""
        recipe, out = self.recipe, self.out / "latents"
        if not (out / INDEX).exists():
            more = max(0, recipe.latents - len(clips)) if self.on_world else 0
            fresh = world.clips(more, recipe.seed + 1, recipe.frames, recipe.size)
            parts = latents.encode_parts(tokenizer, chain(latents.clips_of(clips), fresh))
            yield from _written("Encoding clips", out, parts, clips.fps, len(clips) + more)
        return Shards(out)

    def _networks(self, clips: Shards) -> DiffusionNetworks:
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        likeness = self.init.networks.config if self.init else DiffusionConfig(())
        networks = DiffusionNetworks(
            replace(
                likeness,
                words=self._words(clips),
                tokenizer=recipe.tokenizer,
                denoiser=recipe.denoiser,
                fps=clips.fps,
            )
        )
        if self.init is not None:
            _take_over(networks, self.init.networks)
        return networks.to(self.device)

    def _words(self, clips: Shards) -> tuple[str, ...]:
        own = words(FULL) if self.on_world else Vocabulary.of(clips.captions).words
        known = self.init.networks.config.words if self.init else ()
        return tuple(sorted({*own, *known}))

    # Stages

    def _train_tokenizer(self, tokenizer: Tokenizer, clips: Shards) -> Iterator[Event]:
        stage = self.recipe.tokenizer_stage
        yield from self._train_pixels("tokenizer", tokenizer, clips, stage)
        if self.init is None or not stage.train.rests:  # else the flow knows its latents as they are
            latents.measure(tokenizer, clips)

    def _train_decoder(self, tokenizer: Tokenizer, clips: Shards) -> Iterator[Event]:
        """Sharpen the decoder; the encoder rests, so the latents that the flow learnt stay what they are."""
        tokenizer.decoder.requires_grad_(True)
        yield from self._train_pixels("decoder", tokenizer, clips, self.recipe.decoder_stage)

    def _train_pixels(self, name: str, tokenizer: Tokenizer, clips: Shards, stage: Stage) -> Iterator[Event]:
        fields = tuple(field for field in ("frames", "focus") if field in clips.fields())
        objective = TokenizerObjective(tokenizer)
        whole = FieldBatches(clips, fields, stage.batch, self.recipe.seed + stage.train.seed)
        data = CropBatches(whole, stage.crop) if stage.crop else whole
        shown = spread(range(len(clips)), SHOWN_CLIPS)
        frames = torch.stack([clips.clip(index, "frames") for index in shown])
        sheet = Reconstructions(frames, [clips.captions[index] for index in shown], clips.fps)
        yield from self._stage(name, Learner(tokenizer, [objective], []), data, stage, sheet)

    def _train_text(self, networks: DiffusionNetworks) -> Iterator[Event]:
        stage, vocabulary = self.recipe.text_stage, Vocabulary(networks.config.words)
        objective = AttributeObjective(networks.text, world.CLASSES)
        count = min(CAPTIONS, stage.batch * stage.train.steps)
        data = world.CaptionBatches(vocabulary, networks.config.text_length, stage.batch, count)
        yield from self._stage("text", objective, data, stage)

    def _sampling(self) -> Sampling:
        """By leaps, if they were the last that was learnt of the flow."""
        recipe = self.recipe
        kept = recipe.flow_stage.train.rests and self.init and self.init.spec.sampling == LEAPING
        return LEAPING if kept or not recipe.leap_stage.train.rests else DEFAULT_SAMPLING

    def _train_flow(
        self, name: str, networks: DiffusionNetworks, encoded: Shards, clips: Shards
    ) -> Iterator[Event]:
        """The flow, and then its leaps from noise to data."""
        stage, length = self.recipe.stages[name], networks.config.text_length
        vocabulary, seed = Vocabulary(networks.config.words), self.recipe.seed
        rows = stage.batch, stage.canvas, stage.guided
        data = latents.FlowBatches(encoded, clips, vocabulary, length, *rows, seed)
        moved = nn.ModuleDict({"denoiser": networks.denoiser, "text": networks.text})
        shown = spread(list(dict.fromkeys(clips.captions)), SHOWN_SAMPLES)
        if name == "flow":
            learner = Learner(moved, [FlowObjective(networks)], [networks.denoiser])
            sheet = Samples(networks, shown, DEFAULT_SAMPLING)
        else:
            leaps = LeapObjective(networks)
            learner = Learner(moved, [leaps], [networks.denoiser, leaps.teacher.denoiser])
            sheet = Samples(networks, shown, LEAPING)
        yield from self._stage(name, learner, data, stage, sheet)

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


def _written(doing: str, folder: Path, parts: Parts, fps: float, total: int | None) -> Iterator[Event]:
    done = 0
    yield Prepared(doing, done, total)
    for done in writing(folder, parts, fps):
        yield Prepared(doing, done, total)
    if total is None:
        yield Prepared(doing, done, done)


def _long_captions(clips: Shards, length: int) -> Iterator[Event]:
    long = [caption for caption in dict.fromkeys(clips.captions) if len(split(caption)) > length]
    if long:
        such = shorten(long[0], SHOWN_LETTERS, placeholder=" …")
        yield Note(f"Captions are read up to word {length}; longer are {len(long)}, such as: {such}")


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly from the first on."""
    return [items[index] for index in range(0, len(items), max(1, -(-len(items) // count)))]


def _take_over(networks: DiffusionNetworks, init: DiffusionNetworks) -> None:
    """Copy weights, the embedding word by word: the new vocabulary holds the old one."""
    old = init.state_dict()
    old["text.embedding.weight"] = networks.text.embedding.weight.detach().clone()
    numbers = Vocabulary(networks.config.words)
    for word, row in zip(init.config.words, init.text.embedding.weight.detach()[RESERVED:], strict=True):
        old["text.embedding.weight"][numbers.encode(word, 1)[0]] = row
    old["text.embedding.weight"][:RESERVED] = init.text.embedding.weight.detach()[:RESERVED]
    networks.load_state_dict(old)
