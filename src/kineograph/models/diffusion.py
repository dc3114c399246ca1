"""The diffusion family: a rectified flow over the tokenizer's latents, filling any canvas.

Within a window every latent frame has its own noise level: groups of frames that are wholly known, with all
of their past, enter as clean latents; everything else that is known enters as masked pixels.

    B clips, T frames, H x W pixels; t latent frames, h x w cells, C latent channels; L caption tokens, and
    those of each thing.
    Flow time runs from 0 (noise) to 1 (data): z = t x + (1 - t) e (Liu et al. 2022, arXiv 2209.03003).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kineograph.canvas import GUIDES, TASKS, Canvas
from kineograph.config import from_dict
from kineograph.errors import ModelError, RequestError
from kineograph.models import weights
from kineograph.models.family import Spec
from kineograph.models.flow import DiffusionConfig, DiffusionNetworks, FlowNetworks
from kineograph.models.folding import fold_canvas, partly_known
from kineograph.models.guides import Guides, fold_guides
from kineograph.models.playing import World, played
from kineograph.models.precision import autocast, hold
from kineograph.models.telling import Telling
from kineograph.models.tokenizer import TIME_STRIDE
from kineograph.models.windows import LatentModel, Window
from kineograph.sampling.guidance import guided
from kineograph.sampling.noise import Draws
from kineograph.sampling.schedules import times
from kineograph.sampling.settings import Sampling
from kineograph.sampling.solvers import SOLVERS, Velocity, evaluations
from kineograph.sampling.travel import mixed, shares
from kineograph.text.vocabulary import Vocabulary
from kineograph.video import Chunk

# The model


@dataclass(frozen=True, eq=False)
class Conditions:
    """Encoded captions, P to each of B clips, what no prompt is, and the canvases, read a window at a time.

    captions (P, B, L, D); stops (P, B), the frame at which a clip has come to a prompt; place (B,), where
    between its stops a clip stands that does not travel, else NaN; nothing (B, L, D); styles (B, 2 C), NaN
    where none is wanted.
    """

    captions: Tensor
    stops: Tensor
    place: Tensor
    nothing: Tensor
    styles: Tensor
    canvases: Sequence[Canvas]

    def weights(self, start: int, groups: int) -> Tensor:
        """How much each prompt counts in the latent frames of the window that begins at `start`: (P, B, t),
        adding up to 1."""
        last_frames = start + TIME_STRIDE * torch.arange(groups).to(self.stops)
        place = self.place[:, None]
        return shares(self.stops, torch.where(place.isnan(), last_frames, place))


def _stops(canvas: Canvas) -> tuple[tuple[str, float], ...]:
    """The prompts after the first, and where each counts alone."""
    if "walk" in canvas.guides:
        return ((canvas.guides["walk"][0], 1.0),)
    return tuple(canvas.guides.get("travel", ()))


class _Told(NamedTuple):
    """What a velocity depends on beside latents and times, of several batches in a row."""

    captions: Tensor
    canvas: Tensor | None
    guides: Guides | None


def _told(captions: Sequence[Tensor], canvas: Tensor | None, guides: Sequence[Guides | None]) -> _Told:
    """Of the same batch under each of the captions, with its guides."""
    known = [each for each in guides if each is not None]
    repeated = None if canvas is None else canvas.repeat(len(captions), 1, 1, 1, 1)
    return _Told(torch.cat(list(captions)), repeated, Guides.joined(known) if known else None)


class _Led:
    """A window of a batch under way: what is known and told, and where the captions lead.

    `begin` is the time at which a clip to be changed is entered, of which the less is kept the nearer that is
    to 0.
    """

    def __init__(self, model: Diffusion, conditions: Conditions, window: Window) -> None:
        self.model, self.conditions, self.window = model, conditions, window
        seen = partly_known(window.known, window.clean)
        canvas = fold_canvas(window.frames, seen) if bool(seen.any()) else None
        weights = conditions.weights(window.start, window.clean.shape[1])
        counts = weights.flatten(1).any(dim=1)
        self.weights, captions = weights[counts][..., None, None, None], list(conditions.captions[counts])
        told = model.telling.window(conditions.canvases, conditions.styles, window.start)
        on_device = {kind: values.to(model.device) for kind, values in (told or {}).items()}
        self.guides = fold_guides(on_device) if told else None
        self.captions, self.canvas = captions, canvas
        self.prompted = _told(captions, canvas, [self.guides] * len(captions))
        sources = [canvas.source for canvas in conditions.canvases if canvas.source]
        self.begin = 1.0 - sources[0].strength if sources else 0.0  # as of all in the batch

    @cached_property
    def contrasted(self) -> _Told:
        """The same, and what guidance leads away from. For a removal that knows nothing of the clip to be
        changed, and so leads towards it: there is little else that says what is to be seen."""
        changed = [canvas.task != "removal" for canvas in self.conditions.canvases]
        bare = self.guides and self.guides.bare(torch.tensor(changed, device=self.model.device))
        guides = [*[self.guides] * len(self.captions), bare]
        return _told([*self.captions, self.conditions.nothing], self.canvas, guides)

    def velocity(self, sampling: Sampling) -> Velocity:
        """Where the prompts lead, pushed by guidance."""
        scale = self.window.guidance_scale(sampling.guidance)
        return guided(self._prompted, self._both, scale, sampling.interval)

    def _prompted(self, z: Tensor, time: float) -> Tensor:
        return mixed(self.weights, self._slopes(z, time, self.prompted))

    def _both(self, z: Tensor, time: float) -> tuple[Tensor, Tensor]:
        *with_prompt, without = self._slopes(z, time, self.contrasted)
        return mixed(self.weights, with_prompt), without

    def _slopes(self, z: Tensor, time: float, told: _Told) -> tuple[Tensor, ...]:
        """The velocity under each caption, all in one pass through the network; 0 where latents are held."""
        several = len(told.captions) // len(z)
        again = (several, 1, 1, 1, 1)
        levels = torch.where(self.window.clean, 1.0, time).repeat(several, 1)
        with autocast(self.model.device, self.model.dtype):
            _, v = self.model.networks.velocity(z.repeat(again), levels, *told)
        return torch.where(self.window.held.repeat(again), 0.0, v).chunk(several)


class Diffusion(LatentModel[Conditions]):
    """The family's model: see `kineograph.models.family.Model`."""

    def __init__(self, networks: FlowNetworks, spec: Spec, dtype: torch.dtype | None = None) -> None:
        super().__init__(networks.tokenizer, spec, dtype)
        self.networks = networks
        self.vocabulary = Vocabulary(networks.config.words)
        self.telling = Telling(spec, networks.grid, networks.channels, self.encoded)

    def at(self, sampling: Sampling) -> Diffusion:
        """The same networks, sampled in another way unless asked otherwise."""
        return Diffusion(self.networks, replace(self.spec, sampling=sampling), self.dtype)

    def condition(self, canvases: Sequence[Canvas]) -> Conditions:
        """Encode the prompts."""
        ways = [((canvas.prompt, 0.0), *_stops(canvas)) for canvas in canvases]
        longest = max(map(len, ways))
        even = list(zip(*[(*way, *[way[-1]] * (longest - len(way))) for way in ways], strict=True))
        prompts = [prompt for stop in even for prompt, _ in stop]
        encoded = self._encoded([*prompts, *[""] * len(canvases)])
        *captions, nothing = torch.split(encoded, len(canvases))
        stops = torch.tensor([[frame for _, frame in stop] for stop in even], device=self.device)
        places = [canvas.guides["walk"][1] if "walk" in canvas.guides else math.nan for canvas in canvases]
        place = torch.tensor(places, device=self.device)
        styles = self.telling.styles(canvases)
        return Conditions(torch.stack(captions), stops, place, nothing, styles, canvases)

    def evaluations(self, sampling: Sampling) -> int:
        """As many as the solver takes."""
        return evaluations(sampling.solver, sampling.steps)

    def fill(
        self,
        conditions: Conditions,
        window: Window,
        latents: Tensor,
        noises: Sequence[Draws],
        sampling: Sampling,
    ) -> Iterator[tuple[int, Tensor]]:
        """From noise to data, a step of the solver at a time."""
        start = torch.where(window.held, latents, self.drawn(noises, window.number))
        yield from self._solve(_Led(self, conditions, window), start, sampling)

    def play(
        self, canvas: Canvas, noise: Draws, sampling: Sampling, actions: Iterable[str]
    ) -> Iterator[Chunk]:
        """Go on from the canvas's beginning, a frame for each action as it comes."""
        return played(World(self, canvas, noise, sampling), canvas, actions)

    def filled(
        self, conditions: Conditions, frames: Tensor, known: Tensor, start: Tensor, sampling: Sampling
    ) -> Tensor:
        """The latents (B, t, C, h, w) of a window of frames (B, T, 3, H, W), of which `known` (B, T, H, W)
        are known, from `start`: the latents of groups that are known with all of their past, elsewhere noise.
        """
        window = Window(0, 0, frames, known)
        *_, (_, values) = self._solve(_Led(self, conditions, window), start, sampling)
        return values

    def _solve(self, led: _Led, start: Tensor, sampling: Sampling) -> Iterator[tuple[int, Tensor]]:
        """Yield (evaluations done, latents) after every step of one window, from `start`: what is held, and
        noise."""
        at, count = [led.begin + (1 - led.begin) * time for time in times(sampling.steps, sampling.shift)], 0
        velocity = led.velocity(sampling)
        if led.begin > 0 and led.guides is not None:
            entered = led.begin * led.guides.source + (1 - led.begin) * start
            start = torch.where(led.window.held, start, entered)

        def counted(z: Tensor, time: float) -> Tensor:
            nonlocal count
            count += 1
            return velocity(z, time)

        for z in SOLVERS[sampling.solver](counted, start, at):
            yield count, z

    def drawn(self, noises: Sequence[Draws], window: int, name: str = "window") -> Tensor:
        """The noise (B, t, C, h, w) of a window."""
        groups, *cells = self.networks.grid
        shape = (self.networks.channels, *cells)
        clips = [torch.stack([n.normal(f"{name} {window}", g, shape) for g in range(groups)]) for n in noises]
        return torch.stack(clips).to(self.device)

    def _encoded(self, prompts: list[str]) -> Tensor:
        length = self.networks.config.text_length
        numbers = torch.tensor([self.vocabulary.encode(p, length) for p in prompts], device=self.device)
        with torch.inference_mode(), autocast(self.device, self.dtype):
            encoded: Tensor = self.networks.text(numbers)
        return encoded.float()


