"""Presets of the small families: what each learns, and how, in about twelve minutes on two CPU cores; and of
the main one of each family in four on a large GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from kineograph import models
from kineograph.models.dynamics import RnnConfig
from kineograph.models.flow import FlowLoss
from kineograph.models.gan import GANLoss
from kineograph.models.players import GANConfig
from kineograph.models.predictor import TransformerConfig, TransformerLoss
from kineograph.models.prompted import LatentFamily
from kineograph.models.rnn import RnnLoss
from kineograph.models.small_diffusion import SmallDiffusionConfig
from kineograph.models.stochastic import VaeConfig
from kineograph.models.vae import VaeLoss
from kineograph.training.family_recipe import FamilyRecipe
from kineograph.training.loop import TrainConfig
from kineograph.training.optim import OptimConfig
from kineograph.training.recipe import Stage, with_minutes

HOME = "playground"  # the model that has the tokenizer
MINUTES = 11  # beside the captions' one
GPU_MINUTES, GPU_BATCH = 4, 8  # the length on a large GPU, and how many times larger batches are


def _flow_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("blocks", "low", "down", "up"), weight_decay=0.01, warmup=50)
    return Stage(32, TrainConfig(minutes=MINUTES, optim=optim, compile=True), canvas=4)


@dataclass(frozen=True)
class SmallDiffusionRecipe(FamilyRecipe):
    """A small diffusion model."""

    network: SmallDiffusionConfig = field(default_factory=lambda: SmallDiffusionConfig(tokenizer_of=HOME))
    loss: FlowLoss = field(default_factory=FlowLoss)
    flow_stage: Stage = field(default_factory=_flow_stage)

    @property
    def kind(self) -> LatentFamily[Any, Any, Any]:
        return models.small_diffusion.FAMILY

    def rules(self) -> Iterator[tuple[bool, str]]:
        yield from super().rules()
        plain = self.loss.text + self.loss.independent
        yield plain <= 1, f"loss.text and loss.independent must be 1 at most together, not {plain:g}."
        folded = "models of this preset are guided when they are sampled"
        yield self.loss.push == 0, f"loss.push folds guidance in, and {folded}: leave it 0."


def diffusion_small() -> SmallDiffusionRecipe:
    """A flow in a transformer, as the flagship's."""
    return SmallDiffusionRecipe("diffusion-small", preset="diffusion-small")


def unet() -> SmallDiffusionRecipe:
    """The same in a factorised U-Net."""
    transformer = diffusion_small()
    network = replace(transformer.network, network="unet")
    return replace(transformer, name="unet", preset="unet", network=network)


def _gan_stage() -> Stage:
    optim = OptimConfig(rate=5e-4, muon=(), betas=(0.0, 0.99), weight_decay=0.0, warmup=50)
    return Stage(32, TrainConfig(minutes=MINUTES, optim=optim, ema=0.995, compile=True))


@dataclass(frozen=True)
class GANRecipe(FamilyRecipe):
    """A GAN."""

    network: GANConfig = field(default_factory=lambda: GANConfig(tokenizer_of=HOME))
    loss: GANLoss = field(default_factory=GANLoss)
    gan_stage: Stage = field(default_factory=_gan_stage)

    @property
    def kind(self) -> LatentFamily[Any, Any, Any]:
        return models.gan.FAMILY


def gan() -> GANRecipe:
    """Two players, one of which ships."""
    return GANRecipe("gan", preset="gan")


def _vae_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("encoder", "decoder", "block"), weight_decay=0.01, warmup=50)
    return Stage(32, TrainConfig(minutes=MINUTES, optim=optim, compile=True), canvas=4, guided=16)


@dataclass(frozen=True)
class VaeRecipe(FamilyRecipe):
    """A generative VAE."""

    network: VaeConfig = field(default_factory=lambda: VaeConfig(tokenizer_of=HOME))
    loss: VaeLoss = field(default_factory=VaeLoss)
    vae_stage: Stage = field(default_factory=_vae_stage)

    @property
    def kind(self) -> LatentFamily[Any, Any, Any]:
        return models.vae.FAMILY


