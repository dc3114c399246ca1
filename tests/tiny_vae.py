"""A tiny model of the vae family."""

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

from kineograph.models import vae
from kineograph.models.guides import style_of
from kineograph.models.stochastic import VaeConfig
from kineograph.models.vae import VaeNetworks
from kineograph.text.vocabulary import Vocabulary


def networks() -> VaeNetworks:
    torch.manual_seed(0)
    words = Vocabulary.of(CAPTIONS).words
    sizes = {"width": 48, "memory": 24, "mood": 32, "queries": 2, "style": 6, "scene": 8, "detail": 4}
    seen = {"text_length": 6, "text_width": 16, "fps": FPS, "canvas_width": 4}
    return VaeNetworks(VaeConfig(words, TOKENIZER, grid=(4, 2, 2), **seen, **sizes))


def stages(networks: VaeNetworks) -> Iterator[tuple[Learner, Repeated, int]]:
    """Of the last rows, four are made from another clip."""
    yield from tokenizer_stage(networks.tokenizer)
    values = latents_and_captions(networks, times=4)
    latents = values["latents"][:4]
    values |= {"source": latents.roll(1, 0), "style": style_of(latents)}
    own = nn.ModuleDict({name: m for name, m in networks.named_children() if name != "tokenizer"})
    yield Learner(own, vae.objectives(networks)), Repeated(values), 200


FAMILY = Family(networks, stages, save_latent_family)