# To and from a folder

ABILITIES = frozenset(TASKS) | frozenset(GUIDES)
# Few steps, most of them near the noise, where it is decided what a clip shows.
GUIDED = Sampling(steps=6, guidance=3.0, solver="multistep", shift=4.0)
FOLDED = replace(GUIDED, guidance=1.0)


def spec_of(name: str, config: DiffusionConfig, sampling: Sampling | None = None) -> Spec:
    """What the rest of the program needs to know of these networks: guided unless that is folded in."""
    height, width = config.size
    native = (width, height, config.fps, config.window)
    own = sampling or (FOLDED if config.push else GUIDED)
    return Spec(name, "diffusion", ABILITIES, *native, own, config.words)


def _files(networks: DiffusionNetworks) -> dict[str, nn.Module]:
    flow = nn.ModuleDict({"text": networks.text, "denoiser": networks.denoiser})
    return {"tokenizer": networks.tokenizer, "flow": flow}


def save(folder: Path, networks: DiffusionNetworks, spec: Spec) -> None:
    """Write the model as files that `load` reads; the vocabulary is part of the description."""
    settings = asdict(networks.config)
    del settings["words"]
    weights.save(folder, spec, settings, _files(networks))


def load_networks(folder: Path) -> tuple[DiffusionNetworks, Spec]:
    """The networks in `folder`, to sample from or to train further.

    Raises:
        ModelError: the files are missing, damaged or don't fit together.
    """
    spec, settings = weights.read_config(folder)
    try:
        config = from_dict(DiffusionConfig, {"words": spec.vocabulary, **settings})
        networks = DiffusionNetworks(config)
    except RequestError as error:
        raise ModelError(f"The config of '{folder.name}' doesn't fit this version: {error}") from error
    except (RuntimeError, ValueError, ZeroDivisionError) as error:  # of sizes that make no network
        raise ModelError(f"The config of '{folder.name}' is damaged: get the model again.") from error
    fitting = replace(spec_of(spec.name, config, spec.sampling), weights_hash=spec.weights_hash)
    if replace(spec, abilities=ABILITIES) != fitting or not spec.abilities <= ABILITIES:
        raise ModelError(f"The config of '{folder.name}' contradicts itself: get the model again.")
    weights.load_modules(folder, _files(networks))
    return networks, spec


def load(folder: Path, dtype: torch.dtype | None = None) -> Diffusion:
    """The model in `folder` on the best device that there is."""
    networks, spec = load_networks(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for network in (networks.denoiser, networks.tokenizer):
        hold(network.to(device), device, dtype)
    return Diffusion(networks.to(device).eval(), spec, dtype)
