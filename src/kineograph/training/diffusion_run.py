"""From clips to a diffusion model: tokenizer, captions, flow, and the decoder once more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from kineograph.data import latents
from kineograph.data.crops import CropBatches
from kineograph.data.shards import FieldBatches, Shards
from kineograph.models import diffusion
from kineograph.models.diffusion import Diffusion
from kineograph.models.flow import (
    DiffusionConfig,
    DiffusionNetworks,
    FlowLoss,
    FlowObjective,
)
from kineograph.models.tokenizer import Tokenizer, TokenizerObjective
from kineograph.text.vocabulary import Vocabulary
from kineograph.training.events import Event
from kineograph.training.presets import DiffusionRecipe
from kineograph.training.recipe import WORLD, Stage
from kineograph.training.run import Learner, Run, long_captions, spread, take_over
from kineograph.training.sheets import Reconstructions, Samples
from kineograph.worlds.world import WORLDS

SHOWN_CLIPS, SHOWN_SAMPLES = 3, 4  # rows of a contact sheet


class DiffusionRun(Run[DiffusionRecipe]):
    """A run of a `DiffusionRecipe`."""

    def _followed(self) -> Iterator[Event]:
        """From clips to the model, stage by stage."""
        clips = yield from self._clips()
        networks = self._networks(clips)
        yield from long_captions(clips, networks.config.text_length)
        yield from self._train_tokenizer(networks.tokenizer, clips)
        encoded = yield from self._latents(networks.tokenizer, clips)
        if "text" in self.recipe.stages:
            yield from self._train_text(
                networks.text, Vocabulary(networks.config.words), self.recipe.text_stage
            )
        networks.tokenizer.requires_grad_(False)
        yield from self._train_flow(networks, encoded, clips)
        yield from self._train_decoder(networks.tokenizer, clips)
        spec = diffusion.spec_of(self.recipe.name, networks.config)
        diffusion.save(self.out / "model", networks, spec)
        yield from self._finished(clips)

    def _networks(self, clips: Shards) -> DiffusionNetworks:
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        likeness = self.init.networks.config if self.init else DiffusionConfig(())
        as_it_is = self.init and recipe.flow_stage.train.rests
        networks = DiffusionNetworks(
            replace(
                likeness,
                words=self._words(clips),
                tokenizer=recipe.tokenizer,
                denoiser=recipe.denoiser,
                fps=clips.fps,
                push=likeness.push if as_it_is else recipe.push,
            )
        )
        if self.init is not None:
            take_over(networks, self.init.networks)
        return networks.to(self.device)

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

    def _train_flow(self, networks: DiffusionNetworks, encoded: Shards, clips: Shards) -> Iterator[Event]:
        """Over latents, captions, canvases and guides."""
        moved = nn.ModuleDict({"denoiser": networks.denoiser, "text": networks.text})
        objective = FlowObjective(networks, FlowLoss(push=networks.config.push))
        learner = Learner(moved, [objective], [networks.denoiser, networks.text])
        stage, length = self.recipe.flow_stage, networks.config.text_length
        vocabulary, seed = Vocabulary(networks.config.words), self.recipe.seed
        rows = stage.batch, stage.canvas, stage.guided, stage.played
        drawn = seed, self.recipe.balance, WORLDS[self.recipe.world] if self.recipe.data == WORLD else None
        data = latents.FlowBatches(encoded, clips, vocabulary, length, *rows, *drawn)
        shown = spread(list(dict.fromkeys(clips.captions)), SHOWN_SAMPLES)
        sheet = Samples(networks, shown, _modelled)
        yield from self._stage("flow", learner, data, stage, sheet)


def _modelled(networks: DiffusionNetworks) -> Diffusion:
    return Diffusion(networks, diffusion.spec_of("training", networks.config))
