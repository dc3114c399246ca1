"""A factorised 3-D U-Net, the classic denoiser of video diffusion (Ho et al. 2022, arXiv 2204.03458).

Every block looks at space by itself, then at time by itself: 3x3 convolutions and attention within a latent
frame, 3-tap filters and attention along a place. On the coarse level the caption is attended to as well.

    B clips, t latent frames, h x w cells, c channels of a level; L caption tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from kineograph.models.folding import CANVAS
from kineograph.models.guides import Guides
from kineograph.models.layers import attend, read_by, time_features
from kineograph.models.tokenizer import Conv, Resize


@dataclass(frozen=True)
class UNetConfig:
    """`widths` of the fine and the coarse level, the latter twice the former, and `depths` in blocks;
    `canvas` the values of a masked canvas in one latent cell."""

    widths: tuple[int, int] = (64, 128)
    depths: tuple[int, int] = (2, 3)
    mood: int = 128
    heads: int = 4
    canvas: int = CANVAS
    canvas_width: int = 24


class Along(nn.Module):
    """A filter over each latent frame, the one before and the one after: (B, t, c, h, w) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(3 * width, width, bias=False)
        nn.init.zeros_(self.mix.weight)

    def forward(self, x: Tensor) -> Tensor:
        cells = rearrange(x, "b t c h w -> b t h w c")
        before, after = (F.pad(cells, (0, 0) * 3 + pad)[:, cut] for pad, cut in _NEIGHBOURS)
        mixed: Tensor = self.mix(torch.cat([before, cells, after], dim=-1))
        return rearrange(mixed, "b t h w c -> b t c h w")


_NEIGHBOURS = (((1, 0), slice(None, -1)), ((0, 1), slice(1, None)))


class Block(nn.Module):
    """Space, then time, each added to what goes through; both are scaled and shifted by frame."""

    def __init__(self, width: int, mood: int, joined: int = 0) -> None:
        super().__init__()
        self.join = Conv(width + joined, width, kernel=1) if joined else None
        self.mood = nn.Linear(mood, 2 * width)
        self.space = Conv(width, width, kernel=3)
        self.time = Along(width)
        self.norm = nn.GroupNorm(8, width, affine=False)

    def forward(self, x: Tensor, mood: Tensor, beside: Tensor | None = None) -> Tensor:
        """x (B, t, c, h, w), mood (B, t, M), `beside` what the way down had here."""
        if self.join is not None and beside is not None:
            x = _by_frame(self.join, torch.cat([x, beside], dim=2))
        scale, shift = self.mood(mood)[..., None, None].chunk(2, dim=2)
        y = F.silu(_by_frame(self.norm, x) * (1 + scale) + shift)
        x = x + _by_frame(self.space, y)
        y = F.silu(_by_frame(self.norm, x))
        z: Tensor = x + self.time(y)
        return z


class Attention(nn.Module):
    """Within each latent frame and over the caption, then along each place."""

    def __init__(self, width: int, text_width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{width} channels can't be shared out over {heads} heads")
        self.heads = heads
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.caption = nn.Linear(text_width, 2 * width, bias=False)
        self.space, self.time = (nn.Linear(width, 3 * width, bias=False) for _ in range(2))
        self.join_space, self.join_time = (nn.Linear(width, width, bias=False) for _ in range(2))
        for join in (self.join_space, self.join_time):
            nn.init.zeros_(join.weight)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """x (B, t, c, h, w), text (B, L, text width)."""
        clips, groups, _, height, _ = x.shape
        told = self._split(self.caption(text), 2).repeat_interleave(groups, dim=0)
        tokens = rearrange(x, "b t c h w -> (b t) (h w) c")
        q, k, v = self._split(self.space(self.norm(tokens)), 3).unbind(2)
        keys, values = (torch.cat(pair, dim=1) for pair in zip((k, v), told.unbind(2), strict=True))
        tokens = tokens + self.join_space(attend(q, keys, values))
        tokens = rearrange(tokens, "(b t) s c -> (b s) t c", t=groups)
        q, k, v = self._split(self.time(self.norm(tokens)), 3).unbind(2)
        tokens = tokens + self.join_time(attend(q, k, v))
        y: Tensor = rearrange(tokens, "(b h w) t c -> b t c h w", b=clips, h=height)
        return y

    def _split(self, values: Tensor, parts: int) -> Tensor:
        return torch.unflatten(values, -1, (parts, self.heads, -1))


class UNet(nn.Module):
    """Predicts the clean latents from noisy ones; called as the transformer is, see `denoiser.Denoiser`."""

    def __init__(self, config: UNetConfig, channels: int, text_width: int) -> None:
        super().__init__()
        fine, coarse = config.widths
        self.mood_width, self.canvas_width = config.mood, config.canvas_width
        self.enter_canvas = nn.Linear(config.canvas, config.canvas_width, bias=False)
        self.enter = Conv(channels + config.canvas_width, fine, kernel=3)
        self.time = nn.Sequential(nn.Linear(config.mood, config.mood), nn.SiLU())
        self.summary = nn.Linear(text_width, config.mood)
        down, low = config.depths
        self.down = nn.ModuleList(Block(fine, config.mood) for _ in range(down))
        self.low = nn.ModuleList(Block(coarse, config.mood) for _ in range(low))
        self.attention = nn.ModuleList(Attention(coarse, text_width, config.heads) for _ in range(low))
        self.up = nn.ModuleList(Block(fine, config.mood, joined=fine) for _ in range(down))
        self.shrink, self.grow = Resize(fine, coarse, up=False), Resize(coarse, fine, up=True)
        self.norm = nn.GroupNorm(8, fine)
        self.leave = Conv(fine, channels, kernel=3)
        for weight in (self.enter_canvas.weight, self.leave.weight):
            nn.init.zeros_(weight)

    def forward(
        self,
        z: Tensor,
        time: Tensor,
        text: Tensor,
        canvas: Tensor | None = None,
        guides: Guides | None = None,
    ) -> Tensor:
        """z (B, t, C, h, w), time (B, t), text (B, L, text width), canvas (B', t, h, w, canvas) of the last
        B' clips; it takes no guides."""
        assert guides is None, "not of this network"
        mood = F.silu(self.time(time_features(time, self.mood_width)) + self.summary(text.mean(1))[:, None])
        x = _by_frame(self.enter, torch.cat([z, self._known(z, canvas)], dim=2))
        passed = []
        for block in self.down:
            x = block(x, mood)
            passed.append(x)
        x = self.shrink(x)
        for block, attention in zip(self.low, self.attention, strict=True):
            x = attention(block(x, mood), text)
        x = self.grow(x)
        for block in self.up:
            x = block(x, mood, passed.pop())
        made: Tensor = _by_frame(self.leave, F.silu(_by_frame(self.norm, x)))
        return made

    def _known(self, z: Tensor, canvas: Tensor | None) -> Tensor:
        """What is known of the canvas, (B, t, canvas width, h, w), 0 for clips without one."""
        known = z.new_zeros(*z.shape[:2], self.canvas_width, *z.shape[3:])
        if canvas is None:
            return known
        seen = rearrange(read_by(self.enter_canvas, canvas), "b t h w c -> b t c h w").to(z.dtype)
        return torch.cat([known[: len(z) - len(canvas)], seen])


def _by_frame(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of pictures over every latent frame of (B, t, c, h, w)."""
    return torch.unflatten(layer(x.flatten(0, 1)), 0, x.shape[:2])
