"""The diffusion family: a rectified flow over the tokenizer's latents, filling any canvas.

A clip is made a window of 17 frames at a time. Within a window every latent frame has its own noise level:
groups of frames that are wholly known, with all of their past, enter as clean latents; everything else that
is known enters as masked pixels. Longer clips roll on: the next window starts 8 frames later, its beginning
known; what precedes footage is made from its end to its beginning.

    B clips, T frames, H x W pixels; t latent frames, h x w cells, C latent channels; L caption tokens.
    Flow time runs from 0 (noise) to 1 (data): z = t x + (1 - t) e (Liu et al. 2022, arXiv 2209.03003).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from kineograph.canvas import GUIDES, TASKS, Canvas
from kineograph.config import from_dict
from kineograph.errors import ModelError, RequestError
from kineograph.models import weights
from kineograph.models.denoiser import Denoiser, DenoiserConfig
from kineograph.models.family import Spec, Step
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import (
    SPACE_STRIDE,
    TIME_STRIDE,
    Tokenizer,
    TokenizerConfig,
    frames_of,
    to_frames,
    to_signal,
)
from kineograph.sampling.guidance import guided
from kineograph.sampling.noise import Noise
from kineograph.sampling.rollout import Span, spans_of
from kineograph.sampling.schedules import times
from kineograph.sampling.settings import Sampling
from kineograph.sampling.solvers import SOLVERS, evaluations
from kineograph.text.encoder import TextConfig, TextEncoder
from kineograph.text.vocabulary import Vocabulary
from kineograph.video import Chunk

CONTEXT = 9  # frames of a window that the window before has already made
NEAREST = 0.05  # v = (x - z) / (1 - t) is not divided by less than this (arXiv 2511.13720)


@dataclass(frozen=True)
class DiffusionConfig:
    """The three networks and what the model was trained on."""

    words: tuple[str, ...]
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    text_length: int = 32
    fps: float = 8.0

    @property
    def text(self) -> TextConfig:
        return TextConfig(len(Vocabulary(self.words)), self.text_length, self.denoiser.text_width)

    @property
    def window(self) -> int:
        return frames_of(self.denoiser.grid[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.denoiser.grid[1] * SPACE_STRIDE, self.denoiser.grid[2] * SPACE_STRIDE


class DiffusionNetworks(nn.Module):
    """What is trained and saved: tokenizer, caption encoder, denoiser."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = Tokenizer(config.tokenizer)
        self.text = TextEncoder(config.text)
        self.denoiser = Denoiser(config.denoiser)

    def velocity(
        self, z: Tensor, time: Tensor, caption: Tensor, canvas: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The predicted clean latents and the velocity that leads there; `caption` is encoded text."""
        clean = self.denoiser(z, time, caption, canvas).float()
        return clean, (clean - z) / (1 - time).clamp(min=NEAREST)[:, :, None, None, None]


# Canvas to latent grid


def fold_canvas(frames: Tensor, known: Tensor) -> Tensor:
    """Masked pixels and mask on the latent grid, without loss.

    frames (B, 1 + 4k, 3, H, W) in [-1, 1], known (B, 1 + 4k, H, W) bool -> (B, 1 + k, h, w, 4096).
    """
    mask = known[:, :, None].to(frames.dtype)
    pixels = torch.cat([frames * mask, mask], dim=2)
    empty = torch.zeros_like(pixels[:, : TIME_STRIDE - 1])
    return rearrange(
        torch.cat([empty, pixels], dim=1),
        "b (t r) c (h p) (w q) -> b t h w (r c p q)",
        r=TIME_STRIDE,
        p=SPACE_STRIDE,
        q=SPACE_STRIDE,
    )


def clean_groups(known: Tensor) -> Tensor:
    """Which latent frames are known with all of their past: (B, 1 + 4k, H, W) bool -> (B, 1 + k) bool."""
    past_known = known.flatten(2).all(dim=2).int().cumprod(dim=1).bool()
    return past_known[:, ::TIME_STRIDE]


def partly_known(known: Tensor, clean: Tensor) -> Tensor:
    """What is known outside of the clean groups."""
    groups = clean.repeat_interleave(TIME_STRIDE, dim=1)[:, TIME_STRIDE - 1 :]
    return known & ~groups[:, :, None, None]


# The loss


@dataclass(frozen=True)
class FlowLoss:
    """Shares of a batch: rows with one noise level, with independent ones, with a clean beginning.

    The first are plain text to video. Rows with a canvas are added by the data. `drop` of the captions are
    left out for guidance; times are logit-normal around `location` (arXiv 2403.03206).
    """

    text: float = 0.62
    independent: float = 0.1
    drop: float = 0.1
    location: float = -0.4


class FlowObjective:
    """Velocity matching with a network that predicts the clean latents (arXiv 2511.13720)."""

    def __init__(self, networks: DiffusionNetworks, config: FlowLoss | None = None) -> None:
        self.networks = networks
        self.config = config or FlowLoss()

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        moved = [*self.networks.denoiser.named_parameters(), *self.networks.text.named_parameters()]
        return [(name, parameter) for name, parameter in moved if parameter.requires_grad]

    def loss(self, batch: Mapping[str, Tensor], draw: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """`batch` holds latents (B, t, C, h, w) and caption numbers (B, L); the last rows may have frames."""
        clean_latents = batch["latents"].float()
        time, canvas = self._levels(clean_latents.shape[:2], batch.get("frames"), draw)
        time = time.to(clean_latents)
        keep = torch.rand(len(time), 1, generator=draw).to(time) >= self.config.drop
        caption = self.networks.text(batch["caption"] * keep)
        noise = torch.randn(clean_latents.shape, generator=draw).to(clean_latents)
        level = time[:, :, None, None, None]
        z = level * clean_latents + (1 - level) * noise
        made, _ = self.networks.velocity(z, time, caption, canvas)
        weight = (time < 1) / (1 - time).clamp(min=NEAREST) ** 2
        error = (made - clean_latents).square().mean(dim=(2, 3, 4))
        loss = (weight * error).sum() / (time < 1).sum()
        return loss, {"error": (error * (time < 1)).sum().detach() / (time < 1).sum()}

    def _levels(
        self, shape: torch.Size, frames: Tensor | None, draw: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Times (B, t), 1 where clean, and the folded canvas of the last rows."""
        rows, groups = shape
        time = torch.sigmoid(torch.randn(shape, generator=draw) + self.config.location)
        without_canvas = rows - (0 if frames is None else len(frames))
        text, independent = (round(share * rows) for share in (self.config.text, self.config.independent))
        together = torch.ones(rows, dtype=torch.bool)
        together[text : min(text + independent, without_canvas)] = False
        time = torch.where(together[:, None], time[:, :1], time)
        prefix = torch.randint(1, groups, (rows, 1), generator=draw)
        prefix[: min(text + independent, without_canvas)] = 0
        if frames is None:
            return self._cleaned(time, torch.arange(groups) < prefix), None
        known = draw_known(frames.shape[:4], draw)
        clean = torch.arange(groups) < prefix
        clean[without_canvas:] = clean_groups(known)
        folded = fold_canvas(to_signal(frames), partly_known(known, clean[without_canvas:]).to(frames.device))
        return self._cleaned(time, clean), folded

    @staticmethod
    def _cleaned(time: Tensor, clean: Tensor) -> Tensor:
        return torch.where(clean, 1.0, time)


HOLE, MOVING_HOLE, ISLAND = 4, 5, 6  # kinds of random canvases in which a box matters


def draw_known(shape: Sequence[int], draw: torch.Generator) -> Tensor:
    """Random canvases to train on, (B, T, H, W) bool: keyframes, future, every n-th frame, all but a box, all
    but a box that moves, nothing but a box."""
    rows, length = shape[:2]
    kind = torch.randint(0, 7, (rows, 1), generator=draw)
    at = torch.arange(length)
    first = torch.rand(rows, 1, generator=draw) < 0.7
    keys = torch.rand(rows, length, generator=draw) < 0.1
    future = at >= torch.randint(1, length, (rows, 1), generator=draw)
    every = at % (2 ** torch.randint(1, 4, (rows, 1), generator=draw)) == 0
    last = (at == length - 1) | ((at == 0) & first)
    whole = torch.ones_like(keys)
    frames_known = torch.stack([last, keys | ((at == 0) & first), future, every, whole, whole, whole])
    known = frames_known[kind[:, 0], torch.arange(rows)][:, :, None, None]
    kind = kind[:, :, None, None]
    inside = _draw_boxes(shape, kind == MOVING_HOLE, kind == ISLAND, draw)
    return known & torch.where(kind == ISLAND, inside, ~inside | (kind < HOLE))


def _draw_boxes(shape: Sequence[int], moving: Tensor, large: Tensor, draw: torch.Generator) -> Tensor:
    """A random box in each row, (B, T, H, W) bool, 1 inside. Large ones reach from edge to edge in height or
    in width, two of three times, as footage of another shape does."""
    rows, length, height, width = shape
    low, extent, drift = torch.rand(3, rows, 2, 1, 1, 1, generator=draw).unbind(0)
    spans = torch.randint(0, 3, (rows, 1, 1, 1), generator=draw)
    begin = low * 0.7 + moving[:, None] * (drift - 0.5) * torch.linspace(0, 1, length)[:, None, None]
    begin = torch.where(large[:, None], low * 0.4, begin)
    end = begin + torch.where(large[:, None], 0.3 + 0.4 * extent, 0.2 + 0.5 * extent)
    y, x = torch.arange(height)[:, None] / height, torch.arange(width) / width
    in_rows, in_columns = ((p >= begin[:, i]) & (p < end[:, i]) for i, p in enumerate((y, x)))
    return (in_rows | (large & (spans == 0))) & (in_columns | (large & (spans == 1)))


# The model


@dataclass(frozen=True, eq=False)
class Conditions:
    """Encoded captions, P to each of B clips, what no prompt is, and the canvases, read a window at a time.

    captions (P, B, L, D); stops (P, B), the frame at which a clip has come to a prompt; nothing (B, L, D).
    """

    captions: Tensor
    stops: Tensor
    nothing: Tensor
    canvases: Sequence[Canvas]

    def shares(self, start: int, groups: int) -> Tensor:
        """How much each prompt counts in the latent frames of the window that begins at `start`: (P, B, t),
        adding up to 1."""
        last_frames = start + TIME_STRIDE * torch.arange(groups)
        return travel(self.stops, last_frames.to(self.stops))


def travel(stops: Tensor, frames: Tensor) -> Tensor:
    """Linear interpolation between stops (P, B), which grow, at frames (t,): the weight (P, B, t) of each.

    Before the first and after the last that one counts alone, and so does the first of equal stops.
    """
    gap = (stops[1:] - stops[:-1])[..., None]
    on_the_way = ((frames - stops[:-1, :, None]) / gap.clamp(min=1e-6)).clamp(0, 1)  # from each to the next
    passed = torch.where(gap > 0, on_the_way, 0.0)
    edge = passed.new_zeros(1, stops.shape[1], len(frames))
    return torch.cat([edge + 1, passed]) - torch.cat([passed, edge])


@dataclass(frozen=True, eq=False)
class Latents:
    """One window (B, t, C, h, w), of which the frames of `span` are wanted at this height and width."""

    values: Tensor
    span: Span
    height: int
    width: int


def _mixed(shares: Tensor, values: Sequence[Tensor]) -> Tensor:
    """The sum of values (B, t, C, h, w), each times its share (B, t, 1, 1, 1)."""
    return torch.stack([share * value for share, value in zip(shares, values, strict=True)]).sum(dim=0)


class Diffusion:
    """The family's model: see `kineograph.models.family.Model`."""

    def __init__(self, networks: DiffusionNetworks, spec: Spec, dtype: torch.dtype | None = None) -> None:
        self.networks = networks.eval()
        self.spec = spec
        self.dtype = dtype
        self.device = next(networks.parameters()).device
        self.vocabulary = Vocabulary(networks.config.words)

    def condition(self, canvases: Sequence[Canvas]) -> Conditions:
        """Encode the prompts."""
        ways = [((canvas.prompt, 0.0), *canvas.guides.get("travel", ())) for canvas in canvases]
        longest = max(map(len, ways))
        even = list(zip(*[(*way, *[way[-1]] * (longest - len(way))) for way in ways], strict=True))
        captions = torch.stack([self._encoded([prompt for prompt, _ in stop]) for stop in even])
        stops = torch.tensor([[frame for _, frame in stop] for stop in even], device=self.device)
        return Conditions(captions, stops, self._encoded([""] * len(canvases)), canvases)

    @torch.inference_mode()
    def sample(
        self, conditions: Conditions, noises: Sequence[Noise], sampling: Sampling
    ) -> Iterator[Step | Latents]:
        """Window after window; those that are wholly known cost no network evaluation."""
        first = conditions.canvases[0]
        backwards = len(first) > self.spec.window and first.task == "precede"  # as of all in the batch
        spans = spans_of(len(first), self.spec.window, CONTEXT, backwards=backwards)
        total = self._unknown(conditions.canvases, spans) * evaluations(sampling.solver, sampling.steps)
        done = 0
        made: Tensor | None = None
        held: list[Latents] = []
        for number, span in enumerate(spans):
            frames, known = self._window(conditions.canvases, span.start)
            if made is not None:
                shared = slice(-CONTEXT, None) if backwards else slice(CONTEXT)
                frames[:, shared], known[:, shared] = made, True
            solved = self._solve(
                conditions, span.start, (frames, known), self._drawn(noises, number), sampling
            )
            for evaluated, state in solved:
                values = state
                if evaluated:
                    yield Step(done + evaluated, total)
            done += evaluated
            held.append(Latents(values, span, first.height, first.width))
            if not backwards:
                yield held.pop()
            if number + 1 < len(spans):
                made = torch.where(known[:, :, None], frames, self._decoded(values))
                made = made[:, :CONTEXT] if backwards else made[:, -CONTEXT:]
        yield from reversed(held)

    @torch.inference_mode()
    def decode(self, latents: Latents) -> list[Chunk]:
        """The frames that the window adds, cropped to what was asked for."""
        span = latents.span
        wanted = slice(span.first - span.start, span.last - span.start)
        frames = to_frames(self._decoded(latents.values)).cpu().numpy()
        shown = frames[:, wanted, : latents.height, : latents.width]
        return [Chunk(np.ascontiguousarray(clip), span.first) for clip in shown]

    @staticmethod
    def _unknown(canvases: Sequence[Canvas], spans: Sequence[Span]) -> int:
        """How many windows add frames that are not wholly known."""
        added = [slice(span.first, span.last) for span in spans]
        return sum(not all(bool(canvas.known[new].all()) for canvas in canvases) for new in added)

    def _window(self, canvases: Sequence[Canvas], start: int) -> tuple[Tensor, Tensor]:
        """Frames (B, T, 3, H, W) in [-1, 1] and mask (B, T, H, W) of a window."""
        padded = [self._padded(canvas, start) for canvas in canvases]
        frames, known = (
            torch.from_numpy(np.stack(values)).to(self.device) for values in zip(*padded, strict=True)
        )
        return to_signal(frames), known

    def _solve(
        self,
        conditions: Conditions,
        begin: int,
        window: tuple[Tensor, Tensor],
        noise: Tensor,
        sampling: Sampling,
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (evaluations done, latents) after every step of the window of frames and mask at `begin`."""
        frames, known = window
        clean = clean_groups(known)
        held = clean[:, :, None, None, None]
        with autocast(self.device, self.dtype):
            start = torch.where(held, self._encode(frames, clean), noise)
        if bool(clean.all()):
            yield 0, start
            return
        seen = partly_known(known, clean)
        canvas = fold_canvas(frames, seen) if bool(seen.any()) else None
        count = 0

        def slope(z: Tensor, time: float, *captions: Tensor) -> tuple[Tensor, ...]:
            nonlocal count
            count += 1
            several = len(captions)
            levels = torch.where(clean, 1.0, time).repeat(several, 1)
            again = (several, 1, 1, 1, 1)
            with autocast(self.device, self.dtype):
                _, v = self.networks.velocity(
                    z.repeat(again),
                    levels,
                    torch.cat(captions),
                    None if canvas is None else canvas.repeat(again),
                )
            return torch.where(held.repeat(again), 0.0, v).chunk(several)

        shares = conditions.shares(begin, clean.shape[1])
        counts = shares.flatten(1).any(dim=1)
        shares, captions = shares[counts][..., None, None, None], conditions.captions[counts]

        def prompted(z: Tensor, time: float) -> Tensor:
            return _mixed(shares, slope(z, time, *captions))

        def both(z: Tensor, time: float) -> tuple[Tensor, Tensor]:
            *with_prompt, without = slope(z, time, *captions, conditions.nothing)
            return _mixed(shares, with_prompt), without

        velocity = guided(prompted, both, sampling.guidance, sampling.interval)
        for z in SOLVERS[sampling.solver](velocity, start, times(sampling.steps)):
            yield count, z

    def _encode(self, frames: Tensor, clean: Tensor) -> Tensor:
        """Latents of the window; only those of clean groups mean anything, and without any none is made."""
        if not bool(clean.any()):
            return torch.zeros(1, device=self.device)
        return self.networks.tokenizer.encode(frames).float()

    def _decoded(self, values: Tensor) -> Tensor:
        with autocast(self.device, self.dtype):
            return self.networks.tokenizer.decode(values).float()

    def _drawn(self, noises: Sequence[Noise], window: int) -> Tensor:
        config = self.networks.config.denoiser
        groups, *grid = config.grid
        shape = (config.channels, *grid)
        clips = [torch.stack([n.normal(f"window {window}", g, shape) for g in range(groups)]) for n in noises]
        return torch.stack(clips).to(self.device)

    def _encoded(self, prompts: list[str]) -> Tensor:
        length = self.networks.config.text_length
        numbers = torch.tensor([self.vocabulary.encode(p, length) for p in prompts], device=self.device)
        with torch.inference_mode(), autocast(self.device, self.dtype):
            encoded: Tensor = self.networks.text(numbers)
        return encoded.float()

    def _padded(self, canvas: Canvas, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames and mask of a window at the native size; edges are continued, frames beyond are unknown."""
        stop = start + self.spec.window
        inside = slice(max(0, start), stop)
        around = (max(0, -start), max(0, stop - len(canvas)))
        beside = ((0, self.spec.height - canvas.height), (0, self.spec.width - canvas.width))
        frames = np.pad(canvas.frames[inside], ((0, 0), *beside, (0, 0)), mode="edge")
        known = np.pad(canvas.known[inside], ((0, 0), *beside), mode="edge")
        return np.pad(frames, (around, *[(0, 0)] * 3)), np.pad(known, (around, (0, 0), (0, 0)))


# To and from a folder

ABILITIES = frozenset(TASKS) | frozenset(GUIDES)
DEFAULT_SAMPLING = Sampling(steps=24, guidance=3.0, solver="multistep")


def spec_of(name: str, config: DiffusionConfig, sampling: Sampling = DEFAULT_SAMPLING) -> Spec:
    """What the rest of the program needs to know of these networks."""
    height, width = config.size
    return Spec(
        name, "diffusion", ABILITIES, width, height, config.fps, config.window, sampling, config.words
    )


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
    return Diffusion(networks.to(device), spec, dtype)
