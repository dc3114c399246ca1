"""Tiny models of every family, made on the spot, and four clips to train them on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kineograph.models import diffusion, gan, prompted, rnn, small_diffusion, transformer, vae
from kineograph.models.denoiser import DenoiserConfig
from kineograph.models.flow import DiffusionConfig, DiffusionNetworks, FlowObjective
from kineograph.models.guides import TELL_OF, style_of, untold
from kineograph.models.prompted import LatentNetworks
from kineograph.models.small_diffusion import SmallDiffusionConfig, SmallDiffusionNetworks
from kineograph.models.tokenizer import Tokenizer, TokenizerConfig, TokenizerObjective, to_signal
from kineograph.models.unet import UNetConfig
from kineograph.sampling.settings import Sampling
from kineograph.text.vocabulary import Vocabulary
from kineograph.training.loop import Objective
from kineograph.training.optim import OptimConfig

SIDE, WINDOW, FPS = 32, 13, 8.0
CAPTIONS = ("a red ball", "a green box", "a blue star", "a white ring")
COLORS = ((220, 40, 30), (40, 190, 60), (40, 70, 220), (230, 230, 230))


def moving_squares() -> tuple[np.ndarray, np.ndarray]:
    """Four clips (4, T, H, W, 3) of a square on its way over a gradient, and where it is (4, T, H, W)."""
    frames = np.zeros((4, WINDOW, SIDE, SIDE, 3), np.uint8)
    frames[:] = np.linspace(40, 120, SIDE)[:, None, None]
    focus = np.zeros(frames.shape[:4], np.uint8)
    for clip, color in enumerate(COLORS):
        for t in range(WINDOW):
            x, y = ((t, 4), (WINDOW - t, 14), (10, t), (t, t))[clip]
            square = (clip, t, slice(y, y + 12), slice(x, x + 12))
            frames[square], focus[square] = color, 1
    return frames, focus


CLIPS, FOCUS = moving_squares()


QUICK = OptimConfig(rate=4e-3, muon=("encoder", "decoder", "blocks"), weight_decay=0.0, warmup=10)


@dataclass
class Learner:
    """`optim` is how it learns by heart."""

    module: nn.Module
    objectives: list[Objective]
    hot: tuple[nn.Module, ...] = ()
    optim: OptimConfig = QUICK


@dataclass(frozen=True)
class Repeated:
    """The same batch at every step."""

    values: dict[str, torch.Tensor]

    def batch(self, step: int) -> dict[str, torch.Tensor]:
        return self.values


@dataclass(frozen=True)
class Family:
    """How the tests make, train and save a tiny model. `stages` are trained one after another, in steps.
    Clips learnt by heart are as near as a tenth of the variance or, `by_features`, which a GAN matches in
    place of pixels, half as far as before the family's own stages."""

    networks: Callable[[], nn.Module]
    stages: Callable[[Any], Iterator[tuple[Learner, Repeated, int]]]
    save: Callable[[Path, Any], None]
    by_features: bool = False


TOKENIZER = TokenizerConfig(16, (32, 32, 32), (1, 1, 1), (1, 1, 1))


def diffusion_networks() -> DiffusionNetworks:
    torch.manual_seed(0)
    denoiser = DenoiserConfig(
        16, (4, 2, 2), canvas_width=4, text_width=16, width=48, hidden=64, depth=2, heads=2
    )
    words = Vocabulary.of(CAPTIONS).words
    return DiffusionNetworks(DiffusionConfig(words, TOKENIZER, denoiser, text_length=6, fps=FPS))


def tokenizer_stage(tokenizer: Tokenizer) -> Iterator[tuple[Learner, Repeated, int]]:
    """The tokenizer learns the four clips; then its latents are of mean 0 and deviation 1."""
    frames = torch.from_numpy(CLIPS)
    clips = {"frames": frames, "focus": torch.from_numpy(FOCUS)}
    yield Learner(tokenizer, [TokenizerObjective(tokenizer)]), Repeated(clips), 200
    with torch.no_grad():
        raw, _ = tokenizer.posterior(to_signal(frames))
        tokenizer.latent_mean.copy_(raw.mean(dim=(0, 1, 3, 4)))
        tokenizer.latent_std.copy_(raw.std(dim=(0, 1, 3, 4)))


