"""A world that goes on frame by frame, as somebody plays it.

Of a window of 17 frames, the last 13 that were shown enter as clean latents; fewer where a world has just
begun. Then comes a group of 4, made ahead as if the thing ran on as it does. As soon as an action is another
one, the group is made anew: its frames already shown are known pixels then, and its noise is the same. When a
group is whole, the window moves on by it. So a frame costs most where an action changes, and little else.

    T frames, H x W pixels at the native size; t latent frames, h x w cells, C latent channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from kineograph.canvas import Canvas
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import TIME_STRIDE, Memory, to_frames, to_signal
from kineograph.sampling.noise import Draws
from kineograph.sampling.settings import Sampling
from kineograph.video import Chunk, Frames

if TYPE_CHECKING:
    from kineograph.models.diffusion import Diffusion


class World:
    """What is known between two frames: as much after the thousandth as after the first.

    past (1, 1 + 4k, 3, H, W) and `latents` (1, 1 + k, C, h, w) of what was shown before the group under way;
    group (1, T <= 4, 3, H, W), its frames so far, and `ahead`, all of it as expected, None if not yet made;
    `told`, the actions that led to past and group; `memory` of the decoder before the group and after it;
    `noise` of the group and `groups`, how many there were.
    """

    past: Tensor
    latents: Tensor
    group: Tensor
    ahead: Tensor | None
    noise: Tensor
    told: list[str]
    memory: Memory
    memory_after: Memory

    def __init__(self, model: Diffusion, canvas: Canvas, noise: Draws, sampling: Sampling) -> None:
        assert canvas.past, "a world goes on from something"
        self.model, self.draws, self.sampling = model, noise, sampling
        self.canvas, self.conditions = canvas, model.condition([canvas])
        self.groups = 0
        kept = min(canvas.past, self._most_past)
        kept -= (kept - 1) % TIME_STRIDE
        frames, _ = model.frames([canvas], canvas.past - kept)
        self._settle(frames[:, :kept], ["none"] * kept)
        _, self.memory = self._decoded(self.latents, None)

    @torch.inference_mode()
    def next(self, action: str) -> Frames:
        """The frame (H, W, 3), of the canvas's size, that an action leads to."""
        ahead = self.ahead if action == expected(self.told) else None
        self.told.append(action)
        if ahead is None:
            at = self.latents.shape[1]
            ahead, self.memory_after = self._decoded(self._made()[:, at : at + 1], self.memory)
        shown = self.group.shape[1]
        frame = to_frames(ahead[:, shown : shown + 1])
        self.ahead, self.group = ahead, torch.cat([self.group, to_signal(frame)], dim=1)
        cropped = frame[0, 0, : self.canvas.height, : self.canvas.width]
        return np.ascontiguousarray(cropped.cpu().numpy())

    @torch.inference_mode()
    def rest(self) -> None:
        """Move the window on if the group is whole: what can be done while nobody waits for a frame."""
        if self.group.shape[1] == TIME_STRIDE:
            self.memory = self.memory_after
            kept = slice(-self._most_past, None)
            self._settle(torch.cat([self.past, self.group], dim=1)[:, kept], self.told[kept])

    @property
    def _most_past(self) -> int:
        return self.model.spec.window - TIME_STRIDE

    def _settle(self, past: Tensor, told: list[str]) -> None:
        """Begin a group after `past`, to which the actions `told` led."""
        self.past, self.told, self.group, self.ahead = past, told, past[:, :0], None
        self.latents = self.model.encoded(past)
        self.noise = self.model.drawn([self.draws], self.groups, "play")
        self.groups += 1

    def _made(self) -> Tensor:
        """The latents of the whole window (1, t, C, h, w)."""
        seen = torch.cat([self.past, self.group], dim=1)
        unknown = self.model.spec.window - seen.shape[1]
        frames = torch.cat([seen, seen.new_zeros(1, unknown, *seen.shape[2:])], dim=1)
        known = torch.arange(frames.shape[1], device=seen.device) < seen.shape[1]
        known = known[None, :, None, None].expand(-1, -1, *seen.shape[3:])
        told = (*self.told, *[expected(self.told)] * (unknown - 1))
        canvas = replace(self.canvas, guides={"actions": told})
        start = torch.cat([self.latents, self.noise[:, self.latents.shape[1] :]], dim=1)
        conditions = replace(self.conditions, canvases=[canvas])
        return self.model.filled(conditions, frames, known, start, self.sampling)

    def _decoded(self, latents: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        with torch.inference_mode(), autocast(self.model.device, self.model.dtype):
            return self.model.networks.tokenizer.decode_next(latents, memory)


class Playable(Protocol):
    """A world that is shown frame by frame."""

    def next(self, action: str) -> Frames:
        """The frame (H, W, 3) that an action leads to."""
        ...

    def rest(self) -> None:
        """Do what can be done while nobody waits for a frame."""
        ...


def expected(told: Sequence[str]) -> str:
    """The action that comes next if the thing runs on, or stands still, as it does."""
    return next((action for action in reversed(told) if action != "jump"), "none")


def played(world: Playable, canvas: Canvas, actions: Iterable[str]) -> Iterator[Chunk]:
    """The canvas's beginning, and then a frame for each action."""
    yield Chunk(canvas.frames[: canvas.past], 0)
    for number, action in enumerate(actions, start=canvas.past):
        yield Chunk(world.next(action)[None], number)
        world.rest()
