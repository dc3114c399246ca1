"""Blocks that several families use.

Shapes: B clips, S tokens, D width, H heads of E = D / H channels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last axis (arXiv 1910.07467), computed in the input's own format."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype))


class SwiGLU(nn.Module):
    """Gated feed-forward layer (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, 2 * hidden, bias=False)
        self.outer = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.inner(x).chunk(2, dim=-1)
        y: Tensor = self.outer(F.silu(gate) * value)
        return y


def read_by(layer: nn.Linear, values: Tensor) -> Tensor:
    """What a layer without bias makes of large values, in the precision that they come in."""
    return F.linear(values, layer.weight.to(values.dtype))


def rotary_angles(grid: tuple[int, ...], channels: int, base: float = 100.0) -> Tensor:
    """Angles (S, E/2) for the S = prod(grid) positions, row-major; the axes share the channel pairs.

    Rotary embedding (Su et al. 2021, arXiv 2104.09864), one group of frequencies an axis.
    """
    pairs = channels // 2
    share = [pairs // len(grid)] * len(grid)
    share[0] += pairs - sum(share)
    positions = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in grid], indexing="ij")
    angles = [
        p.reshape(-1, 1) * base ** (-torch.arange(n, dtype=torch.float32) / n)
        for p, n in zip(positions, share, strict=True)
    ]
    return torch.cat(angles, dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the channel pairs of x (..., S, H, E) by the angles whose cos and sin are (S, 1, E/2)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def time_features(time: Tensor, channels: int) -> Tensor:
    """Sines and cosines (..., channels) of times in [0, 1]."""
    frequencies = torch.exp(torch.linspace(0.0, math.log(1000.0), channels // 2, device=time.device))
    angles = time.float()[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def heads_of(
    qkv: Tensor, norm_q: RMSNorm, norm_k: RMSNorm, heads: int, angles: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (B, S, H, E) of their projection (B, S, 3 D); queries and keys are normed
    (arXiv 2302.05442), then turned by the angles whose cos and sin are (S, 1, 1, E/2)."""
    qk, v = torch.split(torch.unflatten(qkv, -1, (3, heads, -1)), [2, 1], dim=2)
    scales = torch.stack([norm_q.weight, norm_k.weight])[:, None].to(v.dtype)
    qk = rotate(F.rms_norm(qk, qk.shape[-1:]) * scales, *angles).to(v.dtype)
    return qk[:, :, 0], qk[:, :, 1], v[:, :, 0]


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
    """Softmax attention over (B, S, H, E) queries, (B, S', H, E) keys and values; returns (B, S, H * E).
    `seen` (S, S') bool says which keys each query sees, None that it sees all."""
    if q.device.type == "cpu":
        return _attend_in_products(q, k, v, seen)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2)


def _attend_in_products(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """The same in two batched products: a CPU's fused kernel takes four times as long backwards."""
    heads = q.shape[2]
    q, k, v = (rearrange(x, "b s h e -> (b h) s e") for x in (q * q.shape[-1] ** -0.5, k, v))
    scores = torch.bmm(q, k.transpose(1, 2)).float()
    if seen is not None:
        scores = scores.masked_fill(~seen, -torch.inf)
    shares = scores.softmax(dim=-1).to(v.dtype)
    return rearrange(torch.bmm(shares, v), "(b h) s e -> b s (h e)", h=heads)
