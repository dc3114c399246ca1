"""The networks of the vae family: stochastic video generation with a learned prior, over latents.

SVG-LP (Denton & Fergus 2018, arXiv 1802.07687), with a caption c and a style s of the whole clip:

    s   ~ p(s | c, canvas, style before)    from a clip: q(s | mean and deviation of its channels)
    z_t ~ p(z_t | y_<t, s, c, canvas)       from a clip: q(z_t | y_<=t, s, c)
    y_t = f(y_<t, z_<=t, s, c, canvas)      x_t = mean(s) + deviation(s) y_t

Prior, posterior and predictor f each have an LSTM. The content y is what is left of the latents x when their
style is taken off (as in AdaIN, arXiv 1703.06868), so that a style can be exchanged.

z_t has two levels (as in arXiv 1904.12165): some numbers for the whole frame, then some for each cell. The
cells of a prior are drawn independently: what they must agree about, such as where a thing is, the first
level says to all of them; what a single vector can't hold, the second does.

The canvas enters prior and predictor (conditional VAE, Sohn et al. 2015): the prior that has seen the known
pixels is the posterior of z given those, and where they say nothing, it stays as wide as it should.

    B clips; t latent frames of h x w cells with C channels; D features in each of h/2 x w/2 cells;
    K channels of an LSTM's memory; M numbers of a mood, which holds caption and style; L caption tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models.folding import CANVAS
from kineograph.models.gaussians import Gaussian, guided_prior
from kineograph.models.layers import read_by
from kineograph.models.prompted import LatentConfig
from kineograph.models.tokenizer import Block, Conv, Project, pixel_norm

PATCH = 2  # latent cells along the side of a cell of features
SUMMED = 24  # channels of a cell that a head for the whole frame reads


@dataclass(frozen=True)
class VaeConfig(LatentConfig):
    """`width`, `memory` and `mood` are D, K and M; `queries` sum a caption up. Of the latent numbers `style`
    are the clip's, `scene` a latent frame's and `detail` those of each cell of features."""

    width: int = 84
    memory: int = 48
    mood: int = 128
    queries: int = 6
    style: int = 16
    scene: int = 24
    detail: int = 8
    canvas_width: int = 20

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of features."""
        return self.grid[1] // PATCH, self.grid[2] // PATCH

    @property
    def levels(self) -> dict[str, tuple[int, ...]]:
        """The shape of each level of z_t."""
        return {"scene": (self.scene,), "detail": (self.detail, *self.cells)}


# Blocks


class MoodBlock(nn.Module):
    """Residual 3x3 convolutions, between which a mood scales and shifts the channels (arXiv 1709.07871)."""

    def __init__(self, width: int, mood: int) -> None:
        super().__init__()
        self.inner, self.outer = Conv(width, width, kernel=3), Conv(width, width, kernel=3)
        self.film = nn.Linear(mood, 2 * width)
        nn.init.zeros_(self.outer.weight)

    def forward(self, x: Tensor, mood: Tensor) -> Tensor:
        """x (B, D, h/2, w/2), mood (B, M)."""
        scale, shift = self.film(mood)[..., None, None].chunk(2, dim=1)
        y: Tensor = x + self.outer(F.silu(self.inner(pixel_norm(x)) * (1 + scale) + shift))
        return y


class Memory(NamedTuple):
    """What an LSTM shows and what it keeps, (B, K, h/2, w/2)."""

    shown: Tensor
    kept: Tensor


