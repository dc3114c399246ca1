"""The transformer family: a transformer over discrete codes of the latents, in one of two orders.

"masked" makes a latent frame after another in few steps each, and is told of pixels that are known here and
there. "raster" makes a cell after another, and knows but the beginning: it is the baseline.

    B clips; t latent frames, h x w cells, C latent channels; S = t n cells of G codes each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kineograph.models import masked, prompted, raster
from kineograph.models.codes import CodesObjective
from kineograph.models.folding import fold_canvas, partly_known
from kineograph.models.masked import MaskedObjective
from kineograph.models.precision import autocast, hold
from kineograph.models.predictor import Led, TransformerConfig, TransformerLoss, TransformerNetworks
from kineograph.models.prompted import LatentFamily, PromptedModel, Prompts
from kineograph.models.raster import RasterObjective
from kineograph.models.windows import Window
from kineograph.sampling.noise import Draws
from kineograph.sampling.settings import Sampling

BEGUN = frozenset({"text", "image", "prediction"})
ABILITIES = {"masked": BEGUN | {"keyframes", "interpolation", "inpainting"}, "raster": BEGUN}
DECODERS = {"masked": masked.decode, "raster": raster.decode}
SAMPLING = Sampling(steps=8, guidance=4.0)


class Transformer(PromptedModel[TransformerNetworks]):
    """The family's model: see `kineograph.models.family.Model`."""

    def evaluations(self, sampling: Sampling) -> int:
        """So many steps for a latent frame, or one for each of its cells."""
        config = self.networks.config
        return config.grid[0] * (sampling.steps if config.order == "masked" else config.frame_cells)

    def fill(
        self,
        conditions: Prompts,
        window: Window,
        latents: Tensor,
        noises: Sequence[Draws],
        sampling: Sampling,
    ) -> Iterator[tuple[int, Tensor]]:
        """Code after code; the latents change whenever another frame of them is made."""
        config = self.networks.config
        each = self.evaluations(sampling) // config.grid[0]
        led = self._led(conditions, window, window.guidance_scale(sampling.guidance))
        draw = partial(self.drawn, noises, f"codes {window.number}")
        known = self._known(window, latents)
        values = self._latents(known, window, latents)
        for done, codes in enumerate(DECODERS[config.order](led, known, draw, sampling.steps), 1):
            if done % each == 0:
                values = self._latents(codes, window, latents)
            yield done, values

    def _led(self, conditions: Prompts, window: Window, scale: Tensor | None) -> Led:
        seen = partly_known(window.known, window.clean)
        told = self.networks.config.order == "masked" and bool(seen.any())
        canvas = fold_canvas(window.frames, seen) if told else None
        texts = conditions.captions, conditions.nothing
        return Led(self.networks.predictor, *texts, canvas, scale, self.dtype)

    def _known(self, window: Window, latents: Tensor) -> Tensor:
        """The codes (B, S, G) of what the window holds, the others unknown."""
        predictor, config = self.networks.predictor, self.networks.config
        shape = len(window.frames), config.grid[0] * config.frame_cells, config.codes.groups
        unknown = torch.full(shape, predictor.unknown, device=self.device)
        if not bool(window.held.any()):
            return unknown
        with autocast(self.device, self.dtype):
            codes = self.networks.coded(latents)
        held = window.clean.repeat_interleave(config.frame_cells, dim=1)[..., None]
        return torch.where(held, codes, unknown)

    def _latents(self, codes: Tensor, window: Window, latents: Tensor) -> Tensor:
        """Latents of codes, some unknown yet; of what the window holds, those that it holds."""
        frames, height, _ = self.networks.config.grid
        with autocast(self.device, self.dtype):
            made = self.networks.codes.decode(torch.unflatten(codes, 1, (frames, -1)), height)
        return torch.where(window.held, latents, made)


# What is learnt, stage by stage


def _codes(networks: TransformerNetworks, _: TransformerLoss | None) -> list[Any]:
    return [CodesObjective(networks.codes)]


def _predictor(networks: TransformerNetworks, loss: TransformerLoss | None) -> list[Any]:
    masked_order = networks.config.order == "masked"
    return [MaskedObjective(networks, loss) if masked_order else RasterObjective(networks, loss)]


OBJECTIVES: dict[str, Callable[[TransformerNetworks, TransformerLoss | None], list[Any]]] = {
    "codes": _codes,
    "transformer": _predictor,
}


# To and from a folder


FAMILY = LatentFamily(
    "transformer",
    TransformerConfig,
    TransformerNetworks,
    OBJECTIVES,
    Transformer,
    lambda config: ABILITIES[config.order],
    SAMPLING,
)


def load(folder: Path, dtype: torch.dtype | None = None) -> Transformer:
    """The model in `folder` on the best device that there is.

    Raises:
        ModelError: the files are missing, damaged or don't fit together.
    """
    model = prompted.load(FAMILY, folder, dtype)
    hold(model.networks.predictor.blocks, model.device, dtype)
    return model
