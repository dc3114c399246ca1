"""An addition to a network's weights, by which it does one thing more and still does what it did.

A matrix of n x m numbers is given the product of two thin ones, n x r and r x m, a vector another vector
(LoRA, arXiv 2106.09685). To begin with all that is added is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn


class Adapter(nn.Module):
    """What is added to those parameters of a network whose names begin with one of `within`; r is `rank`.

    Raises:
        ValueError: the rank is below 1.
    """

    def __init__(self, network: nn.Module, rank: int, within: Sequence[str]) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f"the rank of an adapter must be 1 or more, not {rank}")
        self.down, self.up, self.vectors = (nn.ParameterDict() for _ in range(3))
        for name, parameter in network.named_parameters():
            if not name.startswith(tuple(within)):
                continue
            if parameter.ndim == 1:
                self.vectors[_key(name)] = nn.Parameter(torch.zeros_like(parameter))
            else:
                rows, columns = parameter.shape
                self.down[_key(name)] = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))
                self.up[_key(name)] = nn.Parameter(torch.zeros(rows, rank))

    def weights(self, network: nn.Module) -> Mapping[str, Tensor]:
        """The parameters of the network that something is added to, with that, for `functional_call`."""
        return dict(self._sums(network))

    def _sums(self, network: nn.Module) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in network.named_parameters():
            key = _key(name)
            if key in self.vectors:
                yield name, parameter + self.vectors[key]
            elif key in self.up:
                yield name, parameter + (self.up[key] @ self.down[key]).to(parameter.dtype)

    @torch.no_grad()
    def applied(self, network: nn.Module) -> nn.Module:
        """A copy of the network with all that is added."""
        changed = deepcopy(network)
        changed.load_state_dict(self.weights(network), strict=False)
        return changed


def _key(name: str) -> str:
    return name.replace(".", "/")  # as no parameter may have a dot in its name