class Lstm(nn.Module):
    """A convolutional LSTM (Shi et al. 2015, arXiv 1506.04214) past which its input also goes. Features have
    seen their neighbours already, so only what is remembered looks around."""

    def __init__(self, width: int, memory: int) -> None:
        super().__init__()
        self.enter = Conv(width, 4 * memory, kernel=1)
        self.recall = Conv(memory, 4 * memory, kernel=3)
        self.leave = Conv(memory, width, kernel=1)

    def forward(self, x: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """x (B, D, h/2, w/2); returns features of the same shape."""
        take, keep, show, new = (self.enter(x) + self.recall(memory.shown)).chunk(4, dim=1)
        kept = torch.sigmoid(keep + 1) * memory.kept + torch.sigmoid(take) * torch.tanh(new)
        shown = torch.sigmoid(show) * torch.tanh(kept)
        return x + self.leave(shown), Memory(shown, kept)

    def empty(self, x: Tensor) -> Memory:
        """The memory before the first input, which looks like x (B, ..., h/2, w/2)."""
        nothing = x.new_zeros(len(x), self.leave.weight.shape[1], *x.shape[-2:], dtype=torch.float32)
        return Memory(nothing, nothing)


class SceneHead(nn.Module):
    """Mean and spread of the numbers for a whole frame."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        rows, columns = config.cells
        self.narrow = Conv(config.width, SUMMED, kernel=1)
        self.sum = nn.Linear(SUMMED * rows * columns, config.mood)
        self.mood = nn.Linear(config.mood, config.mood)
        self.leave = begun_small(nn.Linear(config.mood, 2 * config.scene))

    def forward(self, x: Tensor, mood: Tensor) -> Gaussian:
        whole = self.sum(self.narrow(x).flatten(1)) + self.mood(mood)
        return Gaussian.of(self.leave(F.silu(whole)))


class DetailHead(nn.Module):
    """Mean and spread of the numbers for each cell."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.block = MoodBlock(config.width, config.mood)
        self.leave = begun_small(Conv(config.width, 2 * config.detail, kernel=1))

    def forward(self, x: Tensor, mood: Tensor) -> Gaussian:
        return Gaussian.of(self.leave(self.block(x, mood)))


class Level(nn.Module):
    """A level of z_t: its prior, its posterior, and from its numbers back to features."""

    def __init__(self, prior: nn.Module, posterior: nn.Module, back: nn.Module) -> None:
        super().__init__()
        self.prior, self.posterior, self.back = prior, posterior, back


def _levels(config: VaeConfig) -> nn.ModuleList:
    cells = (config.width, *config.cells)
    to_all = nn.Sequential(nn.Linear(config.scene, cells[0] * cells[1] * cells[2]), nn.Unflatten(1, cells))
    scene = Level(SceneHead(config), SceneHead(config), to_all)
    to_each = Conv(config.detail, config.width, kernel=1)
    return nn.ModuleList([scene, Level(DetailHead(config), DetailHead(config), to_each)])


def begun_small(layer: nn.Linear | Conv) -> nn.Linear | Conv:
    """A layer that begins with little to say."""
    with torch.no_grad():
        layer.weight.mul_(0.1)
    return layer


# The caption and the canvas


class Reader(nn.Module):
    """Sums a caption up: each of some queries looks for words of its own."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(config.queries, config.text_width))
        self.sum = nn.Linear(config.queries * config.text_width, config.mood)

    def forward(self, text: Tensor) -> Tensor:
        """Encoded captions (B, L, width) to (B, M)."""
        match = text @ self.queries.T * self.queries.shape[1] ** -0.5
        found = match.float().softmax(dim=1).transpose(1, 2) @ text
        summary: Tensor = self.sum(found.flatten(1))
        return summary


class CanvasReader(nn.Module):
    """Reads the canvas from its end to its beginning, so that each latent frame knows what is to come."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.grid = config.grid
        self.enter = nn.Linear(CANVAS, config.canvas_width, bias=False)
        self.lstm = Lstm(PATCH**2 * config.canvas_width, config.memory)
        nn.init.zeros_(self.enter.weight)

    def forward(self, canvas: Tensor | None, clips: int) -> Tensor:
        """The folded canvas (B', t, h, w, CANVAS) of the last B' clips, the others having none, to
        (B, t, 4 canvas width, h/2, w/2)."""
        memory: Memory | None = None
        read: list[Tensor] = []
        for cells in reversed(self._cells(canvas, clips).unbind(1)):
            features, memory = self.lstm(cells, memory or self.lstm.empty(cells))
            read.append(features)
        return torch.stack(read[::-1], dim=1)

    def _cells(self, canvas: Tensor | None, clips: int) -> Tensor:
        groups, *size = self.grid
        weight = self.enter.weight
        known = weight.new_zeros(clips, groups, len(weight), *size, dtype=torch.float32)
        if canvas is not None:
            entered = read_by(self.enter, canvas).movedim(-1, 2).float()
            known = torch.cat([known[: clips - len(canvas)], entered])
        return F.pixel_unshuffle(known, PATCH)


# The frames


@dataclass(frozen=True, eq=False)
class Cue:
    """What clips are made by.

    `moods` (B, M) are with the captions and, where guidance of this `scale` (B,) is wanted, without; `canvas`
    (B, t, 4 canvas width, h/2, w/2) is read. Contents are (B, t, C, h, w): the posterior reads `seen` and is
    believed where `read` (B, t) bool; `given` is remembered instead of what was made where `held` is true.
    """

    moods: Sequence[Tensor]
    canvas: Tensor
    seen: Tensor
    read: Tensor
    given: Tensor
    held: Tensor
    scale: Tensor | None = None
    temperature: float = 1.0

    def drawn_from(self, number: int, q: Gaussian, priors: Sequence[Gaussian]) -> Gaussian:
        """Where the z of a latent frame comes from."""
        p = guided_prior(priors, self.scale).tempered(self.temperature)
        return q.instead(p, self.read[:, number])


class Made(NamedTuple):
    """The content (B, C, h, w) of a latent frame; posterior and prior of each level."""

    content: Tensor
    levels: list[tuple[Gaussian, Gaussian]]


class Dynamics(nn.Module):
    """Makes the content of a clip, a latent frame at a time."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        width, memory = config.width, config.memory
        folded = PATCH**2 * config.channels
        self.begin = nn.Parameter(torch.randn(width, *config.cells))  # what comes before the first frame
        self.enter = Project(folded, width)
        self.encoder = Block(width, recalls=False)
        self.see = Conv(PATCH**2 * config.canvas_width, width, kernel=1)
        self.prior, self.posterior, self.predictor = (Lstm(width, memory) for _ in range(3))
        self.levels = _levels(config)
        self.decoder = nn.ModuleList(MoodBlock(width, config.mood) for _ in range(2))
        self.leave = Conv(width, folded, kernel=1)

    def encode(self, content: Tensor) -> Tensor:
        """Features (B, t, D, h/2, w/2) of contents (B, t, C, h, w)."""
        features: Tensor = self.encoder(self.enter(F.pixel_unshuffle(content, PATCH)))
        return features

    def unroll(self, cue: Cue, noises: Iterable[Sequence[Tensor]]) -> Iterator[Made]:
        """Make frame after frame; `noises` holds standard normal numbers (B, ...) for each level of each."""
        seen = self.encode(cue.seen)
        lstms = (self.prior, self.posterior, self.predictor)
        ahead, behind, made = (lstm.empty(seen[:, 0]) for lstm in lstms)
        content: Tensor | None = None
        for number, noise in enumerate(noises):
            before = self._before(cue, number, content)
            told = self.see(cue.canvas[:, number])
            expected, ahead = self.prior(before, ahead)
            found, behind = self.posterior(seen[:, number], behind)
            z, levels = self._drawn(number, cue, expected + told, found, noise)
            features, made = self.predictor(before + z, made)
            content = self._decoded(features + told, cue.moods[0])
            yield Made(content, levels)

    def _before(self, cue: Cue, number: int, made: Tensor | None) -> Tensor:
        """Features (B, D, h/2, w/2) of the latent frame before, that was `made` or is held."""
        if made is None:
            return self.begin.expand(len(cue.held), -1, -1, -1)
        held = cue.held[:, number - 1, None, None, None]
        return self.encode(torch.where(held, cue.given[:, number - 1], made.detach())[:, None])[:, 0]

    def _drawn(
        self, number: int, cue: Cue, expected: Tensor, found: Tensor, noise: Sequence[Tensor]
    ) -> tuple[Tensor, list[tuple[Gaussian, Gaussian]]]:
        """z of a latent frame as features (B, D, h/2, w/2), each level knowing those before it."""
        z = torch.zeros_like(found)
        levels: list[tuple[Gaussian, Gaussian]] = []
        for level, draw in zip(cast(list[Level], list(self.levels)), noise, strict=True):
            q = level.posterior(found + z, cue.moods[0])
            priors = [level.prior(expected + z, mood) for mood in cue.moods]
            z = z + level.back(cue.drawn_from(number, q, priors).sample(draw))
            levels.append((q, priors[0]))
        return z, levels

    def _decoded(self, features: Tensor, mood: Tensor) -> Tensor:
        for block in self.decoder:
            features = block(features, mood)
        return F.pixel_shuffle(self.leave(pixel_norm(features)).float(), PATCH)
