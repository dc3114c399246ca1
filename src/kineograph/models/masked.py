"""Codes by unmasking, a latent frame after another (MaskGIT, arXiv 2202.04200; for video MAGVIT, 2212.05199).

A latent frame sees itself and what lies before it, so the frames that are made stay in the cache, and a step
evaluates one frame alone: 8 steps for each of 5 frames cost as much as 8 steps for the whole clip at once,
but fewer codes are guessed without knowing of one another. In training every frame is masked by a share of
its own, and sees the true codes of those before it, as it will; all of them are learnt in one pass.

    B clips, S = t n cells, G codes a cell, K codes there are; a code that isn't known is K.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models.folding import clean_groups, draw_known, fold_canvas, partly_known
from kineograph.models.predictor import Draw, Led, TransformerLoss, TransformerNetworks, picked
from kineograph.models.tokenizer import to_signal

CHOICE = 4.5  # how much chance at first has in which codes stay (MaskGIT's choice temperature)


class MaskedObjective:
    """Cross entropy of the codes that are masked, of which there are cos(pi/2 u), u uniform."""

    def __init__(self, networks: TransformerNetworks, config: TransformerLoss | None = None) -> None:
        self.networks, self.config = networks, config or TransformerLoss()

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return self.networks.predicting()

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` holds latents (B, t, C, h, w), caption numbers (B, L) and may hold the frames of its last
        rows, uint8 (B', T, H, W, 3), of which some pixels are then known."""
        predictor, codes = self.networks.predictor, self.networks.coded(batch["latents"])
        hidden = self._hidden(codes, draw)
        told = self._told(batch["frames"], draw) if "frames" in batch else None
        begin = predictor.begin(self.networks.heard(batch["caption"], self.config.drop, draw))
        _, past = predictor(codes, begin, told)
        found = predictor.beside(codes.masked_fill(hidden, predictor.unknown), past, told)
        features = predictor.features(found[:, :, None])[hidden]
        logits, wanted = predictor.logits(features, begin.rows), codes[hidden]
        loss = F.cross_entropy(logits, wanted, reduction="sum") / max(1, len(wanted))
        return loss, {"right": (logits.argmax(dim=-1) == wanted).float().mean().detach()}

    def _hidden(self, codes: Tensor, draw: torch.Generator) -> Tensor:
        """Which codes are masked (B, S, G)."""
        each = self.networks.config.frame_cells
        share = torch.cos(math.pi / 2 * torch.rand(len(codes), codes.shape[1] // each, 1, generator=draw))
        hidden = torch.rand(codes.shape, generator=draw) < share.repeat_interleave(each, dim=1)
        return hidden.to(codes.device)

    def _told(self, frames: Tensor, draw: torch.Generator) -> Tensor:
        known = draw_known(frames.shape[:4], draw)
        seen = partly_known(known, clean_groups(known)).to(frames.device)
        told: Tensor = self.networks.predictor.canvas(fold_canvas(to_signal(frames).bfloat16(), seen))
        return told


def decode(led: Led, codes: Tensor, draw: Draw, steps: int) -> Iterator[Tensor]:
    """Codes (B, S, G) after each of t x `steps` steps, from those that are known. The steps of frames that
    are known in all clips count, but cost nothing. `draw` gives normal numbers (B, ...) by number and shape.
    """
    predictor = led.predictor
    each, past = predictor.config.frame_cells, led.begin()
    for step in range(steps * codes.shape[1] // each):
        stop = (step // steps + 1) * each
        frame = codes[:, stop - each : stop]
        if bool((frame == predictor.unknown).any()):
            found, reached = led.reach(codes[:, :stop], past)
            past = reached.cut(stop - each)
            share = (step % steps + 1) / steps
            made = unmasked(frame, led.logits(found[:, -each:]), draw(step, (2, *frame.shape[1:])), share)
            codes = torch.cat([codes[:, : stop - each], made, codes[:, stop:]], dim=1)
        yield codes


def unmasked(codes: Tensor, logits: Tensor, normals: Tensor, share: float) -> Tensor:
    """One step: of the codes (B, n, G) of a latent frame those that are masked are guessed, and the guesses
    that are surest stay, so that cos(pi/2 share) of all codes are still masked. All are known at share 1.

    Args:
        logits: (B, n, G, K).
        normals: standard normal numbers (B, 2, n, G), for the guesses and for the choice among them.
        share: of the steps that are done after this one.
    """
    masked = codes == logits.shape[-1]
    guesses = picked(logits, normals[:, 0])
    sureness = logits.log_softmax(dim=-1).gather(-1, guesses[..., None])[..., 0]
    sureness = sureness + CHOICE * (1 - share) * gumbel(normals[:, 1])
    left = math.floor(math.cos(math.pi / 2 * share) * masked[0].numel())
    order = sureness.masked_fill(~masked, torch.inf).flatten(1).argsort(dim=1)
    unsure = order.argsort(dim=1).view_as(masked) < left
    return torch.where(masked & ~unsure, guesses, codes)


def gumbel(normals: Tensor) -> Tensor:
    """Gumbel noise of standard normal numbers."""
    return -torch.log(-torch.special.log_ndtr(normals))
