"""The denoiser: a diffusion transformer with a noise level for every latent frame.

Diffusion forcing (Chen et al. 2024, arXiv 2407.01392; for video DFoT, arXiv 2502.06764): one set of weights
denoises any mix of clean, half-noisy and unknown latent frames, so the same network makes a clip from
nothing, continues one, or fills what lies between.

    B clips, t latent frames, n = h w / 4 tokens a latent frame, D width, H heads; C latent channels;
    L caption tokens. Time runs from 0 (noise) to 1 (data).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from kineograph.controls import THINGS
from kineograph.models.folding import CANVAS
from kineograph.models.guides import MAP_VALUES, Guides, signals_of
from kineograph.models.layers import (
    RMSNorm,
    SwiGLU,
    attend,
    heads_of,
    read_by,
    rotary_angles,
    time_features,
)

PATCH = 2  # latent cells along the side of a token


@dataclass(frozen=True)
class DenoiserConfig:
    """`grid` is (t, h, w) in latent cells; `canvas` the values of a masked canvas in one cell. Without
    `guided` there are no guides; with them captions end with what they say of each of THINGS things."""

    channels: int = 24
    grid: tuple[int, int, int] = (5, 8, 8)
    canvas: int = CANVAS
    canvas_width: int = 40
    maps_width: int = 24
    text_width: int = 128
    width: int = 256
    hidden: int = 512
    depth: int = 6
    heads: int = 4
    guided: bool = True
    things_width: int = 16


class Block(nn.Module):
    """Attention over the clip's own tokens and the caption's, then a gated layer; both modulated by frame.

    The modulation is computed once for all blocks, each adds its own bias (PixArt-alpha, arXiv 2310.00426).
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.bias = nn.Parameter(torch.zeros(6 * width))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.caption = nn.Linear(config.text_width, 2 * width, bias=False)
        self.join = nn.Linear(width, width, bias=False)
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.norm_q = RMSNorm(width // config.heads)
        self.norm_k = RMSNorm(width // config.heads)
        self.mlp = SwiGLU(width, config.hidden)

    def forward(self, x: Tensor, modulation: Tensor, text: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """x (B, t, n, D), modulation (6, B, t, 1, D), keys and values of the caption (2, B, L, H, E)."""
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = modulation
        x = x + gate * self._attention(torch.addcmul(shift, self.norm(x), scale), text, angles)
        y: Tensor = x + gate_mlp * self.mlp(torch.addcmul(shift_mlp, self.norm(x), scale_mlp))
        return y

    def _attention(self, x: Tensor, text: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        q, *own = heads_of(self.qkv(x).flatten(1, 2), self.norm_q, self.norm_k, self.heads, angles)
        keys, values = (torch.cat(pair, dim=1) for pair in zip(own, text, strict=True))
        y: Tensor = self.join(attend(q, keys, values)).unflatten(1, x.shape[1:3])
        return y


class Denoiser(nn.Module):
    """Predicts the clean latents from noisy ones, the times of their frames, a caption and a canvas."""

    cos: Tensor
    sin: Tensor
    unit: Tensor

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter_canvas = nn.Linear(config.canvas, config.canvas_width, bias=False)
        cells = PATCH * PATCH
        self.enter = nn.Linear(cells * (config.channels + config.canvas_width), width)
        if config.guided:
            self.enter_maps = nn.Linear(MAP_VALUES, config.maps_width, bias=False)
            self.enter_guides = nn.Linear(cells * (config.channels + config.maps_width), width, bias=False)
            self.enter_signals = nn.Linear(signals_of(config.channels), width, bias=False)
            self.enter_things = nn.Linear(config.text_width, config.things_width, bias=False)
            self.enter_places = nn.Linear(cells * config.things_width, width, bias=False)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.summary = nn.Linear(config.text_width, width)
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.modulation_out = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, PATCH * PATCH * config.channels)
        t, h, w = config.grid
        angles = rotary_angles((t, h // PATCH, w // PATCH), width // config.heads)[:, None, None]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        factors = torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0, 0.0])  # those of a scale are around 1
        self.register_buffer("unit", factors[:, None, None, None, None], persistent=False)
        told = (self.enter_guides, self.enter_signals, self.enter_places) if config.guided else ()
        for layer in (self.enter_canvas, *told, self.modulation, self.modulation_out, self.leave):
            nn.init.zeros_(layer.weight)

    def forward(
        self,
        z: Tensor,
        time: Tensor,
        text: Tensor,
        canvas: Tensor | None = None,
        guides: Guides | None = None,
    ) -> Tensor:
        """z (B, t, C, h, w), time (B, t), text (B, L, text width), the last THINGS tokens of which guides
        take for what is said of each thing, canvas (B', t, h, w, canvas) and guides of the last B' <= B
        clips, the others having none; returns the shape of z."""
        x = self.enter(self._patches(z, canvas))
        mood = self.time(time_features(time, self.config.width)) + self.summary(text.mean(dim=1))[:, None]
        if guides is not None:
            x = _added_to_last(x, self._guided(guides) + self._placed(guides, text))
            mood = _added_to_last(mood, self.enter_signals(guides.signals))
        mood = F.silu(mood)[:, :, None]
        modulations, texts = self._modulations(mood), self._read(text)
        for block, modulation, read in zip(self.blocks, modulations, texts, strict=True):
            x = block(x, modulation, read, (self.cos, self.sin))
        shift, scale = self.modulation_out(mood).chunk(2, dim=-1)
        made: Tensor = self.leave(self.norm(x) * (1 + scale) + shift)
        grid = self.config.grid[1] // PATCH
        return rearrange(made, "b t (h w) (c p q) -> b t c (h p) (w q)", h=grid, p=PATCH, q=PATCH)

    def _blocks(self) -> list[Block]:
        return cast(list[Block], list(self.blocks))

    def _modulations(self, mood: Tensor) -> Tensor:
        """Shifts, factors and gates (depth, 6, B, t, 1, D) of all blocks at once, for `mood` (B, t, 1, D)."""
        biases = torch.unflatten(torch.stack([block.bias for block in self._blocks()]), 1, (6, 1, 1, 1, -1))
        shared: Tensor = torch.unflatten(self.modulation(mood), -1, (6, -1)).movedim(-2, 0)
        return shared + biases + self.unit

    def _read(self, text: Tensor) -> Tensor:
        """Keys and values (depth, 2, B, L, H, E) of the caption (B, L, text width), of all blocks at once."""
        weight = torch.cat([block.caption.weight for block in self._blocks()])
        read = torch.unflatten(F.linear(text, weight), -1, (len(self.blocks), 2, self.config.heads, -1))
        keys, values = read.movedim(2, 0).unbind(3)
        scales = torch.stack([block.norm_k.weight for block in self._blocks()])[:, None, None, None]
        keys = F.rms_norm(keys, keys.shape[-1:]) * scales.to(values.dtype)
        return torch.stack([keys.to(values.dtype), values], dim=1)

    def _patches(self, z: Tensor, canvas: Tensor | None) -> Tensor:
        """Tokens (B, t, n, values) of the latents and of what is known of the canvas."""
        known = z.new_zeros(*z.shape[:2], self.config.canvas_width, *z.shape[3:])
        if canvas is not None:
            seen = rearrange(read_by(self.enter_canvas, canvas), "b t h w c -> b t c h w").to(z.dtype)
            known = torch.cat([known[: len(z) - len(canvas)], seen])
        return _in_patches(torch.cat([z, known], dim=2))

    def _guided(self, guides: Guides) -> Tensor:
        """What the tokens are told by pictures that guide: (B', t, n, D)."""
        maps = rearrange(read_by(self.enter_maps, guides.maps), "b t h w c -> b t c h w")
        return read_by(self.enter_guides, _in_patches(torch.cat([guides.source.to(maps.dtype), maps], dim=2)))

    def _placed(self, guides: Guides, text: Tensor) -> Tensor:
        """What the caption says of a thing, where that is led: (B', t, n, D), as SpaText does (arXiv
        2211.14305); else each place would have to find its own words among all."""
        said = self.enter_things(text[len(text) - len(guides.places) :, -THINGS:])
        cells = torch.einsum("bthwk,bkc->btchw", guides.places.to(said.dtype), said)
        placed: Tensor = self.enter_places(_in_patches(cells))
        return placed


def _in_patches(cells: Tensor) -> Tensor:
    return rearrange(cells, "b t c (h p) (w q) -> b t (h w) (c p q)", p=PATCH, q=PATCH)


def _added_to_last(x: Tensor, more: Tensor) -> Tensor:
    """Add `more` (B', ...) to the last B' rows of x (B, ...)."""
    return torch.cat([x[: len(x) - len(more)], x[len(x) - len(more) :] + more])
