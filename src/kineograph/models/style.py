"""The style of a clip, apart from what it shows: a latent s of the mean and deviation of its channels.

Such statistics hold the style of a picture and little of its content (AdaIN, arXiv 1703.06868). The content
is what is left when they are taken off; put on those of another clip, it is in that one's style.

    B clips; t latent frames of h x w cells with C channels; M numbers of a mood.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models.gaussians import Gaussian
from kineograph.models.stochastic import PATCH, VaeConfig, begun_small


class Style(nn.Module):
    """The style s of a clip: its posterior, its prior, and the statistics (B, 2 C) that it stands for."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        inner, seen = config.mood, PATCH**2 * config.canvas_width
        self.read = nn.Sequential(nn.Linear(2 * config.channels, inner), nn.SiLU())
        told = config.mood + seen + 2 * config.channels
        self.tell = nn.Sequential(nn.Linear(told, inner), nn.SiLU())
        self.posterior_head = begun_small(nn.Linear(inner, 2 * config.style))
        self.prior_head = begun_small(nn.Linear(inner, 2 * config.style))
        self.enter = nn.Linear(config.style, config.mood)
        self.leave = nn.Linear(config.style, 2 * config.channels)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def posterior(self, statistics: Tensor) -> Gaussian:
        """That of clips with these statistics (B, 2 C)."""
        return Gaussian.of(self.posterior_head(self.read(statistics)))

    def prior(self, summary: Tensor, canvas: Tensor, before: Tensor) -> Gaussian:
        """That of captions (B, M) and canvases (B, t, 4 canvas width, h/2, w/2) that have been read, and of
        clips to be changed, of which the statistics (B, 2 C) are told, 0 where there is none."""
        told = torch.cat([summary, canvas.mean(dim=(1, 3, 4)), before], dim=1)
        return Gaussian.of(self.prior_head(self.tell(told)))

    def mood(self, summary: Tensor, style: Tensor) -> Tensor:
        """(B, M)"""
        return F.silu(summary + self.enter(style))

    def statistics(self, style: Tensor) -> Tensor:
        """Mean and deviation of each channel, (B, 2 C)."""
        mean, log_deviation = self.leave(style).float().chunk(2, dim=1)
        return torch.cat([mean, log_deviation.clamp(-3, 3).exp()], dim=1)

    def off(self, latents: Tensor, style: Tensor) -> Tensor:
        """The content (B, t, C, h, w) of latents in this style."""
        mean, deviation = self._of_channels(style)
        return (latents - mean) / deviation

    def on(self, content: Tensor, style: Tensor) -> Tensor:
        """The inverse of `off`."""
        mean, deviation = self._of_channels(style)
        return mean + deviation * content

    def _of_channels(self, style: Tensor) -> tuple[Tensor, ...]:
        return self.statistics(style)[:, None, :, None, None].chunk(2, dim=2)


def statistics(latents: Tensor, shown: Tensor) -> Tensor:
    """Mean and deviation (B, 2 C) of each channel of latents (B, t, C, h, w), over the frames `shown`
    (B, t) bool; 0 where none is. Of whole clips, that is `guides.style_of`."""
    cells = latents.shape[3] * latents.shape[4]
    weight = shown[:, :, None, None, None].to(latents)
    count = cells * shown.sum(dim=1)[:, None].clamp(min=1)
    mean = (weight * latents).sum(dim=(1, 3, 4)) / count
    squares = (weight * (latents - mean[:, None, :, None, None]) ** 2).sum(dim=(1, 3, 4))
    return torch.cat([mean, (squares / (count - 1)).sqrt()], dim=1)
