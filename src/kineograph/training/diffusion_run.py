"""From clips to a diffusion model: tokenizer, captions, flow, leaps, and the decoder once more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from kineograph.data import latents
from kineograph.data.crops import CropBatches
from kineograph.data.shards import FieldBatches, Shards
from kineograph.models import diffusion
from kineograph.models.adapter import Adapter
from kineograph.models.diffusion import DEFAULT_SAMPLING, LEAPING, Diffusion
from kineograph.models.distillation import LeapObjective
from kineograph.models.flow import DiffusionConfig, DiffusionNetworks, FlowObjective
from kineograph.models.tokenizer import Tokenizer, TokenizerObjective
from kineograph.sampling.settings import Sampling
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
        if networks.leaps is not None:
            yield from self._train_leaps(networks, networks.leaps, encoded, clips)
        yield from self._train_decoder(networks.tokenizer, clips)
        spec = diffusion.spec_of(self.recipe.name, networks.config, self._sampling())
        diffusion.save(self.out / "model", networks, spec)
        yield from self._finished(clips)

    def _networks(self, clips: Shards) -> DiffusionNetworks:
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        rank = recipe.leap_rank if self._sampling() == LEAPING else 0
        likeness = self.init.networks.config if self.init else DiffusionConfig(())
        networks = DiffusionNetworks(
            replace(
                likeness,
                words=self._words(clips),
                tokenizer=recipe.tokenizer,
                denoiser=recipe.denoiser,
                fps=clips.fps,
                leap_rank=rank,
            )
        )
        if self.init is not None:
            if likeness.leap_rank != rank:
                self.init.networks.leaps = networks.leaps  # which are learnt anew, or not at all
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

    def _sampling(self) -> Sampling:
        """By leaps, if they were the last that was learnt of the flow."""
        recipe = self.recipe
        kept = recipe.flow_stage.train.rests and self.init and self.init.spec.sampling == LEAPING
        return LEAPING if kept or not recipe.leap_stage.train.rests else DEFAULT_SAMPLING

    def _train_flow(self, networks: DiffusionNetworks, encoded: Shards, clips: Shards) -> Iterator[Event]:
        moved = nn.ModuleDict({"denoiser": networks.denoiser, "text": networks.text})
        learner = Learner(moved, [FlowObjective(networks)], [networks.denoiser, networks.text])
        yield from self._led("flow", learner, networks, encoded, clips)

    def _train_leaps(
        self, networks: DiffusionNetworks, leaps: Adapter, encoded: Shards, clips: Shards
    ) -> Iterator[Event]:
        """From noise to data in few steps; the flow stays what it is."""
        moved = nn.ModuleDict({"leaps": leaps})
        learner = Learner(moved, [LeapObjective(networks, leaps)], [networks.denoiser])
        yield from self._led("leap", learner, networks, encoded, clips)

    def _led(
        self, name: str, learner: Learner, networks: DiffusionNetworks, encoded: Shards, clips: Shards
    ) -> Iterator[Event]:
        """A stage over latents, captions, canvases and guides."""
        stage, length = self.recipe.stages[name], networks.config.text_length
        vocabulary, seed = Vocabulary(networks.config.words), self.recipe.seed
        rows = stage.batch, stage.canvas, stage.guided, stage.played
        drawn = seed, self.recipe.balance, WORLDS[self.recipe.world] if self.recipe.data == WORLD else None
        data = latents.FlowBatches(encoded, clips, vocabulary, length, *rows, *drawn)
        shown = spread(list(dict.fromkeys(clips.captions)), SHOWN_SAMPLES)
        sampling = LEAPING if name == "leap" else DEFAULT_SAMPLING
        sheet = Samples(networks, shown, partial(_modelled, sampling))
        yield from self._stage(name, learner, data, stage, sheet)


def _modelled(sampling: Sampling, networks: DiffusionNetworks) -> Diffusion:
    return Diffusion(networks, diffusion.spec_of("training", networks.config, sampling))
