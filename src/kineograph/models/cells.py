"""Recurrent cells over maps, and stacks of them.

A cell reads maps one after another and keeps a state, whose size doesn't depend on how many there were:

    Lstm      convolutional LSTM (Shi et al. 2015, arXiv 1506.04214), without its peepholes
    Gru       convolutional GRU (Ballas et al. 2015, arXiv 1511.06432); the gate resets after the convolution
    MinGru    minGRU (Feng et al. 2024, arXiv 2410.01201): its gates don't see the state, so that a parallel
              scan over all steps replaces the loop
    StLstm    spatio-temporal LSTM of PredRNN v2 (Wang et al. 2021, arXiv 2103.09504)

A dense cell is one of kernel 1 on maps of 1 x 1: then Lstm and Gru are those of `torch.nn`.

    B clips, T steps, h x w places; C channels enter a cell, K are kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models.tokenizer import Conv

State = tuple[Tensor, ...]  # maps (B, K, h, w), of which the first is what the cell shows


def by_step(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of maps over every step of x (B, T, ...), all at once."""
    return torch.unflatten(layer(x.flatten(0, 1)), 0, x.shape[:2])


def _gates(channels_in: int, channels_out: int, kernel: int, normed: tuple[int, int] | None) -> nn.Module:
    """What some maps say of some gates, normed over channels and places if those (h, w) are given."""
    conv = Conv(channels_in, channels_out, kernel)
    return nn.Sequential(conv, nn.LayerNorm([channels_out, *normed])) if normed else conv


