"""Latents: clips that have been through the tokenizer once, so that training needs no pixels; and what is
known of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor

from kineograph.data import truth
from kineograph.data.balance import Balanced, classes_of
from kineograph.data.shards import Parts, Shards, indices
from kineograph.models.guides import TELL_OF, style_of
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import Tokenizer, to_signal
from kineograph.sampling.noise import Noise
from kineograph.text.vocabulary import Vocabulary
from kineograph.worlds.captions import SETTING, parse, silent_on
from kineograph.worlds.world import World


def clips_of(shards: Shards, part: int = 64) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
    """The clips that already lie in shards, `part` at a time."""
    fields = [field for field in shards.fields() if field != "focus"]
    for start in range(0, len(shards), part):
        chosen = range(start, min(start + part, len(shards)))
        yield (
            {field: torch.stack([shards.clip(i, field) for i in chosen]) for field in fields},
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
    """Latents (N, t, C, h, w) in half precision for each part's frames, and its truth as it is."""
    device = tokenizer.latent_mean.device
    for fields, captions in parts:
        with autocast(device):
            split = [tokenizer.encode(to_signal(f.to(device))) for f in torch.split(fields["frames"], 16)]
        known = {name: values for name, values in fields.items() if name in (*truth.FIELDS, *truth.LOOKS)}
        yield {"latents": torch.cat(split).to(torch.float16).cpu(), **known}, captions


PLAYED_CANVAS = 4
STYLED_ALONE = 0.25  # how often a clip without a partner has a style to tell


class FlowBatches:
    """Batches of latents and captions by step. The last `guided` rows bring the truth about their clips, as
    guides, where the data knows it, and, if they are of a `world`, captions that leave open what those tell;
    the last `canvas` of these their frames, for a canvas; before those come `played` ones, of clips in which
    somebody acts, if there are any; the last of those with a canvas, one in `PLAYED_CANVAS` rounded down, are
    such clips, too. All other rows are drawn in balance by `balance`, see `data.balance`, unless it is "".

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
        guided: int,
        played: int,
        seed: int,
        balance: str = "",
        world: World | None = None,
    ) -> None:
        self.balance, self.world = balance, world
        self.clips, self.size, self.canvas, self.seed = clips, batch, canvas, seed
        self.shards, self.vocabulary, self.length = latents, vocabulary, length
        known = set(truth.FIELDS) <= set(latents.fields())
        self.guided, self.played = (guided, played) if known else (0, 0)

    @cached_property
    def _all(self) -> dict[str, Tensor]:
        """In memory once the first batch is asked for: a stage that is done needs none."""
        fields = ("latents", *(truth.FIELDS if self.guided else ()))
        count = range(len(self.shards))
        stacked = {field: torch.stack([self.shards.clip(i, field) for i in count]) for field in fields}
        return {"caption": self._numbers(self.shards.captions), **stacked}

    def _numbers(self, captions: Sequence[str]) -> Tensor:
        return torch.tensor([self.vocabulary.encode(text, self.length) for text in captions])

    @cached_property
    def _open(self) -> Tensor | None:
        """Captions (N, len(TELL_OF), L) that are silent on what guides can tell, an attribute each."""
        if self.world is None:
            return None
        captions, rng, world = self.shards.captions, random.Random(self.seed), self.world
        partners = torch.arange(len(captions)) + self._all["partner"].long()
        pairs = list(zip(captions, [captions[other] for other in partners.tolist()], strict=True))
        silent = [
            [silent_on(_told_by_guide(name, *pair, world), pair[0], rng, world) for pair in pairs]
            for name in TELL_OF
        ]
        return torch.stack([self._numbers(texts) for texts in silent], dim=1)

    @cached_property
    def _alike(self) -> dict[int, Tensor]:
        """The clips of each manner."""
        manners = self._all["manner"]
        return {manner: torch.nonzero(manners == manner)[:, 0] for manner in set(manners.tolist())}

    @cached_property
    def _acted(self) -> list[int]:
        """The clips in which somebody acts."""
        found: list[int] = torch.nonzero((self._all["actions"] != truth.NOBODY).any(dim=1))[:, 0].tolist()
        return found

    @cached_property
    def _acted_framed(self) -> list[int]:
        """Those of them that were kept as frames."""
        return [clip for clip in self._acted if clip < len(self.clips)]

    @cached_property
    def _classes(self) -> list[int]:
        return classes_of(self.shards, self.balance)

    @cached_property
    def _balanced(self) -> tuple[Balanced, Balanced]:
        """Of all clips, and of those that were kept as frames."""
        return Balanced(self._classes, self.seed), Balanced(self._classes[: len(self.clips)], self.seed + 1)

    def _drawn(self, framed: bool, count: int, step: int) -> list[int]:
        if self.balance:
            return self._balanced[framed].indices(count, step)
        return indices(len(self.clips if framed else self.shards), count, step, self.seed + framed)

    def _framed(self, played: int, step: int) -> list[int]:
        """The rows with a canvas, the last of them of clips in which somebody acts, if there are any."""
        acted = self._acted_framed if played else []
        chosen = [acted[at] for at in indices(len(acted), played, step, self.seed + 3)] if acted else []
        return self._drawn(True, self.canvas - len(chosen), step) + chosen

    def batch(self, step: int) -> dict[str, Tensor]:
        count = self.played if self.played and self._acted else 0
        played = indices(len(self._acted), count, step, self.seed + 2) if count else []
        plain = self._drawn(False, self.size - self.canvas - count, step)
        framed = self._framed(self.canvas // PLAYED_CANVAS if self.played else 0, step) if self.canvas else []
        rows = plain + [self._acted[number] for number in played] + framed
        batch = {name: self._all[name][rows] for name in ("latents", "caption")}
        if framed:
            batch["frames"] = torch.stack([self.clips.clip(i, "frames") for i in framed])
        if self.guided:
            guided = torch.tensor(rows[-self.guided :])
            batch |= self._truth(guided, step)
            if self._open is not None:
                batch["open"] = self._open[guided]
        return batch

    def _truth(self, rows: Tensor, step: int) -> dict[str, Tensor]:
        """Guides of every kind for these clips: the latents of the partner, which has a `source` only where
        there is one, and the style of another clip that looks alike, where the source doesn't tell as much;
        where there is none, seldom: else few would learn to bring a style to a source.
        """
        known = {name: self._all[name][rows] for name in truth.FIELDS}
        partners = rows + known["partner"].long()
        source = self._all["latents"][partners].float()
        alone = partners == rows
        draw = Noise(self.seed).generator("style", step)
        alike = [self._alike[int(manner)] for manner in known["manner"]]
        others = torch.stack([same[torch.randint(len(same), (), generator=draw)] for same in alike])
        style = style_of(self._all["latents"][others])
        unstyled = torch.rand(len(rows), generator=draw) >= STYLED_ALONE
        plain = torch.where(alone, unstyled, self._all["manner"][partners] == known["manner"])
        return {
            **truth.unpack(known),
            "source": source.masked_fill(alone[:, None, None, None, None], torch.nan),
            "style": style.masked_fill(plain[:, None], torch.nan),
        }


def _told_by_guide(name: str, text: str, other: str, world: World) -> tuple[str, ...]:
    """The attributes that a guide tells. Of the setting, a clip to be changed tells what captions of a pair
    say alike; all of it where one speaks of no thing, as pairs differ in one way."""
    if name != "setting":
        return (name,)
    one, two = parse(text, world), parse(other, world)
    if not (one.things and two.things):
        return SETTING
    return tuple(name for name in SETTING if getattr(one, name) == getattr(two, name))
