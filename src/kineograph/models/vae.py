"""The vae family: a clip is drawn frame by frame from a learned prior, its style once for all of them.

`stochastic` tells what is drawn, in which order, and from what. All tasks are one conditional bound:

- what is wholly known, with all of its past, goes through the posterior and is remembered as it is;
- what else is known is on the canvas, which prior and predictor see;
- a clip to be changed is read by the posterior, and predicted again with the caption that is wanted. Its
  style is another clip's or, if none is given, what the prior makes of the caption and of the style that it
  had. This is learnt from pairs of clips.

    B clips, T frames, H x W pixels; t latent frames, h x w cells, C latent channels; M numbers of a mood.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kineograph.canvas import Canvas
from kineograph.models import prompted
from kineograph.models.family import Spec
from kineograph.models.folding import clean_groups, draw_known, fold_canvas, partly_known
from kineograph.models.gaussians import Gaussian, divergence
from kineograph.models.precision import autocast
from kineograph.models.prompted import LatentFamily, LatentNetworks, PromptedModel, Prompts
from kineograph.models.stochastic import CanvasReader, Cue, Dynamics, Reader, VaeConfig
from kineograph.models.style import Style, statistics
from kineograph.models.telling import Telling
from kineograph.models.tokenizer import to_signal
from kineograph.models.windows import Window
from kineograph.sampling.noise import Draws
from kineograph.sampling.settings import Sampling

TEMPERATURE = 0.8  # of what is drawn from a prior; samples at 1 are less typical (arXiv 2007.03898)


class VaeNetworks(LatentNetworks[VaeConfig]):
    """Tokenizer and caption encoder; what reads captions and canvases, the style, the frames."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__(config)
        self.reader = Reader(config)
        self.canvas = CanvasReader(config)
        self.style = Style(config)
        self.dynamics = Dynamics(config)

    def content(self, latents: Tensor, looks: Tensor, noise: Tensor) -> Tensor:
        """Latents (B, t, C, h, w) without the style that statistics (B, 2 C) tell."""
        return self.style.off(latents, self.style.posterior(looks).sample(noise))


# The loss


@dataclass(frozen=True)
class VaeLoss:
    """`beta` weighs the divergence against the squared error, both for each latent value: it is twice the
    variance of a Gaussian likelihood. `free` nats of each level and latent frame, and of the style, cost
    nothing. The prior learns from the posterior `lead` times faster than that is pushed to it. `looks` weighs
    what the style says of the channels.

    Shares of the rows: `drop` have no caption; `own` are shown what was made so far instead of the truth, as
    in sampling; `begun` tell their style by their first frames alone; of those that have a partner in the
    data, `edited` are made from it, and of these, if it looks otherwise, `lent` in the style of a third clip.
    """

    beta: float = 1.0
    free: float = 2.0
    lead: float = 4.0
    looks: float = 0.1
    drop: float = 0.1
    own: float = 0.3
    begun: float = 0.3
    edited: float = 0.75
    lent: float = 0.5


class _Seen(NamedTuple):
    """The latents (B, t, C, h, w) that the posterior reads, and statistics (B, 2 C): of these, of those that
    are to be made of them, and what the prior is told, 0 of clips that aren't to be changed."""

    latents: Tensor
    looks: Tensor
    wanted: Tensor
    before: Tensor


