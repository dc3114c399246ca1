"""The GAN family: a clip's latents in one evaluation, learnt against a discriminator as R3GAN has it.

Both players compare pairs of a real and a made clip; the discriminator's slopes are held small at both
(Huang et al. 2025, arXiv 2501.05441). A pair has its caption in common and, where the clip has a known
beginning, that.

    B clips, t latent frames, h x w cells, C latent channels; L caption tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from kineograph.canvas import Canvas
from kineograph.models import prompted
from kineograph.models.players import GANConfig, GANNetworks
from kineograph.models.precision import autocast
from kineograph.models.prompted import LatentFamily, PromptedModel, Prompts
from kineograph.models.windows import Window
from kineograph.sampling.noise import Draws
from kineograph.sampling.settings import Sampling

# The losses


@dataclass(frozen=True)
class GANLoss:
    """`gamma` weighs the gradient penalties, which are taken at `penalised` of the clips, and `mismatched`
    that a real clip fits its own caption better than another's. `begun` of the clips have a known beginning,
    and `drop` of the captions are left out, so that a clip can do without."""

    gamma: float = 1.0
    penalised: float = 0.25
    mismatched: float = 1.0
    begun: float = 0.4
    drop: float = 0.1


def relativistic(above: Tensor, below: Tensor) -> Tensor:
    """softplus(-(above - below)), the mean over pairs of scores (B,): log 2 where both are the same
    (arXiv 2501.05441, equation 2). The discriminator wants the real above, the generator the made."""
    return F.softplus(below - above).mean()


def gradient_penalty(score: Callable[[Tensor], Tensor], clips: Tensor) -> Tensor:
    """The mean squared norm of the slope of scores (B,) at clips (B, ...) (Mescheder et al. 2018,
    arXiv 1801.04406): R1 at real clips, R2 at made ones."""
    at = clips.detach().requires_grad_()
    (slope,) = torch.autograd.grad(score(at).sum(), at, create_graph=True)
    return slope.square().flatten(1).sum(dim=1).mean()


@dataclass(frozen=True, eq=False)
class Drawn:
    """A batch as the players are shown it: real clips (B, t, C, h, w), caption numbers (B, L), 0 where left
    out, which frames (B, t) the generator is given, and its codes (B, content) and (B, t, motion)."""

    real: Tensor
    caption: Tensor
    clean: Tensor
    content: Tensor
    noise: Tensor


def drawn(batch: Mapping[str, Tensor], config: GANConfig, loss: GANLoss, draw: torch.Generator) -> Drawn:
    """`batch` holds latents (B, t, C, h, w) and caption numbers (B, L)."""
    real = batch["latents"].float()
    rows, groups = real.shape[:2]
    prefix = torch.randint(1, groups, (rows, 1), generator=draw)
    clean = torch.arange(groups) < prefix * (torch.rand(rows, 1, generator=draw) < loss.begun)
    heard = torch.rand(rows, 1, generator=draw) >= loss.drop
    content = torch.randn(rows, config.content, generator=draw)
    noise = torch.randn(rows, groups, config.motion, generator=draw)
    shown = (values.to(real.device) for values in (clean, content, noise))
    return Drawn(real, batch["caption"] * heard.to(real.device), *shown)


class DiscriminatorObjective:
    """To score real clips above made ones, and their own captions above others (Reed et al. 2016,
    arXiv 1605.05396). The caption encoder is moved here alone: the generator would blind it."""

    def __init__(self, networks: GANNetworks, config: GANLoss | None = None) -> None:
        self.networks = networks
        self.config = config or GANLoss()

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [*self.networks.discriminator.named_parameters(), *self.networks.text.named_parameters()]

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` is as for `drawn`."""
        shown = drawn(batch, self.networks.config, self.config, draw)
        critic, text = self.networks.discriminator, self.networks.text(shown.caption)
        with torch.no_grad():
            made = self.networks.generator(shown.content, shown.noise, text, shown.real, shown.clean)
        seen = critic.features(torch.cat([shown.real, made]))
        real, fake = critic.score(seen, text.repeat(2, 1, 1)).chunk(2)
        other = critic.score(seen[: len(real)], text.roll(1, 0))
        slopes = self._slopes(torch.stack([shown.real, made]), text)
        loss = relativistic(real, fake) + self.config.mismatched * relativistic(real, other)
        figures = {"margin": (real - fake).mean(), "fit": (real - other).mean(), "slopes": slopes}
        return loss + self.config.gamma / 2 * slopes, {name: f.detach() for name, f in figures.items()}

    def _slopes(self, clips: Tensor, text: Tensor) -> Tensor:
        """R1 + R2 of clips (2, B, t, C, h, w), real and made: at some of a batch: it is most of the cost."""
        count = max(1, round(self.config.penalised * len(text)))
        told = text[:count].repeat(2, 1, 1)
        penalty = gradient_penalty(
            lambda at: self.networks.discriminator(at, told), clips[:, :count].flatten(0, 1)
        )
        return 2 * penalty  # of a mean over real and made


