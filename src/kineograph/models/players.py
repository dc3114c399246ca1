"""The two players of the GAN: a generator of latent clips, and a discriminator that judges whole ones.

Both are pyramids of R3GAN's blocks, without any norm (Huang et al. 2025, arXiv 2501.05441), to which a
depth-wise filter over three latent frames is added. The generator has one content code a clip and one motion
code a latent frame, of a recurrent net over noise (MoCoGAN, Tulyakov et al. 2017, arXiv 1707.04993). The
discriminator compares what it sees with the caption by a product (Miyato & Koyama 2018, arXiv 1802.05637).

    B clips, t latent frames, h x w cells, C latent channels; D width of a level, each of half the h and w of
    the one before; L caption tokens. Within the pyramids channels are last: (B, t, h, w, D).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from kineograph.models.prompted import LatentConfig, LatentNetworks

EXPANSION = 2  # inner channels of a block by its width
SLOPE = 0.2  # of the activation below 0
GAIN = (2 / (1 + SLOPE**2)) ** 0.5  # keeps the variance through the activation (arXiv 1502.01852)


@dataclass(frozen=True)
class GANConfig(LatentConfig):
    """`widths` of the generator's levels, the finest first, and of the discriminator's, `judging`; `depth`
    blocks a level; `group` channels see one another in a 3x3. `content`, `motion` and `style` are the sizes
    of codes: of a clip, of a latent frame, and of what these and the caption are brought together in."""

    widths: tuple[int, ...] = (64, 128, 320)
    judging: tuple[int, ...] = (64, 128, 256)
    depth: int = 2
    group: int = 16
    content: int = 64
    motion: int = 64
    style: int = 128

    @property
    def planes(self) -> list[tuple[int, int]]:
        """The height and width of each level, in cells, the finest first."""
        _, height, width = self.grid
        return [(-(-height // 2**level), -(-width // 2**level)) for level in range(len(self.widths))]


# What both are built of


def _draw(layer: nn.Linear | nn.Conv2d, gain: float = 1.0) -> None:
    """Draw the weights so that the variance grows by `gain` squared; no bias at first."""
    nn.init.normal_(layer.weight, std=gain * layer.weight[0].numel() ** -0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _linear(width_in: int, width_out: int, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(width_in, width_out, bias=bias)
    _draw(layer)
    return layer


def _active(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


class Block(nn.Module):
    """Three frames depth-wise, then a 1x1, a grouped 3x3 and a 1x1, which is 0 at first, added to the input.

    Of `blocks` in a row each begins with smaller weights (Fixup, arXiv 1901.09321).
    """

    def __init__(self, width: int, group: int, blocks: int) -> None:
        super().__init__()
        inside = EXPANSION * width
        self.taps = nn.Parameter(torch.tensor([[0.0], [1.0], [0.0]]).repeat(1, width))
        self.inner = nn.Linear(width, inside)
        self.around = nn.Conv2d(inside, inside, 3, padding=1, groups=inside // group)
        self.outer = nn.Linear(inside, width, bias=False)
        for layer in (self.inner, self.around):
            _draw(layer, GAIN * blocks**-0.25)
        nn.init.zeros_(self.outer.weight)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """x (B, t, h, w, D), scale (B, t, 1, 1, D), by which the branch's channels are multiplied."""
        seen = self._over_time(x)
        y = _active(self.inner(seen if scale is None else seen * scale))
        y = self.around(rearrange(y, "b t h w d -> (b t) d h w"))
        z: Tensor = x + self.outer(rearrange(_active(y), "(b t) d h w -> b t h w d", t=x.shape[1]))
        return z

    def _over_time(self, x: Tensor) -> Tensor:
        before, now, after = self.taps.to(x.dtype)
        padded = F.pad(x, (0, 0) * 3 + (1, 1))
        y: Tensor = before * padded[:, :-2] + now * x + after * padded[:, 2:]
        return y


def _blocks(width: int, config: GANConfig) -> list[Block]:
    count = config.depth * len(config.widths)
    return [Block(width, config.group, count) for _ in range(config.depth)]


