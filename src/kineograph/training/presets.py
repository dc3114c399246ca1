"""Presets: functions that return recipes, which variants call and alter."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from kineograph import catalog
from kineograph.errors import RequestError
from kineograph.models.denoiser import DenoiserConfig
from kineograph.models.tokenizer import TokenizerConfig
from kineograph.training.loop import TrainConfig
from kineograph.training.optim import OptimConfig

WORLD = "world"


@dataclass(frozen=True)
class Stage:
    """One training run within a recipe: `batch` clips a step, of which `canvas` bring a canvas to the flow,
    and `guided` (those among them) guides.

    Where pixels are learnt, most steps show crops of `crop` pixels instead (0: never), of as many clips more
    as keep the number of pixels: a step counts as `batch` clips all the same.
    """

    batch: int
    train: TrainConfig
    canvas: int = 0
    guided: int = 0
    crop: int = 0


def _tokenizer_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("encoder", "decoder"), weight_decay=0.0, warmup=50)
    return Stage(8, TrainConfig(minutes=25, optim=optim), crop=64)


def _decoder_stage() -> Stage:
    tokenizer = _tokenizer_stage()
    return _lasting(replace(tokenizer, train=replace(tokenizer.train, seed=1)), 8)


def _text_stage() -> Stage:
    return Stage(128, TrainConfig(steps=1500, minutes=1, optim=OptimConfig(rate=2e-3, muon=(), warmup=50)))


def _flow_stage() -> Stage:
    optim = OptimConfig(rate=2e-3, muon=("blocks",), weight_decay=0.01, warmup=200)
    return Stage(64, TrainConfig(minutes=41, optim=optim, compile=True), canvas=12, guided=28)


def _leap_stage() -> Stage:
    optim = OptimConfig(rate=1e-3, muon=("blocks",), weight_decay=0.01, warmup=50)
    train = TrainConfig(minutes=20, optim=optim, ema=0.99, seed=2, compile=True)
    return Stage(16, train, canvas=3, guided=7)


@dataclass(frozen=True)
class Recipe:
    """Everything that `kineo train` needs to make a diffusion model.

    `name` is the model's, `preset` what the recipe was made by. `data` is "world" (rendered clips) or a
    folder of clips, `init` a model to start from, "" for none, and `init_hash` the hash of its weights, ""
    until a run has loaded them. Of the world, `clips` are kept as pixels for the tokenizer and for canvases,
    `latents` (at least as many) as latents. `sheets` are the minutes from one contact sheet to the next, 0
    for none.
    """

    name: str
    preset: str = ""
    data: str = WORLD
    init: str = ""
    init_hash: str = ""
    clips: int = 4096
    latents: int = 24_576
    seed: int = 1
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    tokenizer_stage: Stage = field(default_factory=_tokenizer_stage)
    text_stage: Stage = field(default_factory=_text_stage)
    flow_stage: Stage = field(default_factory=_flow_stage)
    leap_stage: Stage = field(default_factory=_leap_stage)
    decoder_stage: Stage = field(default_factory=_decoder_stage)
    sheets: float = 4.0

    @property
    def stages(self) -> dict[str, Stage]:
        """The stages by name, in their order. What captions say is learnt by itself where they are the
        world's and no model is there that knows them."""
        text = {"text": self.text_stage} if self.data == WORLD and not self.init else {}
        return {
            "tokenizer": self.tokenizer_stage,
            **text,
            "flow": self.flow_stage,
            "leap": self.leap_stage,
            "decoder": self.decoder_stage,
        }

    @property
    def frames(self) -> int:
        return 1 + 4 * (self.denoiser.grid[0] - 1)

    @property
    def size(self) -> int:
        return 16 * self.denoiser.grid[1]


def playground() -> Recipe:
    """The shipped model, on two CPU cores: about 75 minutes from nothing."""
    return Recipe("playground", preset="playground")


def playground_gpu() -> Recipe:
    """The same networks on one large GPU: larger batches, more clips, about 22 minutes."""
    cpu = playground()
    return replace(
        cpu,
        preset="playground-gpu",
        clips=16_384,
        latents=262_144,
        tokenizer_stage=_lasting(replace(cpu.tokenizer_stage, batch=32), 7),
        flow_stage=_lasting(replace(cpu.flow_stage, batch=512, canvas=64, guided=224), 10),
        leap_stage=_lasting(replace(cpu.leap_stage, batch=128, canvas=16, guided=56), 3),
        decoder_stage=_lasting(replace(cpu.decoder_stage, batch=32), 2),
    )


def footage() -> Recipe:
    """A user's own clips: a few of them, learnt by heart from the shipped tokenizer's start."""
    cpu = playground()
    return replace(
        cpu,
        name="footage",
        preset="footage",
        data="",
        init=cpu.name if cpu.name in catalog.names() else "",
        tokenizer_stage=_lasting(cpu.tokenizer_stage, 8),
        flow_stage=_lasting(replace(cpu.flow_stage, batch=16, canvas=2, guided=2), 10),
        leap_stage=_lasting(cpu.leap_stage, 0),
        decoder_stage=_lasting(cpu.decoder_stage, 0),
    )


def _lasting(stage: Stage, minutes: float) -> Stage:
    return replace(stage, train=replace(stage.train, minutes=minutes))


def with_minutes(recipe: Recipe, minutes: float) -> Recipe:
    """Share `minutes` out over the stages as the recipe does. If they are fewer than its own, so are the
    clips and latents, so that each is seen about as often and making them takes no larger share of the time.

    Raises:
        RequestError: `minutes` or the recipe's own are not a positive number.
    """
    own = sum(stage.train.minutes for stage in recipe.stages.values())
    if not (0 < minutes < math.inf):
        raise RequestError(f"minutes must be a number above 0, not {minutes:g}.")
    if not (0 < own < math.inf):
        raise RequestError("The stages have no minutes to share out: set the length of each.")
    scale = minutes / own
    lasting: dict[str, Any] = {
        f"{name}_stage": _lasting(stage, stage.train.minutes * scale) for name, stage in recipe.stages.items()
    }
    clips, latents = (math.ceil(count * min(1.0, scale)) for count in (recipe.clips, recipe.latents))
    return replace(recipe, clips=clips, latents=latents, **lasting)


PRESETS: dict[str, Callable[[], Recipe]] = {
    "playground": playground,
    "playground-gpu": playground_gpu,
    "footage": footage,
}
