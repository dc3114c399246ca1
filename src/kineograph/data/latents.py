"""Latents: clips that have been through the tokenizer once, so that training needs no pixels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from kineograph.data.shards import Parts, Shards, indices
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import Tokenizer, to_signal
from kineograph.text.vocabulary import Vocabulary


def clips_of(shards: Shards, part: int = 64) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
    """The clips that already lie in shards, `part` at a time."""
    for start in range(0, len(shards), part):
        chosen = range(start, min(start + part, len(shards)))
        yield (
            {"frames": torch.stack([shards.clip(i, "frames") for i in chosen])},
            [shards.captions[i] for i in chosen],
        )


@torch.inference_mode()
def measure(tokenizer: Tokenizer, shards: Shards, count: int = 256) -> None:
    """Set the tokenizer's mean and deviation of each channel from the first clips."""
    device = tokenizer.latent_mean.device
    frames = torch.stack([shards.clip(i, "frames") for i in range(min(count, len(shards)))])
    parts = torch.split(frames, 16)
    with autocast(device):
        means = [tokenizer.posterior(to_signal(part.to(device)))[0].float() for part in parts]
    raw = torch.cat(means)
    tokenizer.latent_mean.copy_(raw.mean(dim=(0, 1, 3, 4)))
    tokenizer.latent_std.copy_(raw.std(dim=(0, 1, 3, 4)))


@torch.inference_mode()
def encode_parts(tokenizer: Tokenizer, parts: Parts) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
    """Latents (N, t, C, h, w) in half precision for each part's frames."""
    device = tokenizer.latent_mean.device
    for fields, captions in parts:
        with autocast(device):
            split = [tokenizer.encode(to_signal(f.to(device))) for f in torch.split(fields["frames"], 16)]
        yield {"latents": torch.cat(split).to(torch.float16).cpu()}, captions


class FlowBatches:
    """Batches of latents and captions by step; the last `canvas` rows bring their frames for a canvas.

    Clip i of `clips` is clip i of `latents`: only the first ones were kept as frames.
    """

    def __init__(
        self,
        latents: Shards,
        clips: Shards,
        vocabulary: Vocabulary,
        length: int,
        batch: int,
        canvas: int,
        seed: int,
    ) -> None:
        self.clips, self.size, self.canvas, self.seed = clips, batch, canvas, seed
        self.shards, self.vocabulary, self.length = latents, vocabulary, length

    @cached_property
    def _all(self) -> dict[str, Tensor]:
        """In memory once the first batch is asked for: a stage that is done needs none."""
        captions = self.shards.captions
        return {
            "latents": torch.stack([self.shards.clip(i, "latents") for i in range(len(self.shards))]),
            "caption": torch.tensor([self.vocabulary.encode(text, self.length) for text in captions]),
        }

    def batch(self, step: int) -> dict[str, Tensor]:
        plain = indices(len(self.shards), self.size - self.canvas, step, self.seed)
        framed = indices(len(self.clips), self.canvas, step, self.seed + 1) if self.canvas else []
        batch = {name: values[plain + framed] for name, values in self._all.items()}
        if framed:
            batch["frames"] = torch.stack([self.clips.clip(i, "frames") for i in framed])
        return batch