class Resample(nn.Module):
    """From a plane of `size` cells to one of half the height and width by the filter [1, 3, 3, 1], or, `up`,
    back by linear interpolation. As a product, so that it can be differentiated twice at no cost."""

    matrix: Tensor

    def __init__(self, size: tuple[int, int], up: bool = False) -> None:
        super().__init__()
        rows, columns = (_halving(side) for side in size)
        matrix = torch.kron(rows, columns)
        self.columns = size[1] if up else len(columns)
        matrix = matrix.T if up else matrix
        self.register_buffer("matrix", matrix / matrix.sum(dim=1, keepdim=True), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, t, h, w, D) to (B, t, h', w', D)."""
        y: Tensor = rearrange(
            self.matrix.to(x.dtype) @ x.flatten(2, 3), "b t (h w) d -> b t h w d", w=self.columns
        )
        return y


def _halving(side: int) -> Tensor:
    """The weight (side / 2, side) of each cell in each of half as many, 3 or 1 by their distance, else 0."""
    distance = torch.arange(side) - 2 * torch.arange(-(-side // 2))[:, None] - 0.5
    return (2 * (2 - distance.abs())).clamp(min=0)


# The players


class Level(nn.Module):
    """One level of the generator: what is known of the clip comes in, the style says how."""

    def __init__(self, width: int, config: GANConfig) -> None:
        super().__init__()
        self.enter = _linear(config.channels + 1, width, bias=False)
        self.scales = nn.Linear(config.style, config.depth * width)
        self.blocks = nn.ModuleList(_blocks(width, config))

    def forward(self, x: Tensor, known: Tensor, style: Tensor) -> Tensor:
        """x (B or 1, t, h, w, D), known (B, t, h, w, C + 1), style (B, t, style)."""
        scales = 1 + self.scales(style)[:, :, None, None]
        x = x + self.enter(known)
        for block, scale in zip(self.blocks, scales.chunk(len(self.blocks), dim=-1), strict=True):
            x = block(x, scale)
        return x


class Generator(nn.Module):
    """Makes a clip from codes and a caption, all of it or what follows its beginning."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        groups, (*finer, coarsest) = config.grid[0], config.planes
        self.motion = nn.GRU(config.motion, config.motion, batch_first=True)
        self.style = _linear(config.content + config.motion + config.text_width, config.style)
        self.start = nn.Parameter(torch.randn(1, groups, *coarsest, config.widths[-1]))
        self.levels = nn.ModuleList(Level(width, config) for width in reversed(config.widths))
        steps = zip(pairwise(reversed(config.widths)), reversed(finer), strict=True)
        rises = (nn.Sequential(_linear(*widths), Resample(plane, up=True)) for widths, plane in steps)
        self.rises = nn.ModuleList([nn.Identity(), *rises])
        self.falls = nn.ModuleList(Resample(plane) for plane in finer)
        self.leave = _linear(config.widths[0], config.channels)

    def forward(self, content: Tensor, noise: Tensor, text: Tensor, known: Tensor, clean: Tensor) -> Tensor:
        """Content codes (B, content), noise of the motion (B, t, motion), captions (B, L, text width) and
        clips (B, t, C, h, w), of which the frames at the beginning that are `clean` (B, t) are known. Returns
        clips that begin with these."""
        style = _active(self.style(self.codes(content, noise, text)))
        x, pyramid = self.start, list(self._pyramid(_so_far(known, clean)))
        for rise, level, seen in zip(self.rises, self.levels, reversed(pyramid), strict=True):
            x = level(rise(x), seen, style)
        made = rearrange(self.leave(x), "b t h w c -> b t c h w").float()
        return torch.where(clean[:, :, None, None, None], known, made)

    def codes(self, content: Tensor, noise: Tensor, text: Tensor) -> Tensor:
        """What each frame is made from, (B, t, content + motion + text width): its own motion, the rest
        shared."""
        motion, _ = self.motion(noise)
        shared = torch.cat([content, text.mean(dim=1)], dim=-1)
        return torch.cat([shared[:, None].expand(-1, noise.shape[1], -1), motion], dim=-1)

    def _pyramid(self, seen: Tensor) -> Iterator[Tensor]:
        yield seen
        for fall in self.falls:
            seen = fall(seen)
            yield seen


def _so_far(known: Tensor, clean: Tensor) -> Tensor:
    """What is known (B, t, h, w, C + 1) at each frame: its latents or, after the beginning, the last that are
    known, and whether they are its own; 0 where nothing is."""
    count = clean.sum(dim=1, keepdim=True)
    last = torch.arange(clean.shape[1], device=clean.device).minimum((count - 1).clamp(min=0))
    latents = known[torch.arange(len(known), device=known.device)[:, None], last]
    latents = torch.where((count > 0)[:, :, None, None, None], latents, 0.0)
    own = clean[:, :, None, None, None].expand_as(latents[:, :, :1]).to(latents.dtype)
    return rearrange(torch.cat([latents, own], dim=2), "b t c h w -> b t h w c")


class Discriminator(nn.Module):
    """Scores how real whole clips are, and how well they fit their captions."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        *finer, coarsest = config.planes
        first, last = config.judging[0], config.judging[-1]
        layers: list[nn.Module] = [_linear(config.channels, first), *_blocks(first, config)]
        for plane, widths in zip(finer, pairwise(config.judging), strict=True):
            layers += [Resample(plane), _linear(*widths), *_blocks(widths[1], config)]
        self.trunk = nn.Sequential(*layers)
        cells = config.grid[0] * coarsest[0] * coarsest[1]
        self.gather = nn.Parameter(torch.randn(cells, last) * cells**-0.5)
        self.real = _linear(last, 1, bias=False)  # only differences of scores count
        self.caption = _linear(config.text_width, last)

    def forward(self, clips: Tensor, text: Tensor) -> Tensor:
        """Scores (B,) of clips (B, t, C, h, w) and their captions (B, L, text width)."""
        return self.score(self.features(clips), text)

    def features(self, clips: Tensor) -> Tensor:
        """What is seen in clips: (B, D) of the last level."""
        cells = self.trunk(rearrange(clips, "b t c h w -> b t h w c")).flatten(1, 3)
        seen: Tensor = (cells.float() * self.gather).sum(dim=1)
        return seen

    def score(self, features: Tensor, text: Tensor) -> Tensor:
        """Scores (B,): realism, and the product of what is seen with what the caption says."""
        told = self.caption(text.mean(dim=1)).float()
        fit = (features * told).sum(dim=1) / features.shape[1] ** 0.5
        score: Tensor = self.real(features)[:, 0].float() + fit
        return score


class GANNetworks(LatentNetworks[GANConfig]):
    """What is trained: caption encoder, generator and discriminator."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__(config)
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)

    def shipped(self) -> dict[str, nn.Module]:
        """All but the discriminator, which no clip needs."""
        return {name: module for name, module in super().shipped().items() if name != "discriminator"}
