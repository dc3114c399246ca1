"""A recipe from clips to a model in a folder, stage by stage; a stage that is done is not done again.

    OUT/clips  latents       shards
    OUT/tokenizer  text  flow    checkpoints and logs
    OUT/model                what `kineograph.load` reads
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import nn

from kineograph.data import latents, world
from kineograph.data.shards import INDEX, FieldBatches, Shards
from kineograph.models import diffusion
from kineograph.models.diffusion import DiffusionConfig, DiffusionNetworks, FlowObjective
from kineograph.models.tokenizer import Tokenizer, TokenizerObjective
from kineograph.text.pretrain import AttributeObjective
from kineograph.text.vocabulary import RESERVED, Vocabulary
from kineograph.training.loop import Data, Objective, Trainer, TrainStep
from kineograph.training.presets import Recipe, Stage
from kineograph.worlds.captions import words


@dataclass(frozen=True)
class Stepped:
    """A training step of a stage."""

    stage: str
    step: TrainStep


@dataclass(frozen=True)
class Note:
    """Something worth saying."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The model's folder."""

    folder: Path


Event = Stepped | Note | Finished


@dataclass
class Learner:
    """A module with the objectives that train it."""

    module: nn.Module
    objectives: list[Objective]
    hot: list[nn.Module]


class Run:
    """One recipe in one folder, on one device."""

    def __init__(
        self, recipe: Recipe, out: Path, *, clips: Shards | None = None, init: DiffusionNetworks | None = None
    ) -> None:
        self.recipe, self.out, self.own, self.init = recipe, out, clips, init
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def events(self) -> Iterator[Event]:
        """Do what is not done yet, telling of every step."""
        clips = yield from self._clips()
        vocabulary = self._vocabulary(clips)
        networks = self._networks(vocabulary)
        yield from self._train_tokenizer(networks.tokenizer, clips)
        encoded = yield from self._latents(networks.tokenizer, clips)
        if self.own is None and self.init is None:
            yield from self._train_text(networks, vocabulary)
        networks.tokenizer.requires_grad_(False)
        yield from self._train_flow(networks, encoded, clips, vocabulary)
        folder = self.out / "model"
        diffusion.save(folder, networks, diffusion.spec_of(self.recipe.name, networks.config))
        yield Finished(folder)

    # Data

    def _clips(self) -> Iterator[Event]:
        recipe, folder = self.recipe, self.out / "clips"
        if self.own is not None:
            return self.own
        if not (folder / INDEX).exists():
            yield Note(f"Rendering {recipe.clips} clips")
            world.write_clips(folder, recipe.clips, recipe.seed, recipe.frames, recipe.size)
        return Shards(folder)

    def _latents(self, tokenizer: Tokenizer, clips: Shards) -> Iterator[Event]:
        """Latents of the kept clips first, then of fresh ones that are not kept."""
        recipe, folder = self.recipe, self.out / "latents"
        if not (folder / INDEX).exists():
            more = 0 if self.own is not None else max(0, recipe.latents - len(clips))
            yield Note(f"Encoding {len(clips) + more} clips")
            fresh = world.clips(more, recipe.seed + 1, recipe.frames, recipe.size, truth=False)
            latents.write_latents(folder, tokenizer, chain(latents.clips_of(clips), fresh), clips.fps)
        return Shards(folder)

    def _vocabulary(self, clips: Shards) -> Vocabulary:
        own = set(words()) if self.own is None else set(Vocabulary.of(clips.captions).words)
        known = set(self.init.config.words) if self.init else set()
        return Vocabulary(tuple(sorted(own | known)))

    def _networks(self, vocabulary: Vocabulary) -> DiffusionNetworks:
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        config = DiffusionConfig(vocabulary.words, recipe.tokenizer, recipe.denoiser)
        networks = DiffusionNetworks(config)
        if self.init is not None:
            _take_over(networks, self.init)
        return networks.to(self.device)

    # Stages

    def _train_tokenizer(self, tokenizer: Tokenizer, clips: Shards) -> Iterator[Event]:
        stage = self.recipe.tokenizer_stage
        fields = tuple(name for name in ("frames", "focus") if name in clips.fields())
        tokenizer.to(memory_format=torch.channels_last)
        objective = TokenizerObjective(tokenizer)
        data = FieldBatches(clips, fields, stage.batch, self.recipe.seed)
        yield from self._stage("tokenizer", Learner(tokenizer, [objective], []), data, stage)
        latents.measure(tokenizer, clips)

    def _train_text(self, networks: DiffusionNetworks, vocabulary: Vocabulary) -> Iterator[Event]:
        stage = self.recipe.text_stage
        objective = AttributeObjective(networks.text, world.CLASSES)
        data = world.CaptionBatches(vocabulary, networks.config.text_length, stage.batch)
        yield from self._stage("text", objective, data, stage)

    def _train_flow(
        self, networks: DiffusionNetworks, encoded: Shards, clips: Shards, vocabulary: Vocabulary
    ) -> Iterator[Event]:
        stage, length = self.recipe.flow_stage, networks.config.text_length
        data = latents.FlowBatches(encoded, clips, vocabulary, length, stage.batch, stage.canvas, self.recipe.seed)
        moved = nn.ModuleDict({"denoiser": networks.denoiser, "text": networks.text})
        yield from self._stage("flow", Learner(moved, [FlowObjective(networks)], [networks.denoiser]), data, stage)

    def _stage(self, name: str, learner: Learner, data: Data, stage: Stage) -> Iterator[Event]:
        """Train, or continue, and leave the averaged weights in the learner's module."""
        trainer = Trainer(learner, data, stage.train, self.out / name)
        if trainer.resume():
            yield Note(f"Resuming {name} at step {trainer.progress.step}")
        for step in trainer.run():
            yield Stepped(name, step)
        learner.module.load_state_dict(trainer.ema.average.state_dict())


def _take_over(networks: DiffusionNetworks, init: DiffusionNetworks) -> None:
    """Copy weights, the embedding word by word: the new vocabulary holds the old one."""
    old = init.state_dict()
    old["text.embedding.weight"] = networks.text.embedding.weight.detach().clone()
    numbers = Vocabulary(networks.config.words)
    for word, row in zip(init.config.words, init.text.embedding.weight.detach()[RESERVED:], strict=True):
        old["text.embedding.weight"][numbers.encode(word, 1)[0]] = row
    old["text.embedding.weight"][:RESERVED] = init.text.embedding.weight.detach()[:RESERVED]
    networks.load_state_dict(old)
