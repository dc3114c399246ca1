"""The predictor of codes: one transformer for both orders in which they can be made.

A cell of the code grid is one token, which holds its G codes; some or all of them may be unknown. What a cell
sees depends on the order. "masked" (MaskGIT, arXiv 2202.04200): all cells of its own and of earlier latent
frames. "raster": the cells before it. Either way keys and values of what is past can be kept, so that cells
are evaluated as they come; the caption's are the first of them.

    B clips, S = t n cells of the code grid, G codes a cell, K codes there are; D width, H heads of E
    channels; R rank of the embedding; C latent channels on t x h x w cells; L caption tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from kineograph.models.codes import PATCH, Codes, CodesConfig, levels_of
from kineograph.models.folding import CANVAS
from kineograph.models.layers import RMSNorm, SwiGLU, attend, heads_of, read_by, rotary_angles
from kineograph.models.precision import autocast
from kineograph.models.prompted import LatentConfig, LatentNetworks
from kineograph.sampling.guidance import pushed

Order = Literal["masked", "raster"]
Draw = Callable[[int, tuple[int, ...]], Tensor]  # standard normal numbers (B, *shape), by number and shape


@dataclass(frozen=True)
class TransformerLoss:
    """`drop` of the captions are left out, for guidance."""

    drop: float = 0.1


@dataclass(frozen=True)
class TransformerConfig(LatentConfig):
    """`rank` of the embedding that all codes share; `canvas_width` values that are read of a latent cell."""

    order: Order = "masked"
    codes: CodesConfig = field(default_factory=CodesConfig)
    rank: int = 64
    canvas_width: int = 8
    width: int = 160
    hidden: int = 192
    depth: int = 5
    heads: int = 4

    @property
    def cells(self) -> tuple[int, int, int]:
        """The grid of codes: latent frames, rows, columns."""
        frames, height, width = self.grid
        return frames, height // PATCH, width // PATCH

    @property
    def frame_cells(self) -> int:
        """Cells of a latent frame."""
        return self.cells[1] * self.cells[2]


@dataclass(frozen=True, eq=False)
class Past:
    """Keys and values (2, B, L + cells, H, E) of every block: the caption's, then the first cells'; and the
    rows (K + 1, R) that codes are embedded by."""

    blocks: list[Tensor]
    rows: Tensor
    cells: int = 0

    def cut(self, cells: int) -> Past:
        """Only the first of the cells."""
        return Past(
            [kept[:, :, : kept.shape[2] - self.cells + cells] for kept in self.blocks], self.rows, cells
        )


class Block(nn.Module):
    """Attention over the past and over what is seen of the new cells, then a gated layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm = RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.caption = nn.Linear(config.text_width, 2 * width, bias=False)
        self.join = nn.Linear(width, width, bias=False)
        self.norm_q = RMSNorm(width // config.heads)
        self.norm_k = RMSNorm(width // config.heads)
        self.norm_mlp = RMSNorm(width)
        self.mlp = SwiGLU(width, config.hidden)
        for layer in (self.join, self.mlp.outer):
            nn.init.zeros_(layer.weight)

    def read(self, text: Tensor) -> Tensor:
        """Keys and values (2, B, L, H, E) of the caption (B, L, text width)."""
        keys, values = self.caption(text).unflatten(-1, (2, self.heads, -1)).unbind(2)
        return torch.stack([self.norm_k(keys), values])

    def forward(
        self, x: Tensor, past: Tensor, angles: tuple[Tensor, Tensor], seen: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """x (B, S, D) and the keys and values (2, B, P + S, H, E) of the past and of x; `seen` (S, P + S)."""
        q, *own = heads_of(self.qkv(self.norm(x)), self.norm_q, self.norm_k, self.heads, angles)
        past = torch.cat([past, torch.stack(own)], dim=2)
        x = x + self.join(attend(q, past[0], past[1], seen))
        y: Tensor = x + self.mlp(self.norm_mlp(x))
        return y, past


class CanvasReader(nn.Module):
    """What the cells are told of known pixels: each of those at its own place and, as it does not see later
    cells, of those at its place in the whole window."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        values = PATCH * PATCH * config.canvas_width
        self.enter = nn.Linear(CANVAS, config.canvas_width, bias=False)
        self.own = nn.Linear(values, config.width, bias=False)
        self.whole = nn.Linear(config.grid[0] * values, config.width, bias=False)
        nn.init.zeros_(self.enter.weight)

    def forward(self, canvas: Tensor) -> Tensor:
        """A folded canvas (B, t, h, w, 4096) to (B, S, D); nothing where nothing is known."""
        seen = read_by(self.enter, canvas).to(self.own.weight.dtype)
        cells = rearrange(seen, "b t (h p) (w q) c -> b t (h w) (c p q)", p=PATCH, q=PATCH)
        whole = self.whole(rearrange(cells, "b t n c -> b n (t c)"))
        told: Tensor = self.own(cells) + whole[:, None]
        return told.flatten(1, 2)


class Predictor(nn.Module):
    """Predicts codes from those that are known, a caption and a canvas.

    The embedding of a code is the product of a row of R numbers, of all codes of a cell alike, and a matrix
    for its place among those; logits come by the same rows (tied, arXiv 1608.05859). A row is the sum of one
    for each of the code's d numbers, over the root of d, and of one of its own, so that what is learnt of a
    code is learnt of all that have a number in common with it (after MAGVIT-v2's factors, arXiv 2310.05737).
    """

    cos: Tensor
    sin: Tensor
    ranks: Tensor  # cells see those of their own and of lower ranks
    levels: Tensor  # which rows of `numbers` each code adds up, (K, d)

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        if config.order not in get_args(Order):
            raise ValueError(f"there is no order {config.order}")
        self.config = config
        self.unknown = config.codes.count  # stands for a code that isn't known
        groups, width = config.codes.groups, config.width
        frames, rows, columns = config.cells
        cells = frames * rows * columns
        levels = levels_of(config.codes.levels)
        self.numbers = nn.Parameter(torch.randn(sum(config.codes.levels), config.rank) * 0.1)
        self.own = nn.Parameter(torch.zeros(self.unknown, config.rank))
        self.nothing = nn.Parameter(torch.randn(1, config.rank) * 0.1)
        self.entering = nn.Parameter(torch.randn(groups, config.rank, width) * config.rank**-0.5)
        self.place = nn.Parameter(torch.randn(cells, width) * 0.1)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = RMSNorm(width)
        self.mlp = SwiGLU(width, width)
        self.norm_out = RMSNorm(width)
        self.leaving = nn.Parameter(torch.randn(groups, width, config.rank) * width**-0.5)
        if config.order == "masked":
            self.canvas = CanvasReader(config)
        angles = rotary_angles(config.cells, width // config.heads)[:, None, None]
        ranks = torch.arange(cells) // (rows * columns if config.order == "masked" else 1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.register_buffer("ranks", ranks, persistent=False)
        self.register_buffer("levels", levels, persistent=False)

    def begin(self, text: Tensor) -> Past:
        """The past before the first cell: what is read of a caption (B, L, text width)."""
        return Past([block.read(text) for block in self._blocks()], self.row_of_codes())

    def forward(self, codes: Tensor, past: Past, told: Tensor | None = None) -> tuple[Tensor, Past]:
        """What is found out (B, S' - P, D) of the cells after the first P, which `past` knows, and the past
        of all, for codes (B, S', G) of the first S' cells. In raster order the last cell's own are not read.
        `told` (B', S, D) is what the reader makes of the canvas of the last B' clips, the others having none.
        """
        new = slice(past.cells, codes.shape[1])
        seen = self.ranks[: new.stop] <= self.ranks[new, None]
        x, blocks = self._run(self._entered(codes, new, past.rows, told), past, new, seen)
        return x, Past(blocks, past.rows, new.stop)

    def beside(self, codes: Tensor, past: Past, told: Tensor | None = None) -> Tensor:
        """What is found out (B, S, D) of all latent frames at once, each as if it were the next: it sees its
        own of the codes (B, S, G), and those in `past` of the frames before it (arXiv 2503.09573)."""
        every, ranks = slice(0, codes.shape[1]), self.ranks
        seen = torch.cat([ranks < ranks[:, None], ranks == ranks[:, None]], dim=1)
        return self._run(self._entered(codes, every, past.rows, told), past, every, seen)[0]

    def said(self, codes: Tensor, rows: Tensor) -> Tensor:
        """What each of the codes (B, S, G) of a cell says by itself, by their rows: (B, S, G, D)."""
        return torch.einsum("bsgr,grd->bsgd", F.embedding(codes, rows), self.entering)

    def features(self, y: Tensor, groups: slice = slice(None)) -> Tensor:
        """Features (B, S, G, R) of the codes of `groups`, of what is known for each, or, where y is
        (B, S, 1, D), for all of a cell alike."""
        y = y + self.mlp(self.norm(y))
        return torch.einsum("bsgd,gdr->bsgr", self.norm_out(y), self.leaving[groups])

    def logits(self, features: Tensor, rows: Tensor) -> Tensor:
        """Logits (..., K) of features (..., R), by the rows of the codes."""
        return F.linear(features, rows[: self.unknown]).float()

    def row_of_codes(self) -> Tensor:
        """The row of each code and, last, of one that isn't known: (K + 1, R)."""
        sums = F.embedding(self.levels, self.numbers).sum(dim=1) * self.levels.shape[1] ** -0.5
        return torch.cat([sums + self.own, self.nothing])

    def _blocks(self) -> list[Block]:
        return cast(list[Block], list(self.blocks))

    def _entered(self, codes: Tensor, new: slice, rows: Tensor, told: Tensor | None) -> Tensor:
        """The tokens (B, S', D) of the new cells; in raster order each holds the codes of the cell before."""
        if self.config.order == "raster":
            codes = torch.cat([torch.full_like(codes[:, :1], self.unknown), codes[:, :-1]], dim=1)
        embedded = F.embedding(codes[:, new], rows).flatten(2)
        x = embedded @ self.entering.flatten(0, 1) + self.place[new]
        if told is None:
            return x
        alone = len(x) - len(told)
        return torch.cat([x[:alone], x[alone:] + told[:, new]])

    def _run(self, x: Tensor, past: Past, at: slice, seen: Tensor) -> tuple[Tensor, list[Tensor]]:
        """All blocks, over the cells `at`; `seen` (S', P + S') of the past's cells and of these. The caption
        is seen by all."""
        angles, blocks = (self.cos[at], self.sin[at]), []
        words = past.blocks[0].shape[2] - past.cells
        mask = None if bool(seen.all()) else F.pad(seen, (words, 0), value=True)
        for block, before in zip(self._blocks(), past.blocks, strict=True):
            x, after = block(x, before, angles, mask)
            blocks.append(after)
        return x, blocks


class TransformerNetworks(LatentNetworks[TransformerConfig]):
    """Tokenizer, caption encoder, codes, and their predictor."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.codes = Codes(config.codes, config.channels)
        self.predictor = Predictor(config)

    def predicting(self) -> list[tuple[str, nn.Parameter]]:
        """All that is learnt once the codes rest."""
        return [(name, p) for name, p in self.learning() if not name.startswith("codes.")]

    @torch.no_grad()
    def coded(self, latents: Tensor) -> Tensor:
        """The codes (B, S, G) of latents (B, t, C, h, w)."""
        return self.codes.encode(latents.float()).flatten(1, 2)

    def heard(self, caption: Tensor, drop: float, draw: torch.Generator) -> Tensor:
        """Encoded captions (B, L, text width) to train on, a share of them left out."""
        kept = torch.rand(len(caption), 1, generator=draw) >= drop
        encoded: Tensor = self.text(caption * kept.to(caption.device))
        return encoded


class Led:
    """A predictor under a prompt: its logits are pushed by classifier-free guidance (arXiv 2207.12598), for
    which it hears the prompt and, beside it in one pass, nothing.

    Args:
        captions, nothing: encoded text (B, L, text width).
        canvas: a folded canvas (B, t, h, w, 4096) or None.
        scale: of guidance, (B,), or None for none.
        dtype: of the matrix products, None for the device's own.
    """

    def __init__(
        self,
        predictor: Predictor,
        captions: Tensor,
        nothing: Tensor,
        canvas: Tensor | None = None,
        scale: Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.predictor, self.scale = predictor, scale
        self.autocast = partial(autocast, captions.device, dtype)
        self.text = captions if scale is None else torch.cat([captions, nothing])
        with self.autocast():
            self.told = None if canvas is None else self._twice(predictor.canvas(canvas))
            self.past = predictor.begin(self.text)

    def begin(self) -> Past:
        """The past before the first cell."""
        return self.past

    @property
    def rows(self) -> Tensor:
        """The row (K + 1, R) of each code."""
        return self.past.rows

    def reach(self, codes: Tensor, past: Past) -> tuple[Tensor, Past]:
        """`Predictor.forward`, with and without the prompt."""
        with self.autocast():
            found: tuple[Tensor, Past] = self.predictor(self._twice(codes), past, self.told)
        return found

    def logits(self, y: Tensor) -> Tensor:
        """Logits (B, S, G, K) of all codes of cells, of which y was found out by `reach`."""
        return self._pushed(y[:, :, None], slice(None))

    def next_logits(self, y: Tensor, codes: Tensor) -> Tensor:
        """Logits (B, S, K) of the codes that follow the first ones (B, S, G') of their cells."""
        group = codes.shape[2]
        padded = F.pad(codes, (0, self.predictor.config.codes.groups - group))
        with self.autocast():
            said = self._twice(self.predictor.said(padded, self.rows)[:, :, :group].sum(dim=2))
        return self._pushed((y + said)[:, :, None], slice(group, group + 1))[:, :, 0]

    def _pushed(self, y: Tensor, groups: slice) -> Tensor:
        with self.autocast():
            logits = self.predictor.logits(self.predictor.features(y, groups), self.rows)
        if self.scale is None:
            return logits
        with_prompt, without = logits.chunk(2)
        return pushed(with_prompt, without, self.scale)

    def _twice(self, x: Tensor) -> Tensor:
        return x if self.scale is None else torch.cat([x, x])


def picked(logits: Tensor, normals: Tensor) -> Tensor:
    """Codes (...) drawn by logits (..., K) and standard normal numbers (...): the inverse of the cumulative
    distribution at the share of normal numbers that are smaller."""
    chances = logits.softmax(dim=-1).cumsum(dim=-1)
    at = torch.special.ndtr(normals)[..., None] * chances[..., -1:]
    codes: Tensor = (chances < at).sum(dim=-1)
    return codes