def latents_and_captions(networks: Any, times: int = 6) -> dict[str, torch.Tensor]:
    """The four clips as a batch that holds each so many times; the last four bring their frames."""
    frames, config = torch.from_numpy(CLIPS), networks.config
    with torch.no_grad():
        latents = networks.tokenizer.encode(to_signal(frames))
    vocabulary = Vocabulary(config.words)
    caption = torch.tensor([vocabulary.encode(text, config.text_length) for text in CAPTIONS])
    return {
        "latents": latents.repeat(times, 1, 1, 1, 1),
        "caption": caption.repeat(times, 1),
        "frames": frames,
    }


def diffusion_stages(networks: DiffusionNetworks) -> Iterator[tuple[Learner, Repeated, int]]:
    yield from tokenizer_stage(networks.tokenizer)
    values = latents_and_captions(networks)
    guides = guides_of(values["latents"][:4])
    values |= {kind: told.repeat(2, *[1] * (told.dim() - 1)) for kind, told in guides.items()}
    values["open"] = values["caption"][:8, None].repeat(1, len(TELL_OF), 1)
    for kind in ("actions", "style", "camera"):
        values[kind][1:] = torch.nan  # else they are told of hardly any thing
    flow = nn.ModuleDict({"denoiser": networks.denoiser, "text": networks.text})
    yield Learner(flow, [FlowObjective(networks)]), Repeated(values), 200


def small_diffusion_networks(network: str = "unet") -> SmallDiffusionNetworks:
    torch.manual_seed(0)
    unet = UNetConfig(widths=(32, 64), depths=(1, 1), mood=32, heads=2, canvas_width=4)
    config = SmallDiffusionConfig(
        Vocabulary.of(CAPTIONS).words,
        TOKENIZER,
        grid=(4, 2, 2),
        text_length=6,
        text_width=16,
        fps=FPS,
        network=network,
        width=48,
        hidden=64,
        depth=2,
        heads=2,
        canvas_width=4,
        unet=unet,
    )
    return SmallDiffusionNetworks(config)


def small_diffusion_stages(networks: SmallDiffusionNetworks) -> Iterator[tuple[Learner, Repeated, int]]:
    yield from tokenizer_stage(networks.tokenizer)
    flow = nn.ModuleDict({"denoiser": networks.denoiser, "text": networks.text})
    yield Learner(flow, [FlowObjective(networks)]), Repeated(latents_and_captions(networks)), 300


def save_latent_family(folder: Path, networks: LatentNetworks[Any]) -> None:
    families: tuple[Any, ...] = LATENT_FAMILIES
    family = next(f for f in families if isinstance(networks, f.networks))
    prompted.save(folder, networks, family.spec_of("tiny", networks.config))


LATENT_FAMILIES = (gan.FAMILY, rnn.FAMILY, small_diffusion.FAMILY, transformer.FAMILY, vae.FAMILY)


def guides_of(latents: torch.Tensor) -> dict[str, torch.Tensor]:
    """The four clips' truth as guides of every kind, with made-up joints; the source is another clip."""
    told = untold(4, (latents.shape[1], *latents.shape[3:]), latents.shape[2])
    rows, columns = torch.from_numpy(FOCUS).float().amax(3), torch.from_numpy(FOCUS).float().amax(2)
    corners = [side.argmax(2) / SIDE for side in (columns, rows)]
    start = torch.stack(corners, -1)
    told["tracks"][:, :, 0] = start + 6 / SIDE
    told["boxes"][:, :, 0] = torch.cat([start, start + 12 / SIDE], -1)
    told["pose"][:, :, 0] = start[:, :, None] + torch.linspace(0, 0.3, 9)[:, None]
    cells = torch.from_numpy(FOCUS).float().unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax((3, 5))
    told["depth"], told["edges"] = 0.2 + 0.6 * cells, cells
    told["camera"] = torch.tensor([0.1, 1.2]).expand(4, WINDOW, 2).clone()
    told["actions"] = nn.functional.one_hot(torch.arange(WINDOW) % 4).float().expand(4, -1, -1).clone()
    told["source"], told["style"] = latents.roll(1, 0), style_of(latents)
    return told


def save_diffusion(folder: Path, networks: DiffusionNetworks) -> None:
    diffusion.save(folder, networks, diffusion.spec_of("tiny", networks.config))


def shaken(networks: nn.Module) -> nn.Module:
    """Random weights everywhere: at its start a network may ignore what it is given."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return networks


def save_shaken(folder: Path) -> None:
    """A model of random weights that takes three steps."""
    networks = shaken(diffusion_networks())
    diffusion.save(folder, networks, diffusion.spec_of("tiny", networks.config, Sampling(3, 2.0)))
