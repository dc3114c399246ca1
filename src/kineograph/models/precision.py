"""Which number format to compute in, chosen by what the hardware does fast."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import nn


def compute_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, float32 elsewhere."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def autocast(device: torch.device, dtype: torch.dtype | None = None) -> AbstractContextManager[None]:
    """Run matrix products and convolutions in `dtype` (default: `compute_dtype`), the rest in float32."""
    chosen = dtype or compute_dtype(device)
    return torch.autocast(device.type, chosen, enabled=chosen != torch.float32)


def hold(module: nn.Module, device: torch.device, dtype: torch.dtype | None = None) -> None:
    """Keep the matrices of a module that runs under `autocast` alone, and learns no more, in the format that
    it multiplies in: half the memory to read. What was stored in bfloat16 loses nothing."""
    chosen = dtype or compute_dtype(device)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.to(chosen)
