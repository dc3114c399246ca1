"""The optimizer: Muon for the hidden matrices, AdamW for everything else, one learning-rate schedule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class OptimConfig:
    """Rates and decays. `muon` names the modules whose matrices Muon moves; AdamW moves the rest.

    Muon: Jordan et al. 2024, with updates scaled to AdamW's size so that one rate fits both
    (arXiv 2502.16982).
    """

    rate: float = 1e-3
    muon: tuple[str, ...] = ("blocks",)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup: int = 100
    cooldown: float = 0.4
    clip: float = 1.0


class Optimizer:
    """Muon and AdamW side by side over named parameters, with their state as flat tensors for checkpoints."""

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], config: OptimConfig) -> None:
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in named:
            hidden = parameter.ndim == 2 and not set(config.muon).isdisjoint(name.split("."))
            (matrices if hidden else others).append(parameter)
        self.parameters = matrices + others
        self.config = config
        self._parts: list[torch.optim.Optimizer] = []
        if matrices:
            self._parts.append(
                torch.optim.Muon(
                    matrices,
                    lr=config.rate,
                    weight_decay=config.weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        if others:
            self._parts.append(
                torch.optim.AdamW(
                    others,
                    lr=config.rate,
                    betas=config.betas,
                    weight_decay=config.weight_decay,
                    foreach=True,
                )
            )

    def step(self, rate: float) -> None:
        """Move the parameters along their gradients at learning rate `rate` and drop the gradients."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad()

    def clip(self) -> Tensor:
        """Scale the gradients down to the configured norm; returns the norm they had."""
        return nn.utils.clip_grad_norm_(self.parameters, self.config.clip, foreach=True)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, flat: `part.parameter.key`."""
        return {
            f"{p}.{index}.{key}": value
            for p, part in enumerate(self._parts)
            for index, state in part.state_dict()["state"].items()
            for key, value in state.items()
        }

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        for p, part in enumerate(self._parts):
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                of_part, index, key = name.split(".", 2)
                if int(of_part) == p:
                    state.setdefault(int(index), {})[key] = value
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})


def learning_rate(config: OptimConfig, step: int, cooldown: tuple[int, int] | None) -> float:
    """Linear warm-up, constant, then linear to 0 over the steps `cooldown` = (first, last)."""
    rate = config.rate * min(1.0, (step + 1) / config.warmup) if config.warmup else config.rate
    if cooldown is None or step < cooldown[0]:
        return rate
    first, last = cooldown
    return rate * max(0.0, (last - step) / max(1, last - first))
