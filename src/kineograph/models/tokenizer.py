"""Video tokenizer: a causal variational autoencoder between pixels and latents, its state constant in size.

Four frames make one latent frame, and 16 x 16 pixels one cell of it; a lone first frame is a latent frame
of its own, so T = 1 + 4k frames give t = 1 + k latent frames. Space and time are folded into channels first
(as LTX-Video, arXiv 2501.00103, does) so that every convolution is a cheap 2-D one at the latent rate; each
level looks one latent frame back (the MemBlock of TAEHV), which is all the memory that streaming needs.

    B clips, T frames, H x W pixels; t latent frames, h x w cells (H/16, W/16), C latent channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

TIME_STRIDE = 4
PATCH = 4
SPACE_STRIDE = 16

Memory = list[Tensor | None]


@dataclass(frozen=True)
class TokenizerConfig:
    """`channels` latent channels; `widths` and `depths` of the levels at 1/4, 1/8 and 1/16 of the frame."""

    channels: int = 24
    widths: tuple[int, int, int] = (64, 128, 128)
    encoder_depths: tuple[int, int, int] = (1, 1, 2)
    decoder_depths: tuple[int, int, int] = (3, 3, 3)


def frames_of(latent_frames: int) -> int:
    """How many video frames `latent_frames` stand for."""
    return 1 + TIME_STRIDE * (latent_frames - 1)


def latent_frames_of(frames: int) -> int:
    """How many latent frames hold `frames` video frames, the last group filled up."""
    return 1 + -(-(frames - 1) // TIME_STRIDE)


class Conv(nn.Module):
    """A convolution whose weight is kept as the matrix (out, in k k), so that Muon can move it.

    With `shortcut` the input is added, its channels matched (residual autoencoding, DC-AE, arXiv 2410.10733).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, shortcut: bool = False) -> None:
        super().__init__()
        self.kernel, self.shortcut = kernel, shortcut
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in * kernel * kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.unflatten(self.weight, 1, (-1, self.kernel, self.kernel))
        y = F.conv2d(x, weight, self.bias, padding=self.kernel // 2)
        return y + _matched(x, len(self.bias)) if self.shortcut else y


def pixel_norm(x: Tensor) -> Tensor:
    """Give the channels (dim 1) of every cell a mean square of 1 (Karras et al. 2017, arXiv 1710.10196)."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-4)


def _matched(x: Tensor, channels: int) -> Tensor:
    """Repeat or average neighbouring channels (dim 1) until there are `channels`: no weights."""
    have = x.shape[1]
    if have < channels:
        return x.repeat_interleave(channels // have, dim=1)
    return torch.unflatten(x, 1, (channels, have // channels)).mean(dim=2)


class Block(nn.Module):
    """Residual 3x3 convolutions over (B, t, c, h, w); with `recalls` it also sees the latent frame before."""

    def __init__(self, width: int, recalls: bool) -> None:
        super().__init__()
        self.recalls = recalls
        self.inner = Conv(width * (2 if recalls else 1), width, kernel=3)
        self.outer = Conv(width, width, kernel=3)
        nn.init.zeros_(self.outer.weight)

    def forward(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """x (B, t, c, h, w); `before` (B, 1, c, h, w) is the latent frame that precedes x, zeros if None."""
        batch = x.shape[0]
        seen = self._with_past(x, before) if self.recalls else x
        y = F.silu(self.inner(pixel_norm(seen.flatten(0, 1))))
        z: Tensor = x + self.outer(y).unflatten(0, (batch, -1))
        return z

    @staticmethod
    def _with_past(x: Tensor, before: Tensor | None) -> Tensor:
        first = torch.zeros_like(x[:, :1]) if before is None else before.to(x.dtype)
        return torch.cat([x, torch.cat([first, x[:, :-1]], dim=1)], dim=2)


class Resize(nn.Module):
    """Change the grid by 2: fold space into channels, or back, around a 1x1 convolution."""

    def __init__(self, width_in: int, width_out: int, up: bool) -> None:
        super().__init__()
        self.up = up
        shape = (width_in, 4 * width_out) if up else (4 * width_in, width_out)
        self.conv = Conv(*shape, kernel=1, shortcut=True)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        y = F.pixel_shuffle(self.conv(flat), 2) if self.up else self.conv(F.pixel_unshuffle(flat, 2))
        return torch.unflatten(y, 0, (x.shape[0], -1))


def _level(width: int, depth: int) -> list[nn.Module]:
    return [Block(width, recalls=index == 0) for index in range(depth)]


def _stream(layers: nn.ModuleList, x: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
    """Run `layers` over x, taking from `memory` what each recalling block saw last; returns the new one."""
    recalled = iter(memory or [])
    kept: Memory = []
    for layer in layers:
        if isinstance(layer, Block) and layer.recalls:
            before = next(recalled, None)
            kept.append(x[:, -1:].detach())
            x = layer(x, before)
        else:
            x = layer(x)
    return x, kept


class Project(nn.Module):
    """A 3x3 convolution applied to every latent frame."""

    def __init__(self, width_in: int, width_out: int, shortcut: bool = False) -> None:
        super().__init__()
        self.conv = Conv(width_in, width_out, kernel=3, shortcut=shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return torch.unflatten(self.conv(x.flatten(0, 1)), 0, (x.shape[0], -1))


def fold(frames: Tensor) -> Tensor:
    """Frames (B, 1 + 4k, 3, H, W) to (B, 1 + k, 192, H/4, W/4); the first frame fills its group by itself."""
    first = frames[:, :1].expand(-1, TIME_STRIDE - 1, -1, -1, -1)
    return rearrange(
        torch.cat([first, frames], dim=1),
        "b (t r) c (h p) (w q) -> b t (r c p q) h w",
        r=TIME_STRIDE,
        p=PATCH,
        q=PATCH,
    )


def unfold(cells: Tensor) -> Tensor:
    """(B, t, 192, H/4, W/4) to frames (B, 4t, 3, H, W); of a first group only the last frame counts."""
    return rearrange(
        cells, "b t (r c p q) h w -> b (t r) c (h p) (w q)", r=TIME_STRIDE, p=PATCH, q=PATCH, c=3
    )


class Tokenizer(nn.Module):
    """Frames in [-1, 1] to latents and back. `encode` gives latents of mean 0 and deviation 1 per channel."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.widths
        folded = 3 * TIME_STRIDE * PATCH * PATCH
        down, up = config.encoder_depths, config.decoder_depths
        self.encoder = nn.ModuleList(
            [
                Project(folded, fine, shortcut=True),
                *_level(fine, down[0]),
                Resize(fine, middle, up=False),
                *_level(middle, down[1]),
                Resize(middle, coarse, up=False),
                *_level(coarse, down[2]),
                Project(coarse, 2 * config.channels),
            ]
        )
        self.decoder = nn.ModuleList(
            [
                Project(config.channels, coarse),
                *_level(coarse, up[2]),
                Resize(coarse, middle, up=True),
                *_level(middle, up[1]),
                Resize(middle, fine, up=True),
                *_level(fine, up[0]),
                Project(fine, folded, shortcut=True),
            ]
        )
        with torch.no_grad():  # begin with little noise, so that there is something to learn from
            moments = self.encoder[-1]
            assert isinstance(moments, Project)
            moments.conv.weight[config.channels :] = 0.0
            moments.conv.bias[config.channels :] = -5.0
        self.register_buffer("latent_mean", torch.zeros(config.channels))
        self.register_buffer("latent_std", torch.ones(config.channels))

    def posterior(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, t, C, h, w) of the raw latents of `frames` (B, 1 + 4k, 3, H, W)."""
        moments, _ = _stream(self.encoder, fold(frames), None)
        mean, log_variance = moments.chunk(2, dim=2)
        return mean, log_variance.clamp(-12.0, 4.0)

    def encode(self, frames: Tensor) -> Tensor:
        """Frames (B, 1 + 4k, 3, H, W) in [-1, 1] to normalised latents (B, 1 + k, C, h, w), the mean."""
        mean, _ = self.posterior(frames)
        return (mean - self._per_channel(self.latent_mean)) / self._per_channel(self.latent_std)

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents (B, 1 + k, C, h, w) of a clip to frames (B, 1 + 4k, 3, H, W), about [-1, 1]."""
        frames, _ = self.decode_next(latents, None)
        return frames

    def decode_next(self, latents: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        """Decode the latent frames that follow those which left `memory` (None: latents begin the clip)."""
        raw = latents * self._per_channel(self.latent_std) + self._per_channel(self.latent_mean)
        frames, kept = self.decode_raw(raw, memory)
        return (frames[:, TIME_STRIDE - 1 :] if memory is None else frames), kept

    def decode_raw(self, raw: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """Raw latents (B, t, C, h, w) to all 4t frames, those that fill up the first group included."""
        cells, kept = _stream(self.decoder, raw, memory)
        return unfold(cells), kept

    @staticmethod
    def _per_channel(values: Tensor) -> Tensor:
        return values[:, None, None]


@dataclass(frozen=True)
class TokenizerLoss:
    """Weights of the parts: absolute and squared error, spatial and temporal gradients, the prior, and halved
    latents.

    Latents of half the size are to be the clip at half the size (scale equivariance, arXiv 2502.14831):
    they vary more smoothly from cell to cell, and a flow learns them with fewer examples.

    Pixels of `focus` (objects and what lies close around them, where the data knows them) weigh `focus` times
    more: they are few, most of the error is theirs, and whatever is lost here no generator brings back.
    """

    focus: float = 5.0
    squares: float = 4.0
    edges: float = 0.5
    motion: float = 0.5
    prior: float = 5e-4
    scale: float = 0.25


class TokenizerObjective:
    """Reconstruction under the evidence lower bound (Kingma & Welling 2014)."""

    def __init__(self, tokenizer: Tokenizer, weights: TokenizerLoss | None = None) -> None:
        self.tokenizer = tokenizer
        self.weights = weights or TokenizerLoss()

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.tokenizer.named_parameters() if p.requires_grad]

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` holds frames uint8 (B, T, H, W, 3) and may hold focus (B, T, H, W), 1 on objects."""
        frames = to_signal(batch["frames"])
        mean, log_variance = self.tokenizer.posterior(frames)
        noise = torch.randn(mean.shape, generator=draw).to(mean)
        raw, focus = mean + (0.5 * log_variance).exp() * noise, batch.get("focus")
        error = self._error(raw, frames)
        nearness = self._nearness(error, focus)
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        motion = error.diff(dim=1).abs().mean()
        prior = 0.5 * (mean.float() ** 2 + log_variance.exp() - 1 - log_variance).mean()
        w = self.weights
        total = nearness + w.edges * edges + w.motion * motion + w.prior * prior
        if w.scale and all(cells % 2 == 0 for cells in raw.shape[-2:]):
            halved = self._error(_halved(raw), _halved(frames))
            total = total + w.scale * self._nearness(halved, None if focus is None else focus[..., ::2, ::2])
        psnr = 10 * torch.log10(4.0 / error.detach().square().mean())
        return total, {"psnr": psnr, "prior": prior.detach()}

    def _error(self, raw: Tensor, frames: Tensor) -> Tensor:
        made, _ = self.tokenizer.decode_raw(raw)
        return made[:, TIME_STRIDE - 1 :].float() - frames

    def _nearness(self, error: Tensor, focus: Tensor | None) -> Tensor:
        """The mean of absolute and squared error (B, T, 3, H, W), what is in focus weighing more."""
        each = (error.abs() + self.weights.squares * error.square()).mean(dim=2)
        if focus is None:
            return each.mean()
        weight = 1 + (self.weights.focus - 1) * (focus > 0).to(each.dtype)
        return (weight * each).sum() / weight.sum()


def _halved(x: Tensor) -> Tensor:
    """Means over 2 x 2 neighbours: (B, t, c, h, w) to (B, t, c, h/2, w/2)."""
    return torch.unflatten(F.avg_pool2d(x.flatten(0, 1), 2), 0, x.shape[:2])


def to_signal(frames: Tensor) -> Tensor:
    """Frames uint8 (B, T, H, W, 3) to float32 (B, T, 3, H, W) in [-1, 1]."""
    planes = rearrange(frames, "b t h w c -> b t c h w").contiguous()  # as bytes: several times as fast
    return planes.float().div_(127.5).sub_(1)


def to_frames(signal: Tensor) -> Tensor:
    """Signal (B, T, 3, H, W), about [-1, 1], to frames uint8 (B, T, H, W, 3)."""
    levels = (signal.float() + 1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
    return rearrange(levels, "b t c h w -> b t h w c").contiguous()
