"""Diffusion as one of the small families: the flow of the flagship, in a network of the others' size.

`network` chooses which: "transformer", as in the flagship, or "unet", the classic. It fills the canvases of
the flagship, but takes no guides. See `diffusion` and `flow`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from kineograph.models import prompted
from kineograph.models.denoiser import Denoiser, DenoiserConfig
from kineograph.models.diffusion import Diffusion
from kineograph.models.flow import FlowObjective, velocity_of
from kineograph.models.folding import CANVAS
from kineograph.models.guides import Guides
from kineograph.models.prompted import LatentConfig, LatentFamily, LatentNetworks
from kineograph.models.unet import UNet, UNetConfig
from kineograph.sampling.settings import Sampling

ABILITIES = frozenset(
    {"text", "image", "keyframes", "prediction", "precede", "interpolation", "inpainting", "outpainting"}
    | {"travel", "walk"}
)
SAMPLING = Sampling(steps=24, guidance=5.0, solver="multistep", shift=4.0)


@dataclass(frozen=True)
class SmallDiffusionConfig(LatentConfig):
    """Sizes of either network. `canvas` is the number of values of a masked canvas in one latent cell."""

    network: str = "transformer"
    width: int = 144
    hidden: int = 352
    depth: int = 5
    heads: int = 4
    canvas: int = CANVAS
    canvas_width: int = 16
    unet: UNetConfig = field(default_factory=UNetConfig)


class SmallDiffusionNetworks(LatentNetworks[SmallDiffusionConfig]):
    """Tokenizer, caption encoder and denoiser."""

    def __init__(self, config: SmallDiffusionConfig) -> None:
        super().__init__(config)
        self.denoiser = _denoiser(config)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns of a window."""
        return self.config.grid

    @property
    def channels(self) -> int:
        """Of the latents."""
        return self.config.channels

    def velocity(
        self,
        z: Tensor,
        time: Tensor,
        caption: Tensor,
        canvas: Tensor | None = None,
        guides: Guides | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As that of the flagship, see `flow.DiffusionNetworks`, without guides."""
        return velocity_of(self.denoiser, z, time, caption, canvas, guides)


def _denoiser(config: SmallDiffusionConfig) -> nn.Module:
    if config.network == "unet":
        return UNet(config.unet, config.channels, config.text_width)
    if config.network != "transformer":
        raise ValueError(f"network must be transformer or unet, not {config.network}")
    return Denoiser(
        DenoiserConfig(
            config.channels,
            config.grid,
            config.canvas,
            config.canvas_width,
            text_width=config.text_width,
            width=config.width,
            hidden=config.hidden,
            depth=config.depth,
            heads=config.heads,
            guided=False,
        )
    )


FAMILY = LatentFamily(
    "small diffusion",
    SmallDiffusionConfig,
    SmallDiffusionNetworks,
    {"flow": lambda networks, loss: [FlowObjective(networks, loss)]},
    Diffusion,
    lambda _: ABILITIES,
    SAMPLING,
    hot=lambda networks: [networks.denoiser, networks.text],
)


def load(folder: Path, dtype: torch.dtype | None = None) -> Diffusion:
    """The model in `folder` on the best device that there is."""
    return prompted.load(FAMILY, folder, dtype)