def vae() -> VaeRecipe:
    """A prior that is learnt, and a style apart."""
    return VaeRecipe("vae", preset="vae")


def _rnn_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("blocks", "cells"), weight_decay=0.01, warmup=50)
    return Stage(16, TrainConfig(minutes=MINUTES, optim=optim, compile=True), canvas=4, guided=6, played=2)


@dataclass(frozen=True)
class RnnRecipe(FamilyRecipe):
    """A model that predicts frame after frame."""

    network: RnnConfig = field(default_factory=lambda: RnnConfig(tokenizer_of=HOME))
    loss: RnnLoss = field(default_factory=RnnLoss)
    rnn_stage: Stage = field(default_factory=_rnn_stage)

    @property
    def kind(self) -> LatentFamily[Any, Any, Any]:
        return models.rnn.FAMILY


def recurrent(cell: str, width: int, depth: int) -> RnnRecipe:
    """Cells of one kind, whose name is the preset's too."""
    recipe = RnnRecipe(cell, preset=cell)
    return replace(recipe, network=replace(recipe.network, cell=cell, width=width, depth=depth))


def convlstm() -> RnnRecipe:
    """Convolutional LSTM."""
    return recurrent("convlstm", 68, 2)


def convgru() -> RnnRecipe:
    """Convolutional GRU."""
    return recurrent("convgru", 80, 2)


def lstm() -> RnnRecipe:
    """LSTM over whole latent frames."""
    return recurrent("lstm", 160, 1)


def gru() -> RnnRecipe:
    """GRU over whole latent frames."""
    return recurrent("gru", 168, 1)


def mingru() -> RnnRecipe:
    """minGRU over maps, whose training needs no loop over time."""
    return recurrent("mingru", 96, 4)


def predrnn() -> RnnRecipe:
    """Spatio-temporal LSTM."""
    return recurrent("predrnn", 48, 2)


def _codes_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("encoder", "decoder"), weight_decay=0.0, warmup=50)
    return Stage(32, TrainConfig(minutes=2, optim=optim))


def _transformer_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("blocks",), weight_decay=0.01, warmup=50)
    return Stage(16, TrainConfig(minutes=MINUTES - 2, optim=optim, seed=1, compile=True), canvas=2)


@dataclass(frozen=True)
class TransformerRecipe(FamilyRecipe):
    """A transformer over discrete codes, which are learnt first."""

    network: TransformerConfig = field(default_factory=lambda: TransformerConfig(tokenizer_of=HOME))
    loss: TransformerLoss = field(default_factory=TransformerLoss)
    codes_stage: Stage = field(default_factory=_codes_stage)
    transformer_stage: Stage = field(default_factory=_transformer_stage)

    @property
    def kind(self) -> LatentFamily[Any, Any, Any]:
        return models.transformer.FAMILY


def transformer() -> TransformerRecipe:
    """Masked codes, a latent frame after another."""
    return TransformerRecipe("transformer", preset="transformer")


def raster() -> TransformerRecipe:
    """Codes in raster order."""
    masked = transformer()
    network = replace(masked.network, order="raster")
    ordered = replace(masked.transformer_stage, canvas=0)
    return replace(masked, name="raster", preset="raster", network=network, transformer_stage=ordered)


# On a large GPU


def on_gpu(preset: Callable[[], FamilyRecipe]) -> FamilyRecipe:
    """The same networks on one large GPU: larger batches, more clips, four minutes."""
    recipe = with_minutes(preset(), GPU_MINUTES)
    stages: dict[str, Any] = {f"{name}_stage": _larger(stage) for name, stage in recipe.stages.items()}
    larger = replace(recipe, preset=f"{recipe.preset}-gpu", clips=8192, latents=65_536, **stages)
    assert isinstance(larger, FamilyRecipe)
    return larger


def _larger(stage: Stage) -> Stage:
    rows = {name: GPU_BATCH * getattr(stage, name) for name in ("batch", "canvas", "guided", "played")}
    return replace(stage, **rows)


ON_GPU = {
    f"{preset().preset}-gpu": partial(on_gpu, preset)
    for preset in (diffusion_small, gan, vae, convlstm, transformer)
}
