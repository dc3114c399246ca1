"""Teach the caption encoder what captions say, before any picture: predict the attributes that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.text.encoder import TextEncoder


class AttributeObjective:
    """Cross-entropy over a handful of attributes, read from the mean of the encoded tokens.

    The encoder is what matters; the linear heads are thrown away.
    """

    def __init__(self, encoder: TextEncoder, classes: Sequence[int]) -> None:
        self.encoder = encoder
        self.heads = nn.ModuleList(nn.Linear(encoder.config.width, count) for count in classes)
        self.module = nn.ModuleList([encoder, self.heads])
        self.objectives = [self]
        self.hot: list[nn.Module] = []

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.module.named_parameters())

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` holds caption numbers (B, L) and labels (B, attributes); nothing is drawn at random."""
        summary = self.encoder(batch["caption"]).mean(dim=1)
        guesses = [head(summary).float() for head in self.heads]
        labels = batch["labels"].unbind(dim=1)
        loss = torch.stack(
            [F.cross_entropy(guess, label) for guess, label in zip(guesses, labels, strict=True)]
        ).mean()
        right = [
            (guess.argmax(1) == label).float().mean() for guess, label in zip(guesses, labels, strict=True)
        ]
        return loss, {"right": torch.stack(right).mean()}