class Cell(nn.Module, ABC):
    """One recurrent layer. `enter` reads maps (B, C, h, w), of as many steps at once as are known."""

    entered: int  # gates that the input has a say in, K channels each
    kept: int  # maps of the state
    parallel = False  # whether many steps take no loop

    def __init__(
        self, channels_in: int, channels: int, kernel: int = 3, normed: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.channels = channels
        self.enter = _gates(channels_in, self.entered * channels, kernel, normed)

    def begin(self, x: Tensor) -> State:
        """The state before the first of maps like x (B, ..., h, w)."""
        nothing = x.new_zeros(len(x), self.channels, *x.shape[-2:], dtype=torch.float32)
        return (nothing,) * self.kept

    @abstractmethod
    def step(self, entered: Tensor, state: State) -> State:
        """The state after one step, of which `enter` has made (B, gates K, h, w)."""

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """x (B, T, C, h, w) to what is shown at every step (B, T, K, h, w), and the state after the last."""
        state, shown = state or self.begin(x), []
        for entered in by_step(self.enter, x).unbind(1):
            state = self.step(entered, state)
            shown.append(state[0])
        return torch.stack(shown, dim=1), state

    def _remember_at_first(self, *gates: int) -> None:
        """Let forget gates begin open, by a bias of 1 (Jozefowicz et al. 2015)."""
        last = self.enter[-1] if isinstance(self.enter, nn.Sequential) else self.enter
        with torch.no_grad():
            for gate in gates:
                cast(Tensor, last.bias)[gate * self.channels : (gate + 1) * self.channels] = 1.0


class Lstm(Cell):
    """Gates in the order of torch: take, keep, new, show. The state is what is shown and what is kept."""

    entered, kept = 4, 2

    def __init__(
        self, channels_in: int, channels: int, kernel: int = 3, normed: tuple[int, int] | None = None
    ) -> None:
        super().__init__(channels_in, channels, kernel, normed)
        self.recall = _gates(channels, 4 * channels, kernel, normed)
        self._remember_at_first(1)

    def step(self, entered: Tensor, state: State) -> State:
        shown, kept = state
        take, keep, new, show = (entered + self.recall(shown)).chunk(4, dim=1)
        kept = keep.sigmoid() * kept + take.sigmoid() * new.tanh()
        return show.sigmoid() * kept.tanh(), kept


class Gru(Cell):
    """Gates in the order of torch: reset, keep, new."""

    entered, kept = 3, 1

    def __init__(
        self, channels_in: int, channels: int, kernel: int = 3, normed: tuple[int, int] | None = None
    ) -> None:
        super().__init__(channels_in, channels, kernel, normed)
        self.recall = _gates(channels, 3 * channels, kernel, normed)

    def step(self, entered: Tensor, state: State) -> State:
        (shown,) = state
        (reset, keep, new), (reset_h, keep_h, new_h) = entered.chunk(3, 1), self.recall(shown).chunk(3, 1)
        new = torch.tanh(new + torch.sigmoid(reset + reset_h) * new_h)
        return (torch.lerp(new.float(), shown, torch.sigmoid(keep + keep_h).float()),)


class MinGru(Cell):
    """h_t = (1 - z_t) h_(t-1) + z_t c_t, where gate z and candidate c are read from the input alone."""

    entered, kept, parallel = 2, 1, True

    def step(self, entered: Tensor, state: State) -> State:
        gate, candidate = entered.float().chunk(2, dim=1)
        return (torch.lerp(state[0], candidate, gate.sigmoid()),)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        gate, candidate = by_step(self.enter, x).float().chunk(2, dim=2)
        (before,) = state or self.begin(x)
        shown = _scanned(torch.sigmoid(-gate), torch.sigmoid(gate) * candidate, before)
        return shown, (shown[:, -1],)


def _scanned(kept: Tensor, added: Tensor, before: Tensor) -> Tensor:
    """All h_t = a_t h_(t-1) + b_t, of a and b (B, T, ...) and what was before the first (B, ...), in log T
    rounds, each of which doubles how far back a step has looked (Hillis and Steele 1986)."""
    added = torch.cat([added[:, :1] + kept[:, :1] * before[:, None], added[:, 1:]], dim=1)
    reach = 1
    while reach < added.shape[1]:
        older, own = slice(None, -reach), slice(reach, None)
        farther = added[:, own] + kept[:, own] * added[:, older]
        kept = torch.cat([kept[:, :reach], kept[:, own] * kept[:, older]], dim=1)
        added = torch.cat([added[:, :reach], farther], dim=1)
        reach *= 2
    return added


class Memories(NamedTuple):
    """What an StLstm shows, what it keeps over time, and the memory that passes from layer to layer; what the
    last step has put into the second and the third, by which `overlap` holds them apart."""

    shown: Tensor
    kept: Tensor
    memory: Tensor
    kept_new: Tensor
    memory_new: Tensor


class StLstm(Cell):
    """An LSTM with a second memory, of like gates. The gates of the input are take, keep, new, the same for
    the memory, and show."""

    entered, kept = 7, 5

    def __init__(
        self, channels_in: int, channels: int, kernel: int = 3, normed: tuple[int, int] | None = None
    ) -> None:
        super().__init__(channels_in, channels, kernel, normed)
        self.recall = _gates(channels, 4 * channels, kernel, normed)  # take, keep, new, show
        self.recall_memory = _gates(channels, 3 * channels, kernel, normed)
        self.show = _gates(2 * channels, channels, kernel, normed)
        self.leave = Conv(2 * channels, channels, kernel=1)
        self._remember_at_first(1, 4)

    def begin(self, x: Tensor) -> Memories:
        return Memories(*super().begin(x))

    def step(self, entered: Tensor, state: State) -> Memories:
        shown, kept, memory = state[:3]
        over_time, over_layers, show = torch.tensor_split(entered, (3 * self.channels, 6 * self.channels), 1)
        recalled, show_h = torch.tensor_split(self.recall(shown), (3 * self.channels,), dim=1)
        kept, kept_new = _updated(kept, over_time + recalled)
        memory, memory_new = _updated(memory, over_layers + self.recall_memory(memory))
        both = torch.cat([kept, memory], dim=1)
        shown = torch.sigmoid(show + show_h + self.show(both)) * torch.tanh(self.leave(both))
        return Memories(shown.float(), kept, memory, kept_new, memory_new)


def _updated(memory: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
    """A memory after gates (take, keep, new) have acted on it, and what was added."""
    take, keep, new = gates.float().chunk(3, dim=1)
    added = take.sigmoid() * new.tanh()
    return keep.sigmoid() * memory + added, added


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """How much two maps (B, K, h, w) are alike: the mean over channels of |cosine|, from 0 to 1."""
    return F.cosine_similarity(one.flatten(2), other.flatten(2), dim=2).abs().mean()


class Stack(nn.Module):
    """Layers of cells, each reading what the one below shows. The state is that of every layer."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)

    @property
    def layers(self) -> list[Cell]:
        return cast(list[Cell], list(self.cells))

    @property
    def parallel(self) -> bool:
        """Whether many steps take no loop."""
        return all(cell.parallel for cell in self.layers)

    def begin(self, x: Tensor) -> list[State]:
        """The state before the first of maps like x (B, ..., h, w)."""
        return [cell.begin(x) for cell in self.layers]

    def step(self, x: Tensor, states: Sequence[State]) -> list[State]:
        """The states after maps (B, C, h, w); what is shown is `states[-1][0]`."""
        after: list[State] = []
        for cell, state in zip(self.layers, states, strict=True):
            after.append(cell.step(cell.enter(x), state))
            x = after[-1][0]
        return after

    def forward(self, x: Tensor, states: Sequence[State] | None = None) -> tuple[Tensor, list[State]]:
        """x (B, T, C, h, w) to what is shown at every step (B, T, K, h, w), and the states after the last."""
        after: list[State] = []
        for cell, state in zip(self.layers, states or self.begin(x), strict=True):
            x, last = cell(x, state)
            after.append(last)
        return x, after

    def overlap(self, states: Sequence[State]) -> Tensor:
        """How alike the two memories of each layer grew in the last step; 0 where there is but one."""
        return torch.zeros((), device=states[0][0].device)


class Zigzag(Stack):
    """Layers of which the highest hands its memory to the lowest of the next step (PredRNN)."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        super().__init__(cells)
        channels = cells[0].channels
        self.adapter = nn.Conv2d(channels, channels, 1, bias=False)

    def step(self, x: Tensor, states: Sequence[State]) -> list[State]:
        after: list[State] = []
        memory = cast(Memories, states[-1]).memory
        for cell, state in zip(self.layers, states, strict=True):
            passed = cast(Memories, state)._replace(memory=memory)
            after.append(cell.step(cell.enter(x), passed))
            x, memory = after[-1][0], after[-1][2]
        return after

    def forward(self, x: Tensor, states: Sequence[State] | None = None) -> tuple[Tensor, list[State]]:
        after, shown = list(states or self.begin(x)), []
        for maps in x.unbind(1):
            after = self.step(maps, after)
            shown.append(after[-1][0])
        return torch.stack(shown, dim=1), after

    def overlap(self, states: Sequence[State]) -> Tensor:
        """The decoupling loss of a step, from 0 to 1."""
        added = [[self.adapter(new).float() for new in cast(Memories, state)[3:]] for state in states]
        return torch.stack([overlap(*pair) for pair in added]).mean()


CELLS: Mapping[str, type[Cell]] = {
    "lstm": Lstm,
    "gru": Gru,
    "convlstm": Lstm,
    "convgru": Gru,
    "mingru": MinGru,
    "predrnn": StLstm,
}
DENSE = ("lstm", "gru")  # are made for maps of 1 x 1


def stack_of(
    cell: str,
    channels_in: int,
    channels: int,
    depth: int,
    kernel: int = 3,
    normed: tuple[int, int] | None = None,
) -> Stack:
    """`depth` layers of the cell of that name in `CELLS`; kernels are 1 where it is dense.

    Raises:
        ValueError: there is no such cell, or no layer.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    if cell not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(CELLS)}, not {cell}")
    inputs = [channels_in] + [channels] * (depth - 1)
    cells = [CELLS[cell](each, channels, 1 if cell in DENSE else kernel, normed) for each in inputs]
    return Zigzag(cells) if cell == "predrnn" else Stack(cells)
