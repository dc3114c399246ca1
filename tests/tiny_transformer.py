"""Tiny transformers over codes, in either order."""

from collections.abc import Callable, Iterator

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

from kineograph.models import transformer
from kineograph.models.codes import CodesConfig
from kineograph.models.predictor import Order, TransformerConfig, TransformerNetworks
from kineograph.text.vocabulary import Vocabulary

STEPS = {"codes": 300, "transformer": 150}


def config_of(order: Order) -> TransformerConfig:
    return TransformerConfig(
        Vocabulary.of(CAPTIONS).words,
        TOKENIZER,
        grid=(4, 2, 2),
        text_length=6,
        text_width=16,
        fps=FPS,
        order=order,
        codes=CodesConfig((5, 5, 4), groups=4, width=32),
        rank=16,
        canvas_width=4,
        width=48,
        hidden=64,
        depth=2,
        heads=2,
    )


def networks_of(order: Order) -> Callable[[], TransformerNetworks]:
    def networks() -> TransformerNetworks:
        torch.manual_seed(0)
        return TransformerNetworks(config_of(order))

    return networks


def stages(networks: TransformerNetworks) -> Iterator[tuple[Learner, Repeated, int]]:
    yield from tokenizer_stage(networks.tokenizer)
    values = latents_and_captions(networks, times=4)
    for name, objectives in transformer.OBJECTIVES.items():
        yield Learner(networks, objectives(networks, None)), Repeated(values), STEPS[name]


MASKED = Family(networks_of("masked"), stages, save_latent_family)
RASTER = Family(networks_of("raster"), stages, save_latent_family)
