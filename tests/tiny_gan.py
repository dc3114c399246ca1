"""A tiny GAN, and how it learns four clips by heart."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from tiny_models import (
    CAPTIONS,
    FPS,
    TOKENIZER,
    Family,
    Learner,
    Repeated,
    latents_and_captions,
    save_latent_family,
    tokenizer_stage,
)
from torch import nn

from kineograph.models import gan
from kineograph.models.players import GANConfig, GANNetworks
from kineograph.text.vocabulary import Vocabulary
from kineograph.training.optim import OptimConfig

OPTIM = OptimConfig(rate=1e-3, muon=(), betas=(0.0, 0.99), weight_decay=0.0, warmup=10)


def gan_networks() -> GANNetworks:
    torch.manual_seed(0)
    config = GANConfig(
        Vocabulary.of(CAPTIONS).words,
        TOKENIZER,
        grid=(4, 2, 2),
        text_length=6,
        text_width=16,
        fps=FPS,
        widths=(32, 48),
        judging=(32, 48),
        depth=1,
        content=8,
        motion=8,
        style=16,
    )
    return GANNetworks(config)


def gan_stages(networks: GANNetworks) -> Iterator[tuple[Learner, Repeated, int]]:
    yield from tokenizer_stage(networks.tokenizer)
    players = nn.ModuleDict({name: m for name, m in networks.named_children() if name != "tokenizer"})
    shown = Repeated(latents_and_captions(networks))
    yield Learner(players, gan.objectives(networks), optim=OPTIM), shown, 400


GAN = Family(gan_networks, gan_stages, save_latent_family, by_features=True)