class GeneratorObjective:
    """To have made clips scored above the real ones."""

    def __init__(self, networks: GANNetworks, config: GANLoss | None = None) -> None:
        self.networks = networks
        self.config = config or GANLoss()

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.networks.generator.named_parameters())

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` is as for `drawn`."""
        shown = drawn(batch, self.networks.config, self.config, draw)
        with torch.no_grad():
            text = self.networks.text(shown.caption)
            real = self.networks.discriminator(shown.real, text)
        made = self.networks.generator(shown.content, shown.noise, text, shown.real, shown.clean)
        loss = relativistic(self._judged(made, text), real)
        return loss, {"generator": loss.detach()}

    def _judged(self, clips: Tensor, text: Tensor) -> Tensor:
        """Scores that no gradient of the discriminator's weights is taken of."""
        resting = {name: p.detach() for name, p in self.networks.discriminator.named_parameters()}
        scores: Tensor = functional_call(self.networks.discriminator, resting, (clips, text))
        return scores


def objectives(
    networks: GANNetworks, loss: GANLoss | None = None
) -> list[DiscriminatorObjective | GeneratorObjective]:
    """The discriminator moves first, so that the generator meets what it has learnt."""
    return [DiscriminatorObjective(networks, loss), GeneratorObjective(networks, loss)]


# The model


def truncation(guidance: float) -> float:
    """By how much codes are shortened (BigGAN, Brock et al. 2018, arXiv 1809.11096): 1, not at all, at a
    guidance of 1 or less; at twice the guidance they are half as long, and clips of a prompt more alike."""
    return 1 / max(1.0, guidance)


class GAN(PromptedModel[GANNetworks]):
    """The family's model: see `kineograph.models.family.Model`."""

    def condition(self, canvases: Sequence[Canvas]) -> Prompts:
        """Encode the prompts; on a walk what lies between two."""
        prompts = super().condition(canvases)
        if not any("walk" in canvas.guides for canvas in canvases):
            return prompts
        walks = [canvas.guides.get("walk", (canvas.prompt, 0.0)) for canvas in canvases]
        ends = self.read([prompt for prompt, _ in walks])
        share = torch.tensor([float(share) for _, share in walks], device=self.device)[:, None, None]
        return replace(prompts, captions=prompts.captions.lerp(ends, share))

    def evaluations(self, sampling: Sampling) -> int:
        """One, whatever is asked for."""
        return 1

    def fill(
        self,
        conditions: Prompts,
        window: Window,
        latents: Tensor,
        noises: Sequence[Draws],
        sampling: Sampling,
    ) -> Iterator[tuple[int, Tensor]]:
        """From codes to data at once. The windows of a clip have its content code in common."""
        config, scale = self.networks.config, truncation(sampling.guidance)
        groups, *plane = config.grid
        content = scale * self.drawn(noises, "content", 0, (config.content,))
        noise = scale * self.drawn(noises, "motion", window.number, (groups, config.motion))
        known = torch.where(window.held, latents, 0.0).expand(-1, -1, config.channels, *plane)
        with autocast(self.device, self.dtype):
            made = self.networks.generator(content, noise, conditions.captions, known, window.clean)
        yield 1, made


# To and from a folder

ABILITIES = frozenset({"text", "image", "prediction", "walk"})
SAMPLING = Sampling(steps=1, guidance=1.0)


FAMILY = LatentFamily("gan", GANConfig, GANNetworks, {"gan": objectives}, GAN, lambda _: ABILITIES, SAMPLING)


def load(folder: Path, dtype: torch.dtype | None = None) -> GAN:
    """The model in `folder` on the best device that there is."""
    return prompted.load(FAMILY, folder, dtype)
