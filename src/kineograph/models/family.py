"""The contract that every family of models keeps: what it can fill, and how a canvas becomes frames.

Shapes: N clips in the batch, T frames, H x W pixels; t latent frames of h x w cells with C channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from kineograph.canvas import Canvas
from kineograph.sampling.noise import Draws
from kineograph.sampling.settings import Sampling
from kineograph.video import Chunk


@dataclass(frozen=True)
class Spec:
    """What a model is and which canvases it fills; all that the rest of the program knows about it.

    `abilities` are names in `kineograph.canvas.TASKS` and `GUIDES`. `width`, `height` (pixels) and `fps` are
    the native ones; smaller frames are made by padding the canvas and cropping. `window` is the number of
    frames made at once: longer clips are rolled out. `sampling` is the way to sample unless asked otherwise.
    """

    name: str
    family: str
    abilities: frozenset[str]
    width: int
    height: int
    fps: float
    window: int
    sampling: Sampling
    vocabulary: tuple[str, ...]
    weights_hash: str = ""

    def setting(self, steps: int | None = None, guidance: float | None = None) -> Sampling:
        """How to sample, where somebody has given the steps or the guidance."""
        own = self.sampling
        return replace(
            own,
            steps=own.steps if steps is None else steps,
            guidance=own.guidance if guidance is None else guidance,
        )


@dataclass(frozen=True)
class Step:
    """Progress: `done` of `total` network evaluations of this clip."""

    done: int
    total: int


class Model(Protocol):
    """A model of any family. `Conditions` and `Latents` are the family's own types.

    Each method works on a batch, and what it makes for a clip does not depend on the others in the batch.
    """

    @property
    def spec(self) -> Spec: ...

    def at(self, sampling: Sampling) -> Model:
        """The same model with another setting as its own."""
        ...

    def condition(self, canvases: Sequence[Canvas]) -> Any:
        """Encode prompts and known pixels. All canvases have the same length and size."""
        ...

    def sample(self, conditions: Any, noises: Sequence[Draws], sampling: Sampling) -> Iterator[Step | Any]:
        """Yield a `Step` for each network evaluation and the family's latents, a chunk at a time."""
        ...

    def decode(self, latents: Any) -> list[Chunk]:
        """Turn one item of latents into the next chunk of frames, one `Chunk` for each clip."""
        ...

    def play(
        self, canvas: Canvas, noise: Draws, sampling: Sampling, actions: Iterable[str]
    ) -> Iterator[Chunk]:
        """Go on from the canvas's beginning, whose frames come first, with a chunk of one frame for each
        action (`kineograph.controls.ACTIONS`) as it comes. Asked only of models that are able to "actions".
        """
        ...
