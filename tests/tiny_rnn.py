"""A tiny model of the rnn family."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from tiny_models import (
    CAPTIONS,
    FPS,
    TOKENIZER,
    Family,
    Learner,
    Repeated,
    guides_of,
    latents_and_captions,
    save_latent_family,
    tokenizer_stage,
)
from torch import nn

from kineograph.models.dynamics import RnnConfig, RnnNetworks
from kineograph.models.rnn import RnnObjective
from kineograph.text.vocabulary import Vocabulary

CONFIG = RnnConfig(
    Vocabulary.of(CAPTIONS).words,
    TOKENIZER,
    grid=(4, 2, 2),
    text_length=6,
    text_width=16,
    fps=FPS,
    width=32,
    depth=1,
    canvas_width=4,
    begin_width=48,
    begin_hidden=64,
    begin_depth=2,
    heads=2,
)


def rnn_networks(cell: str = CONFIG.cell) -> RnnNetworks:
    torch.manual_seed(0)
    return RnnNetworks(replace(CONFIG, cell=cell))


def rnn_batch(networks: RnnNetworks) -> dict[str, torch.Tensor]:
    """The four clips, six times; the last four rows bring their frames and actions."""
    batch = latents_and_captions(networks)
    return batch | {"actions": guides_of(batch["latents"][:4])["actions"]}


def rnn_stages(networks: RnnNetworks) -> Iterator[tuple[Learner, Repeated, int]]:
    yield from tokenizer_stage(networks.tokenizer)
    own = {name: module for name, module in networks.named_children() if name != "tokenizer"}
    learner = Learner(nn.ModuleDict(own), [RnnObjective(networks)])
    yield learner, Repeated(rnn_batch(networks)), 300


FAMILY = Family(rnn_networks, rnn_stages, save_latent_family)