class VaeObjective:
    """The evidence lower bound, with free bits (Kingma et al. 2016, arXiv 1606.04934).

    The two halves of the divergence's gradient are taken apart (as in arXiv 2301.04104): the prior always
    learns from the posterior, which is pushed to the prior only where it costs more than the free nats.
    """

    def __init__(self, networks: VaeNetworks, config: VaeLoss | None = None) -> None:
        self.networks, self.config = networks, config or VaeLoss()

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.networks.learning() if p.requires_grad]

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` holds latents (B, t, C, h, w) and caption numbers (B, L). The last rows may have `frames`,
        for a canvas, or the `source` that they are made from and the `style` of clips that look alike."""
        clean, styles = batch["latents"].float(), self.networks.style
        summary, canvas = self._told(batch, draw)
        seen = self._seen(batch, clean, draw)
        noise = torch.randn(len(clean), self.networks.config.style, generator=draw).to(clean)
        q, p = styles.posterior(seen.wanted), styles.prior(summary, canvas, seen.before)
        style, content = q.sample(noise), self.networks.content(seen.latents, seen.looks, noise)
        cue = self._cue(styles.mood(summary, style), canvas, content, styles.off(clean, style), draw)
        made = list(self.networks.dynamics.unroll(cue, self._noises(clean, draw)))
        again = styles.on(torch.stack([frame.content for frame in made], dim=1), style)
        error = (again - clean).square().mean()
        misjudged = (styles.statistics(style) - statistics(clean, cue.read)).square().mean()
        bound, nats = self._divergence([[(q, p)], *(frame.levels for frame in made)])
        loss = error + self.config.looks * misjudged + self.config.beta * bound / clean[0].numel()
        return loss, {"error": error.detach(), "looks": misjudged.detach(), **nats}

    def _told(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the captions say (B, M), and canvases as they are read."""
        caption, frames = batch["caption"], batch.get("frames")
        heard = torch.rand(len(caption), 1, generator=draw) >= self.config.drop
        summary: Tensor = self.networks.reader(self.networks.text(caption * heard.to(caption.device)))
        folded = None if frames is None else _drawn_canvas(frames, draw)
        return summary, self.networks.canvas(folded, len(caption))

    def _seen(self, batch: Mapping[str, Tensor], clean: Tensor, draw: torch.Generator) -> _Seen:
        rows, groups = clean.shape[:2]
        begun = torch.rand(rows, 1, generator=draw) < self.config.begun
        stop = torch.where(begun, torch.randint(1, groups + 1, (rows, 1), generator=draw), groups)
        shown = (torch.arange(groups) < stop).to(clean.device)
        looks = statistics(clean, shown)
        if "source" not in batch:
            return _Seen(clean, looks, looks, torch.zeros_like(looks))
        source, wanted = _beside(batch["source"], clean), _beside(batch["style"], looks)
        chances = torch.tensor([[self.config.edited], [self.config.lent]])
        chosen, lent = (torch.rand(2, rows, generator=draw) < chances).to(clean.device)
        edited = chosen & _is_told(source)
        seen = source.where(edited[:, None, None, None, None], clean)
        had, styled = statistics(seen, shown), edited & lent & _is_told(wanted)
        return _Seen(seen, had, wanted.where(styled[:, None], looks), had * edited[:, None])

    def _cue(self, mood: Tensor, canvas: Tensor, seen: Tensor, content: Tensor, draw: torch.Generator) -> Cue:
        held = torch.rand(len(mood), 1, generator=draw).to(mood.device) >= self.config.own
        everywhere = torch.ones(content.shape[:2], dtype=torch.bool, device=mood.device)
        return Cue([mood], canvas, seen, everywhere, content, held & everywhere)

    def _noises(self, clean: Tensor, draw: torch.Generator) -> Iterator[list[Tensor]]:
        rows, groups = clean.shape[:2]
        for _ in range(groups):
            shapes = self.networks.config.levels.values()
            yield [torch.randn(rows, *shape, generator=draw).to(clean) for shape in shapes]

    def _divergence(
        self, frames: Sequence[Sequence[tuple[Gaussian, Gaussian]]]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What has the gradient of the divergence of a clip in nats, free ones left out, and the nats."""
        pairs = [pair for levels in frames for pair in levels]
        learnt = torch.stack([divergence(q.detach(), p).mean() for q, p in pairs])
        pushed = torch.stack([divergence(q, p.detach()).mean() for q, p in pairs])
        style, rest = learnt.detach()[0], torch.unflatten(learnt.detach()[1:], 0, (-1, len(frames[-1])))
        nats = dict(zip(("nats style", "nats scene", "nats detail"), (style, *rest.sum(dim=0)), strict=True))
        return self.config.lead * learnt.sum() + pushed.clamp(min=self.config.free).sum(), nats


def _drawn_canvas(frames: Tensor, draw: torch.Generator) -> Tensor:
    """A random canvas of clips (B', T, H, W, 3) uint8: what is known outside of the clean groups, folded."""
    known = draw_known(frames.shape[:4], draw)
    seen = partly_known(known, clean_groups(known)).to(frames.device)
    return fold_canvas(to_signal(frames).bfloat16(), seen)


def _beside(last: Tensor, values: Tensor) -> Tensor:
    """Of the last rows of `values` (B, ...) what is told of them, (B', ...), NaN in those before."""
    missing = len(values) - len(last)
    return torch.cat([torch.full_like(values[:missing], torch.nan), last.to(values)])


def _is_told(values: Tensor) -> Tensor:
    """Of which rows something is told that is NaN elsewhere, (B,) bool."""
    return ~values.flatten(1).isnan().any(dim=1)


def objectives(networks: VaeNetworks, loss: VaeLoss | None = None) -> list[VaeObjective]:
    """What the family is trained by, beside the tokenizer."""
    return [VaeObjective(networks, loss)]


# The model


@dataclass(frozen=True, eq=False)
class _Told:
    """Of clips of a window: latents (B, t, C, h, w) of those that are to be changed, and statistics (B, 2 C)
    of those whose style is wanted; NaN where there is none."""

    source: Tensor
    looks: Tensor

    @property
    def changed(self) -> Tensor:
        """(B,) bool"""
        return _is_told(self.source)


class Vae(PromptedModel[VaeNetworks]):
    """The family's model: see `kineograph.models.family.Model`.

    Guidance pushes the means of the priors away from what they are without the caption, but for that of the
    style: statistics of channels that lie further out belong to no ground. All are drawn at the temperature
    `TEMPERATURE`.
    """

    def __init__(self, networks: VaeNetworks, spec: Spec, dtype: torch.dtype | None = None) -> None:
        super().__init__(networks, spec, dtype)
        self.telling = Telling(spec, networks.config.grid, networks.config.channels, self.encoded)

    def evaluations(self, sampling: Sampling) -> int:
        """One a latent frame, however it is sampled."""
        return self.networks.config.grid[0]

    def fill(
        self,
        conditions: Prompts,
        window: Window,
        latents: Tensor,
        noises: Sequence[Draws],
        sampling: Sampling,
    ) -> Iterator[tuple[int, Tensor]]:
        """Latent frame after latent frame; what is not made yet is 0."""
        told = self._told(conditions.canvases, window.start)
        values = latents.where(window.held, torch.zeros_like(told.source))
        with autocast(self.device, self.dtype):
            style, cue = self._cued(conditions, window, values, told, noises, sampling)
        strength = torch.tensor([c.source.strength if c.source else 1.0 for c in conditions.canvases])
        changed, share = (each[:, None, None, None] for each in (told.changed, strength.to(values)))
        frames = self.networks.dynamics.unroll(cue, self._noises(noises, window.number))
        for number in range(values.shape[1]):
            with autocast(self.device, self.dtype):
                made = self.networks.style.on(next(frames).content[:, None], style)[:, 0]
            before = told.source[:, number]
            made = torch.where(changed, before + share * (made - before), made)
            values[:, number] = values[:, number].where(window.held[:, number], made)
            yield number + 1, values

    def _cued(
        self,
        conditions: Prompts,
        window: Window,
        held: Tensor,
        told: _Told,
        noises: Sequence[Draws],
        sampling: Sampling,
    ) -> tuple[Tensor, Cue]:
        """The style (B, S), and what the clips are made by."""
        networks, changed = self.networks, told.changed
        known = partly_known(window.known, window.clean)
        folded = fold_canvas(window.frames, known) if bool(known.any()) else None
        canvas = networks.canvas(folded, len(noises))
        scale = window.guidance_scale(sampling.guidance)
        captions = [conditions.captions] + [conditions.nothing] * (scale is not None)
        summaries = [networks.reader(caption) for caption in captions]
        read = window.clean | changed[:, None]
        seen = told.source.where(changed[:, None, None, None, None], held)
        noise = self.drawn(noises, "style", 0, (networks.config.style,))
        looks, settled = statistics(seen, read), statistics(held, window.clean)
        styled = _is_told(told.looks)
        prior = networks.style.prior(summaries[0], canvas, looks * changed[:, None])
        own = networks.style.posterior(told.looks.where(styled[:, None], settled))
        kept = styled | window.clean.any(dim=1)
        style = own.instead(prior.tempered(TEMPERATURE), kept).sample(noise)
        return style, Cue(
            [networks.style.mood(summary, style) for summary in summaries],
            canvas,
            seen=networks.content(seen, looks, noise),
            read=read,
            given=networks.content(held, settled, noise),
            held=window.clean,
            scale=scale,
            temperature=TEMPERATURE,
        )

    def _told(self, canvases: Sequence[Canvas], start: int) -> _Told:
        config, looks = self.networks.config, self.telling.styles(canvases)
        guides = self.telling.window(canvases, looks, start)
        shape = (len(canvases), config.grid[0], config.channels, *config.grid[1:])
        source = torch.full(shape, torch.nan) if guides is None else guides["source"]
        return _Told(source.to(self.device), looks.to(self.device))

    def _noises(self, noises: Sequence[Draws], window: int) -> Iterator[list[Tensor]]:
        for number in range(self.networks.config.grid[0]):
            levels = self.networks.config.levels.items()
            yield [self.drawn(noises, f"{level} {window}", number, shape) for level, shape in levels]


# To and from a folder

ABILITIES = frozenset(
    {"text", "image", "keyframes", "prediction", "precede", "interpolation", "inpainting", "outpainting"}
    | {"edit", "style"}
)
SAMPLING = Sampling(steps=1, guidance=4.0)  # a window takes as many evaluations as it has latent frames


FAMILY = LatentFamily("vae", VaeConfig, VaeNetworks, {"vae": objectives}, Vae, lambda _: ABILITIES, SAMPLING)


def load(folder: Path, dtype: torch.dtype | None = None) -> Vae:
    """The model in `folder` on the best device that there is."""
    return prompted.load(FAMILY, folder, dtype)
