"""The rnn family: the first latent frame is drawn, those that follow are predicted one by one.

`dynamics` has the networks, `cells` what they are made of, `exposure` how they learn to live with what they
predict themselves. The state is of one size however long a clip gets. What is wholly known, with all of its
past, is read instead of predicted; what else is known of a latent frame's pixels is on its canvas.

What precedes footage is predicted backwards. Latents are causal, so the footage at the end of a window is
encoded by itself, from a frame that ends a group on: that frame is its first latent, which isn't used, and
the groups after it are as they are in the middle of a clip. They come in reverse, then those that are made.

    B clips, T frames, H x W pixels; t latent frames, h x w cells, C latent channels; L caption tokens of D.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from kineograph.canvas import Canvas
from kineograph.controls import ACTIONS
from kineograph.models import prompted
from kineograph.models.cells import State
from kineograph.models.dynamics import RnnConfig, RnnNetworks, fold_actions, in_order, known_ends
from kineograph.models.exposure import FIRST, LAST, draw_shown, mixed, reverse_schedule
from kineograph.models.family import Spec
from kineograph.models.flow import NEAR_NOISE, NEAREST, velocity_of
from kineograph.models.folding import clean_groups, draw_known, fold_canvas, partly_known
from kineograph.models.playing import played
from kineograph.models.precision import autocast
from kineograph.models.prompted import LatentFamily, PromptedModel, Prompts
from kineograph.models.streaming import Stream
from kineograph.models.telling import Telling
from kineograph.models.tokenizer import frames_of, to_signal
from kineograph.models.windows import Window
from kineograph.sampling.guidance import guided
from kineograph.sampling.noise import Draws
from kineograph.sampling.rollout import Span
from kineograph.sampling.schedules import times
from kineograph.sampling.settings import Sampling
from kineograph.sampling.solvers import SOLVERS, evaluations
from kineograph.video import Chunk


@dataclass(frozen=True, eq=False)
class Chain:
    """Clips in the order in which their latent frames are made: values (B, t, C, h, w), and which of them are
    given, (B, t) bool; captions (B, L, D); the canvas (B', t, h, w, CANVAS) of the last B' clips; actions
    (B, t, ACTS)."""

    values: Tensor
    given: Tensor
    caption: Tensor
    canvas: Tensor | None
    acts: Tensor

    @property
    def first_canvas(self) -> Tensor | None:
        """That of the first latent frames, (B', 1, h, w, CANVAS)."""
        return None if self.canvas is None else self.canvas[:, :1]

    def roll(self, networks: RnnNetworks, shown: Tensor) -> Iterator[tuple[Tensor, list[State]]]:
        """Every next latent frame (B, C, h, w), and the states with which it was predicted."""
        told = self.told(networks)
        return networks.dynamics.roll(self.values[:, :-1], shown, told, self.caption)

    def told(self, networks: RnnNetworks) -> Tensor:
        """What is told of each latent frame but the first, as maps (B, t - 1, ..., h, w)."""
        canvas = None if self.canvas is None else self.canvas[:, 1:]
        return networks.dynamics.told(canvas, self.acts[:, 1:], networks.config.grid[1:])


def read_canvas(frames: Tensor, known: Tensor, backwards: Tensor) -> tuple[Tensor, Tensor | None]:
    """Of frames (B, T, 3, H, W) in [-1, 1], known (B, T, H, W): which latent frames are given, (B, t) bool,
    and the folded canvas of the others, None where it is empty; in the order in which clips are made."""
    given = torch.where(backwards[:, None], known_ends(known), clean_groups(known))
    seen = partly_known(known, given)
    canvas = in_order(fold_canvas(frames, seen), backwards) if bool(seen.any()) else None
    return in_order(given, backwards), canvas


# The loss


@dataclass(frozen=True)
class RnnLoss:
    """Shares of the rows: `backwards` are learnt from their end, `drop` have no caption, `silent` aren't told
    of their actions. `decouple` weighs the overlap of PredRNN's memories. The flow is shown each first latent
    frame with so many `draws` of noise, as one frame costs little; its times are logit-normal around
    `location`, see `flow.FlowLoss`."""

    backwards: float = 0.25
    drop: float = 0.1
    silent: float = 0.1
    decouple: float = 0.1
    draws: int = 8
    location: float = NEAR_NOISE


class RnnObjective:
    """The flow's loss for the first latent frame, and the squared error of those that are predicted.

    The truth is kept back as reverse scheduled sampling has it, but runs end by the clock and no step knows
    where in its run it is: so each batch draws its place between the schedule's `FIRST` and `LAST`. Cells
    that need no loop are run twice instead, the second time on what the first has made (Duckworth et al.
    2019, arXiv 1906.04331).
    """

    def __init__(self, networks: RnnNetworks, config: RnnLoss | None = None) -> None:
        self.networks, self.config = networks, config or RnnLoss()

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.networks.learning() if p.requires_grad]

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` holds latents (B, t, C, h, w) and caption numbers (B, L). The last rows may have `frames`,
        for a canvas, and `actions`."""
        chain = self._chain(batch, draw)
        begun, (made, overlap) = self._begun(chain, draw), self._followed(chain, draw)
        error = (made - chain.values[:, 1:]).square().mean()
        loss = begun + error + self.config.decouple * overlap
        return loss, {"begin": begun.detach(), "error": error.detach(), "overlap": overlap.detach()}

    def _chain(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> Chain:
        clean, frames = batch["latents"].float(), batch.get("frames")
        rows, groups = clean.shape[:2]
        turn, drop = torch.rand(2, rows, generator=draw).to(clean)
        backwards, heard = turn < self.config.backwards, drop >= self.config.drop
        given = torch.arange(groups) < torch.randint(0, groups, (rows, 1), generator=draw)
        canvas: Tensor | None = None
        if frames is not None:
            turned, known = backwards[-len(frames) :], draw_known(frames.shape[:4], draw).to(frames.device)
            seen, canvas = read_canvas(to_signal(frames).bfloat16(), known, turned)
            given[-len(frames) :] = seen.cpu()
        caption = self.networks.led(self.networks.text(batch["caption"] * heard[:, None]), backwards)
        acts = self._acts(clean, batch.get("actions"), backwards, draw)
        return Chain(in_order(clean, backwards), given, caption, canvas, acts)

    def _acts(
        self, clean: Tensor, actions: Tensor | None, backwards: Tensor, draw: torch.Generator
    ) -> Tensor:
        """What the rows are told of actions, those that are made from their end nothing."""
        rows, groups = clean.shape[:2]
        silent = torch.rand(rows, generator=draw).to(clean) < self.config.silent
        told = clean.new_full((rows, frames_of(groups), len(ACTIONS)), torch.nan)
        if actions is not None:
            told[-len(actions) :] = actions.to(told)
        return fold_actions(told.masked_fill((silent | backwards)[:, None, None], torch.nan))

    def _begun(self, chain: Chain, draw: torch.Generator) -> Tensor:
        """Velocity matching with a network that predicts the clean latents (arXiv 2511.13720). Each clip
        comes so often in a row, so that those with a canvas stay the last."""
        again = partial(torch.repeat_interleave, repeats=self.config.draws, dim=0)
        clean, caption, canvas = again(chain.values[:, :1]), again(chain.caption), chain.first_canvas
        canvas = None if canvas is None else again(canvas)
        time = torch.sigmoid(torch.randn(len(clean), 1, generator=draw) + self.config.location).to(clean)
        noise, level = torch.randn(clean.shape, generator=draw).to(clean), time[:, :, None, None, None]
        z = level * clean + (1 - level) * noise
        _, velocity = velocity_of(self.networks.begin, z, time, caption, canvas)
        target = (clean - z) / (1 - level).clamp(min=NEAREST)
        return (velocity - target).square().mean()

    def _followed(self, chain: Chain, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """The latent frames (B, t - 1, C, h, w) as they are predicted, and the overlap of memories."""
        dynamics, truth = self.networks.dynamics, chain.values[:, :-1]
        place = FIRST + (LAST - FIRST) * float(torch.rand((), generator=draw))
        chances, past = reverse_schedule(place), chain.given.sum(dim=1)
        shown = draw_shown(past, truth.shape[1], chances, draw).to(truth.device)
        if dynamics.stack.parallel:
            told = chain.told(self.networks), chain.caption
            with torch.no_grad():
                guess = dynamics(truth, *told)
            return dynamics(mixed(truth, shown, guess), *told), truth.new_zeros(())
        made, states = zip(*chain.roll(self.networks, shown), strict=True)
        return torch.stack(made, dim=1), torch.stack([dynamics.stack.overlap(each) for each in states]).mean()


# The model


class Rnn(PromptedModel[RnnNetworks]):
    """The family's model: see `kineograph.models.family.Model`.

    Steps, solver and guidance are those of the flow that draws the first latent frame; what follows is
    predicted as the caption has it, an evaluation a latent frame.
    """

    def __init__(self, networks: RnnNetworks, spec: Spec, dtype: torch.dtype | None = None) -> None:
        super().__init__(networks, spec, dtype)
        self.telling = Telling(spec, networks.config.grid, networks.config.channels, self.encoded)

    def evaluations(self, sampling: Sampling) -> int:
        """Of a window that is made from nothing."""
        return evaluations(sampling.solver, sampling.steps) + self._predicted

    def effort(self, canvases: Sequence[Canvas], span: Span, sampling: Sampling) -> int:
        """Where the first latent frame is given, it isn't drawn."""
        backwards = self._backwards(canvases)
        first = canvases[0]  # as of all in the batch
        if span.last < len(first) if first.task == "precede" else span.start > 0:
            return self._predicted
        given, _ = read_canvas(*self.frames(canvases, span.start), backwards)
        return self._predicted if bool(given[:, 0].all()) else self.evaluations(sampling)

    def frames(self, canvases: Sequence[Canvas], start: int) -> tuple[Tensor, Tensor]:
        """As those of `LatentModel`; but what is preceded stands still after its end, so that a window has an
        end to go back from."""
        frames, known = super().frames(canvases, start)
        inside = min(len(canvases[0]) - start, self.spec.window)
        for row in torch.nonzero(self._backwards(canvases))[:, 0].tolist():
            frames[row, inside:], known[row, inside:] = frames[row, inside - 1], known[row, inside - 1]
        return frames, known

    def fill(
        self,
        conditions: Prompts,
        window: Window,
        latents: Tensor,
        noises: Sequence[Draws],
        sampling: Sampling,
    ) -> Iterator[tuple[int, Tensor]]:
        """The first latent frame in so many steps, then one after another; what is not made yet is 0."""
        backwards = self._backwards(conditions.canvases)
        chain = self._chain(conditions, window, latents, backwards)
        values, given, done = chain.values, chain.given[:, :, None, None, None], 0
        if not bool(given[:, 0].all()):
            nothing = self.networks.led(conditions.nothing, backwards)
            noise = self.drawn(noises, f"first {window.number}", 0, self.networks.config.frame)
            scale = window.guidance_scale(sampling.guidance)
            for done, first in self._first(chain, nothing, noise[:, None], scale, sampling):
                values[:, :1] = torch.where(given[:, :1], values[:, :1], first)
                yield done, in_order(values, backwards)
        rolled = chain.roll(self.networks, chain.given[:, :-1])
        for number in range(1, values.shape[1]):
            with autocast(self.device, self.dtype):
                made, _ = next(rolled)
            values[:, number] = torch.where(given[:, number], values[:, number], made)
            yield done + number, in_order(values, backwards)

    def play(
        self, canvas: Canvas, noise: Draws, sampling: Sampling, actions: Iterable[str]
    ) -> Iterator[Chunk]:
        """Go on from the canvas's beginning, a frame for each action as it comes."""
        return played(Stream(self, canvas), canvas, actions)

    @property
    def _predicted(self) -> int:
        """How many latent frames of a window are predicted."""
        return self.networks.config.grid[0] - 1

    def _backwards(self, canvases: Sequence[Canvas]) -> Tensor:
        """Which clips (B,) are made from their end."""
        return torch.tensor([canvas.task == "precede" for canvas in canvases], device=self.device)

    def _chain(self, conditions: Prompts, window: Window, latents: Tensor, backwards: Tensor) -> Chain:
        given, canvas = read_canvas(window.frames, window.known, backwards)
        shape = (*given.shape, *self.networks.config.frame)
        values = in_order(latents.expand(shape), backwards).where(given[:, :, None, None, None], 0.0)
        self._read_ends(values, window.frames, torch.where(backwards, given.sum(dim=1), 0))
        caption = self.networks.led(conditions.captions, backwards)
        return Chain(values, given, caption, canvas, self._acts(conditions.canvases, window.start, backwards))

    def _read_ends(self, values: Tensor, frames: Tensor, counts: Tensor) -> None:
        """Put the last latent frames, so many of each clip (B,), into `values`, which are in reverse."""
        for count in set(counts.tolist()) - {0}:
            rows = counts == count
            encoded = self.encoded(frames[rows, -frames_of(count + 1) :])
            values[rows, :count] = encoded[:, 1:].flip(1)

    def _acts(self, canvases: Sequence[Canvas], start: int, backwards: Tensor) -> Tensor:
        guides = self.telling.window(canvases, self.telling.styles(canvases), start)
        shape = (len(canvases), self.spec.window, len(ACTIONS))
        actions = torch.full(shape, torch.nan) if guides is None else guides["actions"]
        return fold_actions(actions.to(self.device).masked_fill(backwards[:, None, None], torch.nan))

    def _first(
        self, chain: Chain, nothing: Tensor, noise: Tensor, scale: Tensor | None, sampling: Sampling
    ) -> Iterator[tuple[int, Tensor]]:
        """From noise to the first latent frame (B, 1, C, h, w), a step of the solver at a time, pushed away
        from the one that is told nothing."""

        def slopes(z: Tensor, time: float, *captions: Tensor) -> tuple[Tensor, ...]:
            again = (len(captions), 1, 1, 1, 1)
            levels = z.new_full((len(captions) * len(z), 1), time)
            canvas = None if chain.first_canvas is None else chain.first_canvas.repeat(again)
            with autocast(self.device, self.dtype):
                told = torch.cat(captions), canvas
                _, velocities = velocity_of(self.networks.begin, z.repeat(again), levels, *told)
            return velocities.chunk(len(captions))

        def one(z: Tensor, time: float) -> Tensor:
            return slopes(z, time, chain.caption)[0]

        def both(z: Tensor, time: float) -> tuple[Tensor, Tensor]:
            with_prompt, without = slopes(z, time, chain.caption, nothing)
            return with_prompt, without

        velocity = guided(one, both, scale, sampling.interval)
        solved = SOLVERS[sampling.solver](velocity, noise, times(sampling.steps, sampling.shift))
        for done, z in enumerate(solved, 1):
            yield evaluations(sampling.solver, done), z


# To and from a folder

ABILITIES = frozenset({"text", "image", "prediction", "precede", "actions"})
SAMPLING = Sampling(steps=12, guidance=5.0, solver="multistep", shift=4.0)


FAMILY = LatentFamily(
    "rnn",
    RnnConfig,
    RnnNetworks,
    {"rnn": lambda networks, loss: [RnnObjective(networks, loss)]},
    Rnn,
    lambda _: ABILITIES,
    SAMPLING,
)


def load(folder: Path, dtype: torch.dtype | None = None) -> Rnn:
    """The model in `folder` on the best device that there is."""
    return prompted.load(FAMILY, folder, dtype)
