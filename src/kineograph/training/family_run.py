"""From clips to a model of one of the small families, which rest on the tokenizer of a model that ships."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from kineograph.data import latents
from kineograph.data.shards import Shards
from kineograph.models import prompted
from kineograph.models.prompted import LatentNetworks, encoder_hash
from kineograph.text.vocabulary import Vocabulary
from kineograph.training.events import Event
from kineograph.training.family_recipe import FamilyRecipe, tokenizer_of
from kineograph.training.run import Learner, Run, long_captions, spread, take_over
from kineograph.training.sheets import Samples

SHOWN_SAMPLES = 4  # rows of a contact sheet


class FamilyRun(Run[FamilyRecipe]):
    """A run of a `FamilyRecipe`."""

    def _followed(self) -> Iterator[Event]:
        clips = yield from self._clips()
        networks = self._networks(clips)
        config = networks.config
        yield from long_captions(clips, config.text_length)
        encoded = yield from self._latents(networks.tokenizer, clips)
        networks.tokenizer.requires_grad_(False)
        if "text" in self.recipe.stages:
            stage, vocabulary = self.recipe.text_stage, Vocabulary(config.words)
            yield from self._train_text(networks.text, vocabulary, stage)
        for name in self.recipe.kind.objectives:
            yield from self._train(name, networks, encoded, clips)
        spec = self.recipe.kind.spec_of(self.recipe.name, config)
        prompted.save(self.out / "model", networks, spec)
        yield from self._finished(clips)

    def _networks(self, clips: Shards) -> LatentNetworks[Any]:
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        tokenizer = tokenizer_of(recipe.network)
        config = replace(
            recipe.network,
            words=self._words(clips),
            fps=clips.fps,
            tokenizer=tokenizer.config,
            encoder_hash=encoder_hash(tokenizer),
        )
        networks: LatentNetworks[Any] = recipe.kind.networks(config)
        networks.tokenizer.load_state_dict(tokenizer.state_dict())
        if self.init is not None:
            take_over(networks, self.init.networks)
        return networks.to(self.device)

    def _train(
        self, name: str, networks: LatentNetworks[Any], encoded: Shards, clips: Shards
    ) -> Iterator[Event]:
        recipe, config = self.recipe, networks.config
        stage = recipe.stages[name]
        rows = stage.batch, stage.canvas, stage.guided, stage.played
        vocabulary = Vocabulary(config.words)
        drawn = recipe.seed, recipe.balance
        data = latents.FlowBatches(encoded, clips, vocabulary, config.text_length, *rows, *drawn)
        own = {part: module for part, module in networks.named_children() if part != "tokenizer"}
        objectives = recipe.objectives(name, networks)
        learner = Learner(nn.ModuleDict(own), objectives, recipe.kind.hot(networks))
        shown = spread(list(dict.fromkeys(clips.captions)), SHOWN_SAMPLES)
        sheet = Samples(networks, shown, partial(recipe.kind.modelled, "training"))
        yield from self._stage(name, learner, data, stage, sheet)
