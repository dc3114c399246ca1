"""A small caption encoder: a bidirectional transformer over word embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.text.vocabulary import PAD


@dataclass(frozen=True)
class TextConfig:
    """`words` is the size of the vocabulary, reserved numbers included; captions have `length` tokens. They
    speak of up to `things`, and `separators` are the numbers of words that stand between two of them, unless
    one of `idioms` follows; of 0 things nothing is summed up."""

    words: int
    length: int = 32
    width: int = 128
    depth: int = 2
    heads: int = 4
    things: int = 0
    separators: tuple[int, ...] = ()
    idioms: tuple[int, ...] = ()


class _Layer(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm_attention = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.join = nn.Linear(width, width, bias=False)
        self.norm_mlp = nn.RMSNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        seen = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        x = x + self.join(seen.transpose(1, 2).flatten(2))
        y: Tensor = x + self.mlp(self.norm_mlp(x))
        return y


class TextEncoder(nn.Module):
    """Word numbers (B, L) to one vector a token (B, L, width). Padding is attended to like a word.

    Where captions speak of K things, each word is told of which, further ones counting as the last, and the
    means of the tokens of each follow: (B, L + K, width), 0 of what nothing is said. All words from one
    separator to the next are a thing's own.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.words, config.width)
        self.position = nn.Parameter(torch.randn(config.length, config.width) * 0.02)
        self.blocks = nn.ModuleList(_Layer(config) for _ in range(config.depth))
        self.norm = nn.RMSNorm(config.width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        if config.things:
            self.things = nn.Parameter(torch.zeros(config.things, config.width))

    def forward(self, numbers: Tensor) -> Tensor:
        x = self.embedding(numbers) + self.position
        owners = self._owners(numbers).to(x.dtype) if self.config.things else None
        if owners is not None:
            x = x + owners @ self.things
        for block in self.blocks:
            x = block(x)
        y: Tensor = self.norm(x)
        return y if owners is None else torch.cat([y, _means(y, owners)], dim=1)

    def _owners(self, numbers: Tensor) -> Tensor:
        """(B, L, K): 1 for the thing that a word speaks of; 0 of padding."""
        follows = F.pad(numbers[:, 1:], (0, 1), value=PAD)
        separators, idioms = map(numbers.new_tensor, (self.config.separators, self.config.idioms))
        separates = torch.isin(numbers, separators) & ~torch.isin(follows, idioms)
        place = separates.cumsum(dim=1).clamp(max=self.config.things - 1)
        return F.one_hot(place, self.config.things) * (numbers != PAD)[..., None]


def _means(tokens: Tensor, owners: Tensor) -> Tensor:
    """The mean (B, K, width) of the tokens (B, L, width) of each owner of (B, L, K)."""
    shares = owners / owners.sum(dim=1, keepdim=True).clamp(min=1)
    return (shares.transpose(1, 2) @ tokens).to(tokens.dtype)
