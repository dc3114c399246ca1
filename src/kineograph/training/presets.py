"""Presets: functions that return recipes, which variants call and alter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch

from kineograph import catalog
from kineograph.models.denoiser import DenoiserConfig
from kineograph.models.flow import PUSH, DiffusionConfig, DiffusionNetworks
from kineograph.models.folding import CANVAS
from kineograph.models.guides import fold_guides, untold
from kineograph.models.tokenizer import SPACE_STRIDE, TokenizerConfig
from kineograph.training import family_presets
from kineograph.training.loop import TrainConfig
from kineograph.training.optim import OptimConfig
from kineograph.training.recipe import WORLD, Recipe, Stage, grid_rules, lasting


def _tokenizer_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("encoder", "decoder"), weight_decay=0.0, warmup=50)
    return Stage(8, TrainConfig(minutes=25, optim=optim), crop=64)


def _decoder_stage() -> Stage:
    tokenizer = _tokenizer_stage()
    return lasting(replace(tokenizer, train=replace(tokenizer.train, seed=1)), 8)


def _text_stage() -> Stage:
    return Stage(128, TrainConfig(steps=1500, minutes=1, optim=OptimConfig(rate=2e-3, muon=(), warmup=50)))


def _flow_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("blocks",), weight_decay=0.01, warmup=200)
    return Stage(64, TrainConfig(minutes=41, optim=optim, compile=True), canvas=12, guided=40, played=16)


@dataclass(frozen=True)
class DiffusionRecipe(Recipe):
    """A diffusion model, from its tokenizer on. Clips are kept as pixels for that and for canvases.
    `push` is what of guidance is folded into the flow, see `models.flow.FlowLoss`."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    push: float = PUSH
    tokenizer_stage: Stage = field(default_factory=_tokenizer_stage)
    text_stage: Stage = field(default_factory=_text_stage)
    flow_stage: Stage = field(default_factory=_flow_stage)
    decoder_stage: Stage = field(default_factory=_decoder_stage)

    @property
    def grid(self) -> tuple[int, int, int]:
        return self.denoiser.grid

    @property
    def stages(self) -> dict[str, Stage]:
        """The stages by name, in their order. What captions say is learnt by itself where they are the
        world's and no model is there that knows them."""
        text = {"text": self.text_stage} if self.data == WORLD and not self.init else {}
        return {
            "tokenizer": self.tokenizer_stage,
            **text,
            "flow": self.flow_stage,
            "decoder": self.decoder_stage,
        }

    @property
    def family(self) -> str:
        return "diffusion"

    def fits(self, config: DiffusionConfig) -> bool:
        return (self.tokenizer, self.denoiser) == (config.tokenizer, config.denoiser)

    def starting_from(self, config: DiffusionConfig) -> DiffusionRecipe:
        """On the world, whose clips its tokenizer knows, that one rests."""
        taken = replace(self, tokenizer=config.tokenizer, denoiser=config.denoiser, push=config.push)
        if self.data != WORLD:
            return taken
        rest = {name: lasting(self.stages[name], 0) for name in ("tokenizer", "decoder")}
        return replace(taken, tokenizer_stage=rest["tokenizer"], decoder_stage=rest["decoder"])

    def rules(self) -> Iterator[tuple[bool, str]]:
        yield from grid_rules("denoiser.grid", self.grid)
        sizes = self.denoiser.depth, self.denoiser.width
        yield min(sizes) >= 1, "denoiser.width and depth must be above 0."
        yield 0 <= self.push < 1, f"push must be 0 or more and below 1, not {self.push}."
        depths = (*self.tokenizer.encoder_depths, *self.tokenizer.decoder_depths)
        yield min(depths) >= 0, "tokenizer.encoder_depths and decoder_depths must be 0 or more."

    @torch.inference_mode()
    def try_networks(self) -> None:
        networks = DiffusionNetworks(DiffusionConfig(("a",), self.tokenizer, self.denoiser))
        latents = networks.tokenizer.encode(torch.zeros(1, 1, 3, SPACE_STRIDE, SPACE_STRIDE))
        networks.tokenizer.decode(latents)
        groups, height, width = self.grid
        caption = networks.text(torch.zeros(1, networks.config.text_length, dtype=torch.long))
        canvas = torch.zeros(1, groups, height, width, CANVAS)
        guides = fold_guides(untold(1, self.grid, self.denoiser.channels))
        z = latents.expand(-1, groups, -1, height, width)
        networks.velocity(z, torch.zeros(1, groups), caption, canvas, guides)


def playground() -> DiffusionRecipe:
    """The shipped model, on two CPU cores: about 75 minutes of training from nothing."""
    return DiffusionRecipe("playground", preset="playground")


def playground_gpu() -> DiffusionRecipe:
    """The same networks on one large GPU: larger batches, more clips, about 22 minutes."""
    cpu = playground()
    return replace(
        cpu,
        preset="playground-gpu",
        clips=16_384,
        latents=262_144,
        tokenizer_stage=lasting(replace(cpu.tokenizer_stage, batch=32), 7),
        flow_stage=lasting(replace(cpu.flow_stage, batch=512, canvas=96, guided=320, played=128), 13),
        decoder_stage=lasting(replace(cpu.decoder_stage, batch=32), 2),
    )


def footage() -> DiffusionRecipe:
    """A user's own clips: a few of them, learnt by heart from the shipped tokenizer's start."""
    cpu = playground()
    return replace(
        cpu,
        name="footage",
        preset="footage",
        data="",
        init=cpu.name if cpu.name in catalog.names() else "",
        tokenizer_stage=lasting(cpu.tokenizer_stage, 8),
        flow_stage=lasting(replace(cpu.flow_stage, batch=16, canvas=2, guided=2, played=0), 10),
        decoder_stage=lasting(cpu.decoder_stage, 0),
    )


PRESETS: dict[str, Callable[[], Recipe]] = {
    "playground": playground,
    "playground-gpu": playground_gpu,
    "footage": footage,
    "diffusion-small": family_presets.diffusion_small,
    "unet": family_presets.unet,
    "gan": family_presets.gan,
    "vae": family_presets.vae,
    "convlstm": family_presets.convlstm,
    "convgru": family_presets.convgru,
    "lstm": family_presets.lstm,
    "gru": family_presets.gru,
    "mingru": family_presets.mingru,
    "predrnn": family_presets.predrnn,
    "transformer": family_presets.transformer,
    "raster": family_presets.raster,
    **family_presets.ON_GPU,
}
