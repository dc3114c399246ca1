"""The networks of the diffusion family, and the loss by which the flow is learnt.

B clips, T frames, H x W pixels; t latent frames, h x w cells, C latent channels; L caption tokens, encoded
those of THINGS things more where there are guides.
Flow time runs from 0 (noise) to 1 (data): z = t x + (1 - t) e (Liu et al. 2022, arXiv 2209.03003).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.controls import THINGS
from kineograph.models.denoiser import Denoiser, DenoiserConfig
from kineograph.models.folding import clean_groups, draw_known, fold_canvas, partly_known
from kineograph.models.guides import KINDS, TELL_OF, Guides, any_told, draw_told, fold_guides
from kineograph.models.tokenizer import SPACE_STRIDE, Tokenizer, TokenizerConfig, frames_of, to_signal
from kineograph.text.encoder import TextConfig, TextEncoder
from kineograph.text.vocabulary import IDIOMS, SEPARATORS, Vocabulary

PUSH = 2 / 3  # folds a guidance of 3 in
NEAR_NOISE = -1.0  # the logit that times are drawn around: what a clip shows is decided near the noise
NEAREST = 0.05  # v = (x - z) / (1 - t) is not divided by less than this (arXiv 2511.13720)


@dataclass(frozen=True)
class DiffusionConfig:
    """The three networks and what the model was trained on; `push` is what of guidance is folded in."""

    words: tuple[str, ...]
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    text_length: int = 44
    fps: float = 8.0
    push: float = 0.0

    @property
    def text(self) -> TextConfig:
        vocabulary, width = Vocabulary(self.words), self.denoiser.text_width
        plain = TextConfig(len(vocabulary), self.text_length, width)
        if not self.denoiser.guided:
            return plain
        separators, idioms = map(vocabulary.numbers_of, (SEPARATORS, IDIOMS))
        return replace(plain, things=THINGS, separators=separators, idioms=idioms)

    @property
    def window(self) -> int:
        return frames_of(self.denoiser.grid[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.denoiser.grid[1] * SPACE_STRIDE, self.denoiser.grid[2] * SPACE_STRIDE


class DiffusionNetworks(nn.Module):
    """What is trained and saved: tokenizer, caption encoder and denoiser."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = Tokenizer(config.tokenizer)
        self.text = TextEncoder(config.text)
        self.denoiser = Denoiser(config.denoiser)

    def velocity(
        self,
        z: Tensor,
        time: Tensor,
        caption: Tensor,
        canvas: Tensor | None = None,
        guides: Guides | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The predicted clean latents and the velocity that leads there; `caption` is encoded text."""
        return velocity_of(self.denoiser, z, time, caption, canvas, guides)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns of a window."""
        return self.config.denoiser.grid

    @property
    def channels(self) -> int:
        """Of the latents."""
        return self.config.denoiser.channels


def velocity_of(
    denoiser: Callable[..., Tensor], z: Tensor, time: Tensor, *told: Any
) -> tuple[Tensor, Tensor]:
    """The clean latents that a denoiser predicts from z, and the velocity that leads there."""
    clean = denoiser(z, time, *told).float()
    return clean, (clean - z) / (1 - time).clamp(min=NEAREST)[:, :, None, None, None]


class Captioned(Protocol):
    """Of a config: its words, and how many of a caption are read."""

    @property
    def words(self) -> tuple[str, ...]: ...

    @property
    def text_length(self) -> int: ...


class FlowNetworks(Protocol):
    """Networks that a flow is learnt with, and sampled from."""

    tokenizer: Tokenizer
    text: TextEncoder

    @property
    def denoiser(self) -> nn.Module: ...

    @property
    def config(self) -> Captioned: ...

    @property
    def grid(self) -> tuple[int, int, int]: ...

    @property
    def channels(self) -> int: ...

    def velocity(
        self,
        z: Tensor,
        time: Tensor,
        caption: Tensor,
        canvas: Tensor | None = None,
        guides: Guides | None = None,
    ) -> tuple[Tensor, Tensor]: ...


# The loss


def _acting(told: Mapping[str, Tensor]) -> Tensor:
    """(B,) bool, by the processor: in which clips somebody acts, as far as that is told."""
    return any_told(told, "actions").cpu()


def _last(rows: int, played: Tensor | None) -> Tensor:
    """(rows,) bool: which of the last rows are `played`, of which those with guides are known."""
    known = torch.zeros(0, dtype=torch.bool) if played is None else played[-rows:]
    return F.pad(known, (rows - len(known), 0))


@dataclass(frozen=True)
class FlowLoss:
    """Shares of the rows without guides: with one noise level, with independent ones; the rest has a clean
    beginning. The first are plain text to video. Rows with guides and with a canvas come with the data;
    of guided ones `begun` have a clean beginning, and `silent` are told nothing; of those with a canvas
    `silent_canvas`, unless somebody acts in them.

    `drop` of the captions are left out for guidance, `drop_guided` in rows that may have guides, so that
    those are listened to, and `drop_styled` where a style is told; `open` of the times one leaves open what
    a guide tells (of several the last in `TELL_OF`). Times are logit-normal around `location`
    (arXiv 2403.03206).

    `push` folds guidance in: the aim lies as much of the way further along from what is made of nothing told
    to what is made of all that is, so that one pass leads where a guidance of 1 / (1 - push) would lead with
    two (model guidance, arXiv 2502.12154). Only `eased` of it where a clip is to be changed, and not in the
    style of another: it tells most of what is to be seen, and the more is pushed, the less of it is kept.
    """

    text: float = 0.75
    independent: float = 0.12
    begun: float = 0.4
    silent: float = 0.1
    silent_canvas: float = 0.6
    drop: float = 0.1
    drop_guided: float = 0.25
    drop_styled: float = 0.5
    open: float = 0.6
    location: float = NEAR_NOISE
    push: float = 0.0
    eased: float = 0.5


@dataclass(frozen=True, eq=False)
class Drawn:
    """A batch as the flow is shown it: clean latents and noise (B, t, C, h, w), times (B, t), 1 where nothing
    is to be made, caption numbers (B, L), 0 where left out, and what the last rows have of canvas and guides.
    """

    clean: Tensor
    noise: Tensor
    time: Tensor
    caption: Tensor
    canvas: Tensor | None
    guides: Guides | None

    @property
    def unknown(self) -> Tensor:
        """(B, t) bool: what is to be made."""
        return self.time < 1

    def at(self, time: Tensor) -> Tensor:
        """Latents on the way from noise to data at the times (B, t)."""
        level = time[:, :, None, None, None]
        return level * self.clean + (1 - level) * self.noise

    def told(
        self, text: TextEncoder, *, prompted: bool = True
    ) -> tuple[Tensor, Tensor | None, Guides | None]:
        """What the velocity depends on beside latents and times, with or without captions and guides."""
        guides = self.guides if prompted or self.guides is None else self.guides.bare()
        return text(self.caption * prompted), self.canvas, guides


class FlowObjective:
    """Velocity matching with a network that predicts the clean latents (arXiv 2511.13720)."""

    def __init__(self, networks: FlowNetworks, config: FlowLoss | None = None) -> None:
        self.networks = networks
        self.config = config or FlowLoss()

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        moved = [*self.networks.denoiser.named_parameters(), *self.networks.text.named_parameters()]
        return [(name, parameter) for name, parameter in moved if parameter.requires_grad]

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` holds latents (B, t, C, h, w) and caption numbers (B, L); the last rows may have the truth
        about their clips as guides of every kind, perhaps with captions that are `open`
        (B', len(TELL_OF), L), and the last of these frames."""
        drawn = self.drawn(batch, draw)
        z = drawn.at(drawn.time)
        made, _ = self.networks.velocity(z, drawn.time, *drawn.told(self.networks.text))
        error = (made - self._aim(z, made.detach(), drawn)).square().mean(dim=(2, 3, 4))
        weight = drawn.unknown / (1 - drawn.time).clamp(min=NEAREST) ** 2
        loss = (weight * error).sum() / drawn.unknown.sum()
        return loss, {"error": (error * drawn.unknown).sum().detach() / drawn.unknown.sum()}

    @torch.no_grad()
    def _aim(self, z: Tensor, made: Tensor, drawn: Drawn) -> Tensor:
        """The clean latents (B, t, C, h, w), pushed along what they are told."""
        if not self.config.push:
            return drawn.clean
        bare, _ = self.networks.velocity(z, drawn.time, *drawn.told(self.networks.text, prompted=False))
        return drawn.clean + self._push(drawn) * (made - bare)

    def _push(self, drawn: Drawn) -> Tensor:
        """(B, 1, 1, 1, 1): how far each clip's aim is pushed."""
        push = torch.full((len(drawn.clean),), self.config.push, device=drawn.clean.device)
        if drawn.guides is not None:
            last = push[len(push) - len(drawn.guides.signals) :]  # a view
            last[drawn.guides.changing] *= self.config.eased
        return push[:, None, None, None, None]

    def drawn(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> Drawn:
        """What of a batch is known and told, and its noise."""
        clean = batch["latents"].float()
        told = self._told(batch, draw)
        guided = 0 if told is None else len(told["source"])
        played = None if told is None else _acting(told)
        time, canvas = self._levels(clean.shape[:2], guided, batch.get("frames"), played, draw)
        caption = batch["caption"]
        if told is not None and "open" in batch:
            caption = self._opened(batch, told, draw)
        heard = self._heard(len(time), told, draw).to(clean.device)
        noise = torch.randn(clean.shape, generator=draw).to(clean)
        guides = None if told is None else fold_guides(told)
        return Drawn(clean, noise, time.to(clean), caption * heard, canvas, guides)

    def _told(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> dict[str, Tensor] | None:
        """What the guided rows are told; None where the data knows no guides."""
        if KINDS[0] not in batch:
            return None
        truth = {kind: batch[kind] for kind in KINDS}
        silent = torch.full((len(truth["source"]),), self.config.silent)
        if "frames" in batch:
            seen = silent[-len(batch["frames"]) :]
            seen[~_acting(truth)[-len(seen) :]] = self.config.silent_canvas
        return draw_told(truth, silent, draw)

    def _opened(
        self, batch: Mapping[str, Tensor], told: Mapping[str, Tensor], draw: torch.Generator
    ) -> Tensor:
        """The captions, of which some leave open what a guide tells: else nobody would need to listen."""
        caption = batch["caption"].clone()
        rows = caption[len(caption) - len(told["source"]) :]  # a view
        for number, kinds in enumerate(TELL_OF.values()):
            telling = torch.stack([any_told(told, kind) for kind in kinds]).any(dim=0)
            chosen = telling.cpu() & (torch.rand(len(rows), generator=draw) < self.config.open)
            rows[chosen] = batch["open"][chosen, number]
        return caption

    def _heard(self, rows: int, told: Mapping[str, Tensor] | None, draw: torch.Generator) -> Tensor:
        """(B, 1): which captions are not left out."""
        drop = torch.full((rows, 1), self.config.drop)
        if told is not None:
            styled = any_told(told, "style").cpu()
            drop[rows - len(styled) :] = self.config.drop_guided
            drop[rows - len(styled) :][styled] = self.config.drop_styled
        return torch.rand(rows, 1, generator=draw) >= drop

    def _levels(
        self,
        shape: torch.Size,
        guided: int,
        frames: Tensor | None,
        played: Tensor | None,
        draw: torch.Generator,
    ) -> tuple[Tensor, Tensor | None]:
        """Times (B, t), 1 where clean, and the folded canvas of the last rows; of guided rows it is known in
        which somebody acts."""
        rows, groups = shape
        with_canvas = 0 if frames is None else len(frames)
        plain = rows - max(guided, with_canvas)
        text, independent = (round(share * plain) for share in (self.config.text, self.config.independent))
        at = torch.arange(rows)[:, None]
        together = (at < text) | (at >= text + independent)
        begun = torch.where(
            at < plain, at >= text + independent, torch.rand(rows, 1, generator=draw) < self.config.begun
        )
        time = torch.sigmoid(torch.randn(shape, generator=draw) + self.config.location)
        time = torch.where(together, time[:, :1], time)
        prefix = torch.randint(1, groups, (rows, 1), generator=draw) * begun
        clean = torch.arange(groups) < prefix
        if frames is None:
            return self._cleaned(time, clean), None
        known = draw_known(frames.shape[:4], draw, _last(with_canvas, played))
        clean[rows - with_canvas :] = clean_groups(known)
        seen = partly_known(known, clean[rows - with_canvas :]).to(frames.device)
        return self._cleaned(time, clean), fold_canvas(to_signal(frames).bfloat16(), seen)

    @staticmethod
    def _cleaned(time: Tensor, clean: Tensor) -> Tensor:
        return torch.where(clean, 1.0, time)
