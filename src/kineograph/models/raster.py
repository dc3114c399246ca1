"""Codes one after another: cell by cell in raster order, as a GPT makes words (VideoGPT, arXiv 2104.10157).

The cells pass through the transformer once each, since what they say is kept in its cache; the codes within a
cell follow one another in its last layers alone (the RQ-transformer's split, arXiv 2203.01941), so a clip of
S G codes costs S tokens.

    B clips, S = t n cells, G codes a cell, K codes there are; a code that isn't known is K.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models.predictor import Draw, Led, TransformerLoss, TransformerNetworks, picked


class RasterObjective:
    """Cross entropy of every code, those before it being known."""

    def __init__(self, networks: TransformerNetworks, config: TransformerLoss | None = None) -> None:
        self.networks, self.config = networks, config or TransformerLoss()

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return self.networks.predicting()

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` holds latents (B, t, C, h, w) and caption numbers (B, L)."""
        predictor, codes = self.networks.predictor, self.networks.coded(batch["latents"])
        begin = predictor.begin(self.networks.heard(batch["caption"], self.config.drop, draw))
        found, _ = predictor(codes, begin)
        said = predictor.said(codes, begin.rows)
        earlier = said.cumsum(dim=2) - said
        features = predictor.features(found[:, :, None] + earlier)
        logits = predictor.logits(features, begin.rows).flatten(0, 2)
        wanted = codes.flatten()
        loss = F.cross_entropy(logits, wanted)
        return loss, {"right": (logits.argmax(dim=-1) == wanted).float().mean().detach()}


def decode(led: Led, codes: Tensor, draw: Draw, steps: int) -> Iterator[Tensor]:
    """Codes (B, S, G) after each of S steps, from those that are known; it can't be done in fewer
    `steps`. Cells that are known in all clips are read together, with the first that is not. `draw` gives
    normal numbers (B, ...) by number and shape.
    """
    codes, past = codes.clone(), led.begin()
    for cell in range(codes.shape[1]):
        given = codes[:, cell] != led.predictor.unknown
        if not bool(given.all()):
            found, past = led.reach(codes[:, : cell + 1], past)
            chances = draw(cell, tuple(given.shape[1:]))
            for group in range(codes.shape[2]):
                logits = led.next_logits(found[:, -1:], codes[:, cell : cell + 1, :group])
                guess = picked(logits[:, 0], chances[:, group])
                codes[:, cell, group] = torch.where(given[:, group], codes[:, cell, group], guess)
        yield codes
