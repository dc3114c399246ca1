"""What the models of latents share: a clip is made a window at a time, between a tokenizer's two halves.

A window of 17 frames has latent frames that are wholly known, with all of their past; those are held. What
else is known of its pixels, the family may use as it can. Longer clips roll on: the next window starts 8
frames later, its beginning known; what precedes footage is made from its end to its beginning.

    B clips, T frames, H x W pixels; t latent frames, h x w cells, C latent channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from kineograph.canvas import Canvas
from kineograph.models.family import Spec, Step
from kineograph.models.folding import clean_groups
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import Tokenizer, to_frames, to_signal
from kineograph.sampling.noise import Draws
from kineograph.sampling.rollout import Span, spans_of
from kineograph.sampling.settings import Sampling
from kineograph.video import Chunk

CONTEXT = 9  # frames of a window that the window before has already made


class Conditioned(Protocol):
    """What a family makes of prompts and canvases; the canvases are read a window at a time."""

    @property
    def canvases(self) -> Sequence[Canvas]: ...


ConditionsT = TypeVar("ConditionsT", bound=Conditioned)


@dataclass(frozen=True, eq=False)
class Window:
    """The `number`-th window of a batch, that begins with the frame `start` of the clips: frames
    (B, T, 3, H, W) in [-1, 1], and which of their pixels are known, (B, T, H, W) bool."""

    number: int
    start: int
    frames: Tensor
    known: Tensor

    @cached_property
    def clean(self) -> Tensor:
        """(B, t) bool: the latent frames that are known with all of their past."""
        return clean_groups(self.known)

    @property
    def held(self) -> Tensor:
        """The same, (B, t, 1, 1, 1)."""
        return self.clean[:, :, None, None, None]

    def guidance_scale(self, guidance: float) -> Tensor | None:
        """That of each clip (B,), nearer to 1 the more of the window is known; None without guidance.

        What is known says much of the rest, so that the prompt has less to say: a large scale, which brings
        out what a prompt names, would only take the rest away from what fits.
        """
        if guidance == 1.0:
            return None
        return 1.0 + (guidance - 1.0) * (~self.known).flatten(1).float().mean(dim=1)


@dataclass(frozen=True, eq=False)
class Latents:
    """One window (B, t, C, h, w), of which the frames of `span` are wanted at this height and width."""

    values: Tensor
    span: Span
    height: int
    width: int


class LatentModel(ABC, Generic[ConditionsT]):
    """A model of a tokenizer's latents; what is left to its family is to fill a window."""

    def __init__(self, tokenizer: Tokenizer, spec: Spec, dtype: torch.dtype | None = None) -> None:
        self.tokenizer, self.spec, self.dtype = tokenizer, spec, dtype
        self.device = tokenizer.latent_mean.device

    @abstractmethod
    def condition(self, canvases: Sequence[Canvas]) -> ConditionsT:
        """Encode the prompts."""

    @abstractmethod
    def evaluations(self, sampling: Sampling) -> int:
        """How many network evaluations a window takes."""

    def effort(self, canvases: Sequence[Canvas], span: Span, sampling: Sampling) -> int:
        """How many this window takes; as many as any, unless a family knows better."""
        return self.evaluations(sampling)

    @abstractmethod
    def fill(
        self,
        conditions: ConditionsT,
        window: Window,
        latents: Tensor,
        noises: Sequence[Draws],
        sampling: Sampling,
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (evaluations done, latents (B, t, C, h, w)) at every step. Of `latents`, of the same shape or
        one that fits it, those that the window holds are given, and stay."""

    def play(
        self, canvas: Canvas, noise: Draws, sampling: Sampling, actions: Iterable[str]
    ) -> Iterator[Chunk]:
        """Asked only of models that are able to "actions", and theirs to do."""
        raise NotImplementedError(f"the {self.spec.family} family can't be played")

    @torch.inference_mode()
    def sample(
        self, conditions: ConditionsT, noises: Sequence[Draws], sampling: Sampling
    ) -> Iterator[Step | Latents]:
        """Window after window; those whose new frames are wholly known cost no network evaluation."""
        first = conditions.canvases[0]
        backwards = len(first) > self.spec.window and first.task == "precede"  # as of all in the batch
        spans = spans_of(len(first), self.spec.window, CONTEXT, backwards=backwards)
        unknown = self._unknown(conditions.canvases, spans)
        total = sum(self.effort(conditions.canvases, span, sampling) for span in unknown)
        done = 0
        made: Tensor | None = None
        kept: list[Latents] = []
        for number, span in enumerate(spans):
            frames, known = self.frames(conditions.canvases, span.start)
            if made is not None:
                shared = slice(-CONTEXT, None) if backwards else slice(CONTEXT)
                frames[:, shared], known[:, shared] = made, True
            values = latents = self._held(frames, clean_groups(known))
            evaluated = 0
            if span in unknown:
                window = Window(number, span.start, frames, known)
                for evaluated, state in self.fill(conditions, window, latents, noises, sampling):
                    values = state
                    yield Step(done + evaluated, total)
            done += evaluated
            kept.append(Latents(values, span, first.height, first.width))
            if not backwards:
                yield kept.pop()
            if number + 1 < len(spans):
                made = torch.where(known[:, :, None], frames, self.decoded(values))
                made = made[:, :CONTEXT] if backwards else made[:, -CONTEXT:]
        yield from reversed(kept)

    @torch.inference_mode()
    def decode(self, latents: Latents) -> list[Chunk]:
        """The frames that the window adds, cropped to what was asked for."""
        span = latents.span
        wanted = slice(span.first - span.start, span.last - span.start)
        frames = to_frames(self.decoded(latents.values)).cpu().numpy()
        shown = frames[:, wanted, : latents.height, : latents.width]
        return [Chunk(np.ascontiguousarray(clip), span.first) for clip in shown]

    def frames(self, canvases: Sequence[Canvas], start: int) -> tuple[Tensor, Tensor]:
        """Frames (B, T, 3, H, W) in [-1, 1] and mask (B, T, H, W) of a window."""
        padded = [self._padded(canvas, start) for canvas in canvases]
        frames, known = (
            torch.from_numpy(np.stack(values)).to(self.device) for values in zip(*padded, strict=True)
        )
        return to_signal(frames), known

    def encoded(self, frames: Tensor) -> Tensor:
        """Latents (B, t, C, h, w) of frames (B, T, 3, H, W) in [-1, 1]."""
        with torch.inference_mode(), autocast(self.device, self.dtype):
            latents: Tensor = self.tokenizer.encode(frames.to(self.device)).float()
        return latents

    def decoded(self, values: Tensor) -> Tensor:
        """Frames (B, T, 3, H, W), about [-1, 1], of latents."""
        with autocast(self.device, self.dtype):
            return self.tokenizer.decode(values).float()

    def _held(self, frames: Tensor, clean: Tensor) -> Tensor:
        """Latents of the window; only those of clean groups mean anything, and without any none is made."""
        return self.encoded(frames) if bool(clean.any()) else torch.zeros(1, device=self.device)

    @staticmethod
    def _unknown(canvases: Sequence[Canvas], spans: Sequence[Span]) -> list[Span]:
        """The windows that add frames that are not wholly known."""
        added = [slice(span.first, span.last) for span in spans]
        wanted = [not all(bool(canvas.known[new].all()) for canvas in canvases) for new in added]
        return [span for span, unknown in zip(spans, wanted, strict=True) if unknown]

    def _padded(self, canvas: Canvas, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames and mask of a window at the native size; edges are continued, frames beyond are unknown."""
        stop = start + self.spec.window
        inside = slice(max(0, start), stop)
        around = (max(0, -start), max(0, stop - len(canvas)))
        beside = ((0, self.spec.height - canvas.height), (0, self.spec.width - canvas.width))
        frames = np.pad(canvas.frames[inside], ((0, 0), *beside, (0, 0)), mode="edge")
        known = np.pad(canvas.known[inside], ((0, 0), *beside), mode="edge")
        return np.pad(frames, (around, *[(0, 0)] * 3)), np.pad(known, (around, (0, 0), (0, 0)))
