"""A small caption encoder: a bidirectional transformer over word embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TextConfig:
    """`words` is the size of the vocabulary, reserved numbers included; captions have `length` tokens."""

    words: int
    length: int = 32
    width: int = 128
    depth: int = 2
    heads: int = 4


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
    """Word numbers (B, L) to one vector a token (B, L, width). Padding is attended to like a word."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.words, config.width)
        self.position = nn.Parameter(torch.randn(config.length, config.width) * 0.02)
        self.blocks = nn.ModuleList(_Layer(config) for _ in range(config.depth))
        self.norm = nn.RMSNorm(config.width)
        nn.init.normal_(self.embedding.weight, std=0.5)

    def forward(self, numbers: Tensor) -> Tensor:
        x = self.embedding(numbers) + self.position
        for block in self.blocks:
            x = block(x)
        y: Tensor = self.norm(x)
        return y
