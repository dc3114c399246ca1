"""The networks of the rnn family: how a clip begins, and how each latent frame leads to the next.

A clip begins with a latent frame that a small flow draws, of flow time from 0 (noise) to 1 (data). From there
on recurrent cells predict each next one, as what is added to the last: the mean of what may come, without
noise. Where much may come, that blurs; what the caption says and what moves leave little open.

Clips are also learnt from their end to their beginning. Then latent frames come in reverse, each as it is,
and the caption says so.

    B clips; t latent frames, h x w cells, C latent channels; L caption tokens of D; W width of the cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import repeat
from torch import Tensor, nn

from kineograph.controls import ACTIONS
from kineograph.models.cells import DENSE, State, by_step, stack_of
from kineograph.models.denoiser import Denoiser, DenoiserConfig
from kineograph.models.exposure import feed_back
from kineograph.models.folding import CANVAS
from kineograph.models.layers import read_by
from kineograph.models.prompted import LatentConfig, LatentNetworks
from kineograph.models.tokenizer import TIME_STRIDE, Conv

ACTS = TIME_STRIDE * (len(ACTIONS) + 1)  # numbers by which a latent frame is told of actions


@dataclass(frozen=True)
class RnnConfig(LatentConfig):
    """`cell` is one of `cells.CELLS`, of `width` channels and `depth` layers; `begin_*` and `heads` are the
    sizes of the transformer that draws the first latent frame."""

    cell: str = "convlstm"
    width: int = 68
    depth: int = 2
    kernel: int = 3
    canvas_width: int = 12
    begin_width: int = 112
    begin_hidden: int = 288
    begin_depth: int = 4
    heads: int = 4

    @property
    def frame(self) -> tuple[int, int, int]:
        """The shape of a latent frame."""
        return self.channels, *self.grid[1:]


class Dynamics(nn.Module):
    """Predicts each latent frame from those before it, the caption, and what is told of it: what is known of
    its pixels, and the actions that lead to it."""

    def __init__(self, config: RnnConfig) -> None:
        super().__init__()
        self.enter_canvas = nn.Linear(CANVAS, config.canvas_width, bias=False)
        entering = config.channels + config.canvas_width + ACTS
        self.dense = config.cell in DENSE
        self.enter, self.leave = (_as_vectors if self.dense else _as_maps)(entering, config)
        self.caption = nn.Linear(config.text_width, 2 * config.width)
        self.stack = stack_of(config.cell, config.width, config.width, config.depth, config.kernel)
        for weight in (self.enter_canvas.weight, *_last_weights(self.leave)):
            nn.init.zeros_(weight)
        first = cast(Conv, self.enter[0] if isinstance(self.enter, nn.Sequential) else self.enter)
        with torch.no_grad():  # what nobody is told in training is to change nothing
            torch.unflatten(first.weight, 1, (entering, -1))[:, -ACTS:] = 0.0

    def told(self, canvas: Tensor | None, acts: Tensor, cells: tuple[int, int]) -> Tensor:
        """What is told of latent frames, as maps (B, t, canvas width + ACTS, h, w): the canvas
        (B', t, h, w, CANVAS) of the last B' clips, the others having none, and actions (B, t, ACTS)."""
        known = acts.new_zeros(*acts.shape[:2], len(self.enter_canvas.weight), *cells)
        if canvas is not None:
            seen = read_by(self.enter_canvas, canvas).movedim(-1, 2).to(known)
            known = torch.cat([known[: len(known) - len(canvas)], seen])
        height, width = cells
        return torch.cat([known, repeat(acts, "b t a -> b t a h w", h=height, w=width)], dim=2)

    def begin(self, z: Tensor) -> list[State]:
        """The state before the first latent frame z (B, C, h, w)."""
        return self.stack.begin(z[..., :1, :1] if self.dense else z)

    def step(
        self, z: Tensor, told: Tensor, caption: Tensor, states: list[State]
    ) -> tuple[Tensor, list[State]]:
        """The latent frame after z (B, C, h, w), of which (B, ..., h, w) is told, with captions (B, L, D)."""
        features = self._features(torch.cat([z, told], dim=1), caption)
        states = self.stack.step(features, states)
        return z + self.leave(features + states[-1][0]).float(), states

    def roll(
        self, z: Tensor, shown: Tensor, told: Tensor, caption: Tensor
    ) -> Iterator[tuple[Tensor, list[State]]]:
        """Yield the latent frame after each of z (B, t, C, h, w), and the states; what was predicted takes
        the place of z where `shown` (B, t) is false."""

        def step(seen: Tensor, number: int, states: list[State]) -> tuple[Tensor, list[State]]:
            return self.step(seen, told[:, number], caption, states)

        return feed_back(z, shown, step, self.begin(z[:, 0]))

    def forward(self, z: Tensor, told: Tensor, caption: Tensor) -> Tensor:
        """The latent frames after each of z (B, t, C, h, w), of which (B, t, ..., h, w) is told."""
        steps = z.shape[1]
        flat = torch.cat([z, told], dim=2).flatten(0, 1)
        features = torch.unflatten(self._features(flat, caption, steps), 0, (-1, steps))
        shown, _ = self.stack(features)
        return z + by_step(self.leave, features + shown).float()

    def _features(self, x: Tensor, caption: Tensor, steps: int = 1) -> Tensor:
        """Features (B steps, W, ...) of maps (B steps, ..., h, w), scaled and shifted by the caption, as FiLM
        does (arXiv 1709.07871)."""
        mood = self.caption(caption.mean(dim=1)).repeat_interleave(steps, dim=0)[..., None, None]
        scale, shift = mood.chunk(2, dim=1)
        return F.silu(self.enter(x) * (1 + scale) + shift)


def _as_maps(entering: int, config: RnnConfig) -> tuple[nn.Module, nn.Module]:
    """To what the cells read, and back from what they show."""
    return Conv(entering, config.width, config.kernel), Conv(config.width, config.channels, config.kernel)


def _as_vectors(entering: int, config: RnnConfig) -> tuple[nn.Module, nn.Module]:
    """The same where a whole latent frame is one vector, which is a map of 1 x 1."""
    values, each = math.prod(config.frame), (config.width, 1, 1)
    narrow, sums = Conv(entering, config.channels, 1), nn.Linear(values, config.width)
    enter = nn.Sequential(narrow, nn.Flatten(), sums, nn.Unflatten(1, each))
    leave = nn.Sequential(nn.Flatten(), nn.Linear(config.width, values), nn.Unflatten(1, config.frame))
    return enter, leave


def _last_weights(layer: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in layer.parameters() if parameter.dim() > 1]


class RnnNetworks(LatentNetworks[RnnConfig]):
    """Tokenizer and caption encoder; how a clip begins, and how it goes on."""

    def __init__(self, config: RnnConfig) -> None:
        super().__init__(config)
        self.begin = Denoiser(
            DenoiserConfig(
                config.channels,
                (1, *config.grid[1:]),
                CANVAS,
                config.canvas_width,
                text_width=config.text_width,
                width=config.begin_width,
                hidden=config.begin_hidden,
                depth=config.begin_depth,
                heads=config.heads,
                guided=False,
            )
        )
        self.dynamics = Dynamics(config)
        self.backwards = nn.Embedding(1, config.text_width)
        nn.init.normal_(self.backwards.weight, std=0.1)

    def led(self, captions: Tensor, backwards: Tensor) -> Tensor:
        """Encoded captions (B, L, D) that say which clips (B,) bool are made from their end."""
        return captions + backwards[:, None, None] * self.backwards.weight


def in_order(x: Tensor, backwards: Tensor) -> Tensor:
    """Latent frames (B, t, ...) in the order in which they are made, or again in that of time."""
    return torch.where(backwards.view(-1, *[1] * (x.dim() - 1)), x.flip(1), x)


def fold_actions(actions: Tensor) -> Tensor:
    """One-hot actions (B, 1 + 4k, 4), NaN where nobody acts, by latent frame: (B, 1 + k, ACTS)."""
    acted = ~actions[..., :1].isnan()
    frames = F.pad(torch.cat([actions.nan_to_num(), acted.to(actions)], dim=-1), (0, 0, TIME_STRIDE - 1, 0))
    return torch.unflatten(frames, 1, (-1, TIME_STRIDE)).flatten(2)


def known_ends(known: Tensor) -> Tensor:
    """Which latent frames are known with all of their future, and with the frame before, from which the
    tokenizer can begin: (B, 1 + 4k, H, W) bool to (B, 1 + k) bool."""
    rest = known.flatten(2).all(dim=2).flip(1).int().cumprod(dim=1).flip(1).bool()
    return F.pad(rest[:, :-1:TIME_STRIDE], (1, 0))
