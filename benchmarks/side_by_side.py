"""Our denoiser beside the video transformer of diffusers, at the same width, depth, tokens and precision.

`WanTransformer3DModel` (Wan 2.1) attends to the text in a layer of its own and has an ungated feed-forward
layer; that layer's width is chosen so that both networks do the same number of operations to within 5%.
Both compute under autocast. To train, both keep float32 weights; to sample, both have most in the number
format that they compute in, as each package loads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.report import Row
from benchmarks.setup import Setup
from benchmarks.timing import Effort, Job, Measured, best_device, flops_of, measure
from kineograph.models.denoiser import PATCH, Denoiser, DenoiserConfig
from kineograph.models.precision import autocast, compute_dtype, hold

TEXT_TOKENS = 32
ALIKE = 0.05  # how far the operations may be apart
FASTER, SHARE = 1.3, 0.7  # the aim: so many times their speed, or such a share of a matrix product's
OURS, THEIRS = "our Denoiser", "WanTransformer3DModel"
MISSING = "not installed: pip install '.[bench]'"

Forward = Callable[[], Tensor]


def rows(setup: Setup) -> Iterator[Row]:
    """Forward as a clip is made with `--guidance`, forward and backward as the flow is trained; each of them
    eager and, where the recipe compiles, compiled as training does."""
    config, stage = setup.recipe.denoiser, setup.recipe.flow_stage
    torch.manual_seed(0)
    networks = networks_alike(config)
    if THEIRS not in networks:
        yield Row(THEIRS, None, note=MISSING)
    passes = [Pass(_to_sample(networks), config, 2, False), Pass(networks, config, stage.batch, True)]
    for one in passes:
        yield from one.rows("eager", setup.effort)
    for one in passes if stage.train.compile else ():
        one.compile()
        yield from one.rows("compiled", setup.effort)


def networks_alike(config: DenoiserConfig) -> dict[str, nn.Module]:
    """Ours and, where diffusers is installed, theirs."""
    networks: dict[str, nn.Module] = {OURS: Denoiser(config).to(best_device())}
    with suppress(ImportError):
        networks[THEIRS] = _wan(config, _matching_ffn(config, networks[OURS]))
    return networks


def _to_sample(networks: dict[str, nn.Module]) -> dict[str, nn.Module]:
    copies = deepcopy(networks)
    hold(copies[OURS], best_device())
    if THEIRS in copies:
        kept: Any = copies[THEIRS]._keep_in_fp32_modules
        for name, parameter in copies[THEIRS].named_parameters():
            if set(kept).isdisjoint(name.split(".")):
                parameter.data = parameter.data.to(compute_dtype(best_device()))
    return copies


@dataclass(frozen=True, eq=False)
class Pass:
    """A pass of so many clips through each of the networks."""

    networks: dict[str, nn.Module]
    config: DenoiserConfig
    clips: int
    backward: bool

    @cached_property
    def jobs(self) -> dict[str, Job]:
        forwards = {OURS: ours, THEIRS: theirs}
        return {
            name: _job(network, forwards[name](network, self.config, self.clips), self.backward)
            for name, network in self.networks.items()
        }

    @cached_property
    def flops(self) -> dict[str, float]:
        """Operations by name; to be counted before the networks are compiled."""
        flops = {name: flops_of(job) for name, job in self.jobs.items()}
        assert max(flops.values()) <= (1 + ALIKE) * min(flops.values()), flops
        return flops

    def compile(self) -> None:
        for network in self.networks.values():
            network.compile(dynamic=False)  # each number of clips by itself, as training sees but one

    def rows(self, how: str, effort: Effort) -> Iterator[Row]:
        title = f"{'forward and backward' if self.backward else 'forward'}, {self.clips} clips, {how}"
        try:
            found = measure(self.jobs, effort, self.flops)
        except RuntimeError as error:  # there may be no compiler
            if how == "eager":
                raise
            yield Row(title, None, note=str(error).strip().partition("\n")[0])
            return
        for name, measured in found.items():
            ratio = found[THEIRS].seconds / measured.seconds if name == OURS and THEIRS in found else None
            note = self._note(name, measured, ratio)
            yield Row(f"{title}: {name}", measured, self.clips, "clips", note, ratio=ratio)

    def _note(self, name: str, measured: Measured, ratio: float | None) -> str:
        size = sum(parameter.numel() for parameter in self.networks[name].parameters())
        note = f"{self.flops[name] / 1e9:.3g} GFLOP, {size / 1e6:.2f} M parameters"
        if ratio is None:
            return note
        return f"{note}; aim {'met' if reaches(measured, ratio) else 'missed'}"


def reaches(measured: Measured, ratio: float) -> bool:
    """Whether ours is `FASTER` than theirs, or so near to a plain matrix product that little is left."""
    return ratio >= FASTER or (measured.share or 0) >= SHARE


def _job(network: nn.Module, forward: Forward, backward: bool) -> Job:
    device = best_device()

    def train() -> None:
        network.zero_grad()
        with autocast(device):
            loss = forward().float().square().mean()
        loss.backward()  # type: ignore[no-untyped-call]

    def sample() -> None:
        with torch.inference_mode(), autocast(device):
            forward()

    return train if backward else sample


def ours(network: nn.Module, config: DenoiserConfig, clips: int) -> Forward:
    """A forward pass through a `Denoiser` with random inputs."""
    device = best_device()
    z = torch.randn(clips, config.grid[0], config.channels, *config.grid[1:], device=device)
    time = torch.rand(clips, config.grid[0], device=device)
    text = torch.randn(clips, TEXT_TOKENS, config.text_width, device=device)
    return lambda: network(z, time, text)


def theirs(network: nn.Module, config: DenoiserConfig, clips: int) -> Forward:
    """A forward pass through a `WanTransformer3DModel` with random inputs of the same sizes."""
    device = best_device()
    z = torch.randn(clips, config.channels, *config.grid, device=device)
    time = torch.randint(1000, (clips,), device=device)
    text = torch.randn(clips, TEXT_TOKENS, config.text_width, device=device)
    return lambda: network(z, time, text, return_dict=False)[0]


def _wan(config: DenoiserConfig, ffn: int) -> nn.Module:
    network: nn.Module = import_module("diffusers").WanTransformer3DModel(
        patch_size=(1, PATCH, PATCH),
        num_attention_heads=config.heads,
        attention_head_dim=config.width // config.heads,
        in_channels=config.channels,
        out_channels=config.channels,
        text_dim=config.text_width,
        freq_dim=config.width,
        ffn_dim=ffn,
        num_layers=config.depth,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=max(config.grid),
    )
    return network.to(best_device())


def _matching_ffn(config: DenoiserConfig, network: nn.Module) -> int:
    """The width of their feed-forward layer at which both do the same; operations grow linearly with it."""
    wanted = flops_of(ours(network, config, 1))
    low, high = (flops_of(theirs(_wan(config, width), config, 1)) for width in (8, 16))
    return max(8, 8 * round((wanted - low) / (high - low) + 1))
