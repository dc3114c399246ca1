"""A world of the rnn family that goes on frame by frame, as somebody plays it.

A group of 4 frames is predicted ahead as if the thing ran on as it does, and again as soon as an action is
another one; its frames already shown are not seen, so where an action changes, a group may not be of one
piece. When it is whole, its latent frame goes into the state, whose size doesn't depend on what has been.

    T frames, H x W pixels at the native size; t latent frames, h x w cells, C latent channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kineograph.canvas import Canvas
from kineograph.controls import ACTIONS
from kineograph.models.cells import State
from kineograph.models.dynamics import fold_actions
from kineograph.models.playing import expected
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import TIME_STRIDE, Memory, to_frames
from kineograph.video import Frames

if TYPE_CHECKING:
    from kineograph.models.rnn import Rnn


class Stream:
    """What is known between two frames.

    `latent` (1, C, h, w) of the last whole group, the `states` before it and the decoder's `memory` after it;
    `told`, the actions that led to the group under way and the one before them, and of that group `ahead`
    (1, 4, 3, H, W) its frames as expected, None if not yet made, and `after` it latent, states and memory.
    """

    latent: Tensor
    states: list[State]
    memory: Memory
    told: list[str]
    ahead: Tensor | None
    after: tuple[Tensor, list[State], Memory]

    @torch.inference_mode()
    def __init__(self, model: Rnn, canvas: Canvas) -> None:
        assert canvas.past, "a world goes on from something"
        self.model, self.canvas = model, canvas
        self.networks, self.caption = model.networks, model.condition([canvas]).captions
        kept = min(canvas.past, model.spec.window)
        kept -= (kept - 1) % TIME_STRIDE
        frames, _ = model.frames([canvas], canvas.past - kept)
        latents = model.encoded(frames[:, :kept])
        _, self.memory = self._decoded(latents, None)
        self.told, self.ahead = ["none"], None
        self.latent, self.states = latents[:, 0], self.networks.dynamics.begin(latents[:, 0])
        for latent in latents[:, 1:].unbind(1):
            _, self.states = self._predicted(["none"] * TIME_STRIDE)
            self.latent = latent

    @torch.inference_mode()
    def next(self, action: str) -> Frames:
        """The frame (H, W, 3), of the canvas's size, that an action leads to."""
        ahead = self.ahead if action == expected(self.told) else None
        self.told.append(action)
        if ahead is None:
            unknown = 1 + TIME_STRIDE - len(self.told)
            latent, states = self._predicted([*self.told[1:], *[expected(self.told)] * unknown])
            ahead, memory = self._decoded(latent[:, None], self.memory)
            self.after = latent, states, memory
        self.ahead = ahead
        frame = to_frames(ahead[:, len(self.told) - 2 : len(self.told) - 1])
        return np.ascontiguousarray(frame[0, 0, : self.canvas.height, : self.canvas.width].cpu().numpy())

    def rest(self) -> None:
        """Begin another group if this one is whole."""
        if len(self.told) == 1 + TIME_STRIDE:
            self.latent, self.states, self.memory = self.after
            self.told, self.ahead = [expected(self.told)], None

    def _predicted(self, actions: Sequence[str]) -> tuple[Tensor, list[State]]:
        """The latent frame (1, C, h, w) to which these 4 actions lead, and the states before it."""
        numbers = torch.tensor([ACTIONS.index(action) for action in actions])
        acts = torch.eye(len(ACTIONS))[numbers][None]
        folded = fold_actions(torch.cat([torch.full_like(acts[:, :1], torch.nan), acts], dim=1))[:, 1:]
        dynamics, cells = self.networks.dynamics, self.networks.config.grid[1:]
        with autocast(self.model.device, self.model.dtype):
            told = dynamics.told(None, folded.to(self.model.device), cells)[:, 0]
            return dynamics.step(self.latent, told, self.caption, self.states)

    def _decoded(self, latents: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        with autocast(self.model.device, self.model.dtype):
            return self.networks.tokenizer.decode_next(latents, memory)
