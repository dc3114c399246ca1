"""Contact sheets of what a model in training makes. They draw no random number that the training draws."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

import kineograph
from kineograph.models.family import Model
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import Tokenizer, to_frames, to_signal
from kineograph.provenance.claim import COMPOSITE, GENERATED, Claim
from kineograph.request import Request
from kineograph.video import Video

COLUMNS = 8


class Sheet(Protocol):
    """What a stage can show of itself."""

    def __call__(self, average: nn.Module, path: Path) -> None:
        """Write a sheet of what the averaged weights make.

        Raises:
            ImportError: PyAV, which the door for files needs, is missing.
            OutputError: the sheet can't be written.
        """


@dataclass(frozen=True)
class Reconstructions:
    """Each of a few clips (N, T, H, W, 3) uint8, and below it what the tokenizer leaves of it."""

    clips: Tensor
    captions: Sequence[str]
    fps: float

    def __call__(self, average: nn.Module, path: Path) -> None:
        assert isinstance(average, Tokenizer)
        device = average.latent_mean.device
        with torch.inference_mode(), autocast(device):
            made = to_frames(average.decode(average.encode(to_signal(self.clips.to(device))))).cpu()
        rows = [clip for pair in zip(self.clips, made, strict=True) for clip in pair]
        labels = [label for caption in self.captions for label in (caption, "through the tokenizer")]
        _save([Video(row.numpy(), self.fps) for row in rows], labels, COMPOSITE, path)


@dataclass(frozen=True)
class Samples:
    """A clip for each prompt, by a copy of the networks with the averaged weights; `modelled` makes a model
    of them."""

    networks: nn.Module
    prompts: Sequence[str]
    modelled: Callable[[Any], Model]

    def __call__(self, average: nn.Module, path: Path) -> None:
        from kineograph.generation import generate_batch  # needs PyAV

        networks = copy.deepcopy(self.networks)
        networks.load_state_dict(average.state_dict(), strict=False)
        model = self.modelled(networks)
        videos = generate_batch([Request(prompt, seed=n) for n, prompt in enumerate(self.prompts)], model)
        _save(videos, self.prompts, GENERATED, path)


def _save(videos: Sequence[Video], labels: Sequence[str], source: str, path: Path) -> None:
    from kineograph.provenance import mark  # needs PyAV

    path.parent.mkdir(exist_ok=True)
    claim = Claim(f"kineograph {kineograph.__version__}", source, model="in training")
    mark.save_sheet(videos, labels, COLUMNS, claim, path)
