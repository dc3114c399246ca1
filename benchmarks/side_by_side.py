"""Our denoiser beside the video transformer of diffusers, at the same width, depth, tokens and precision.

`WanTransformer3DModel` (Wan 2.1) attends to the text in a layer of its own and has an ungated feed-forward
layer; that layer's width is chosen so that both networks do the same number of operations to within 5%.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.report import Row
from benchmarks.timing import Effort, flops_of, measure
from kineograph.models.denoiser import Denoiser, DenoiserConfig
from kineograph.models.precision import autocast, compute_dtype

TEXT_TOKENS = 32
ALIKE = 0.05  # how far the operations may be apart
OURS, THEIRS = "our Denoiser", "diffusers WanTransformer3DModel"

Forward = Callable[[], Tensor]


def rows(config: DenoiserConfig, batches: tuple[int, int], effort: Effort) -> Iterator[Row]:
    """Forward on `batches[0]` clips, forward and backward on `batches[1]`, in each precision worth using."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for dtype in dict.fromkeys((torch.float32, compute_dtype(device))):
        for batch, backward in zip(batches, (False, True), strict=True):
            yield from _pair(config, batch, backward, device, dtype, effort)


def _pair(
    config: DenoiserConfig,
    batch: int,
    backward: bool,
    device: torch.device,
    dtype: torch.dtype,
    effort: Effort,
) -> Iterator[Row]:
    what = f"{'forward + backward' if backward else 'forward'}, {batch} clips, {str(dtype)[6:]}"
    ours = Denoiser(config).to(device)
    forwards = {OURS: _ours(ours, batch)}
    networks: dict[str, nn.Module] = {OURS: ours}
    try:
        networks[THEIRS] = _wan(config, _matching_ffn(config, ours, batch)).to(device)
        forwards[THEIRS] = _theirs(networks[THEIRS], config, batch)
    except ImportError:
        yield Row(f"{THEIRS}: {what}", None, note="not installed: pip install '.[bench]'")
    jobs = {name: _job(networks[name], forwards[name], backward, device, dtype) for name in networks}
    flops = {name: flops_of(job) for name, job in jobs.items()}
    assert max(flops.values()) <= (1 + ALIKE) * min(flops.values()), flops
    for name, measured in measure(jobs, flops, device, dtype, effort).items():
        size = sum(p.numel() for p in networks[name].parameters())
        note = f"{flops[name] / 1e9:.3g} GFLOP, {size / 1e6:.2f} M parameters"
        yield Row(f"{name}: {what}", measured, batch, "clip", note)


def _job(
    network: nn.Module, forward: Forward, backward: bool, device: torch.device, dtype: torch.dtype
) -> Callable[[], None]:
    def train() -> None:
        network.zero_grad()
        with autocast(device, dtype):
            loss = forward().float().square().mean()
        loss.backward()  # type: ignore[no-untyped-call]

    def sample() -> None:
        with torch.inference_mode(), autocast(device, dtype):
            forward()

    return train if backward else sample


def _ours(network: Denoiser, batch: int) -> Forward:
    config, device = network.config, network.cos.device
    z = torch.randn(batch, config.grid[0], config.channels, *config.grid[1:], device=device)
    time = torch.rand(batch, config.grid[0], device=device)
    text = torch.randn(batch, TEXT_TOKENS, config.text_width, device=device)
    return lambda: network(z, time, text)


def _wan(config: DenoiserConfig, ffn: int) -> nn.Module:
    from diffusers import WanTransformer3DModel

    network: nn.Module = WanTransformer3DModel(
        patch_size=(1, 2, 2),
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
    return network


def _theirs(network: nn.Module, config: DenoiserConfig, batch: int) -> Forward:
    device = next(network.parameters()).device
    z = torch.randn(batch, config.channels, *config.grid, device=device)
    time = torch.randint(1000, (batch,), device=device)
    text = torch.randn(batch, TEXT_TOKENS, config.text_width, device=device)
    return lambda: network(z, time, text, return_dict=False)[0]


def _matching_ffn(config: DenoiserConfig, ours: Denoiser, batch: int) -> int:
    """The width of their feed-forward layer at which both do the same; operations grow linearly with it."""
    wanted = flops_of(_ours(ours, batch))
    device = ours.cos.device
    low, high = (flops_of(_theirs(_wan(config, width).to(device), config, batch)) for width in (8, 16))
    width = 8 + 8 * (wanted - low) / (high - low)
    return max(8, 8 * round(width / 8))
