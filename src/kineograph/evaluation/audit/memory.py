"""Does a model give back its training? Nearest neighbours among what it learnt from, and among as many clips
that it never saw.

Made clips that lie less than half as far from a training clip as nearly all that are held out do are named.
A model that makes new clips is as often nearer to one that it never saw as to one that it learnt from. Clips
are compared as `thumbnails`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kineograph.data.duplicates import NEAR as ALIKE
from kineograph.data.folder import Folder
from kineograph.data.latents import clips_of
from kineograph.data.shards import INDEX, Shards
from kineograph.data.world import clips
from kineograph.errors import RequestError
from kineograph.evaluation.audit.statistics import MARGIN
from kineograph.evaluation.audit.work import Work
from kineograph.evaluation.facts import Facts
from kineograph.evaluation.figures import Figure, Values, share
from kineograph.evaluation.making import fill, text_canvases
from kineograph.evaluation.memorisation import NEAR, Memorisation, Points, memorisation, nearest
from kineograph.evaluation.metrics import thumbnails
from kineograph.evaluation.suite import Progress
from kineograph.models.family import Model, Spec
from kineograph.worlds.world import WORLDS

SEED = 90_003  # of rendered clips that no training uses
EVEN = 0.5  # how often a made clip is nearer to what was learnt than to what was not, if nothing is repeated
NAMED = 20  # copies
PER_READ = 16  # reading, or rendering, as many clips takes about as long as making one

Clips = Iterable[tuple[Mapping[str, Tensor], Sequence[str]]]  # frames (N, T, H, W, 3), and captions


@dataclass(frozen=True)
class Copy:
    """A made clip, by its random seed and prompt, the training clip by its number and caption, and how far
    apart they are, in levels."""

    seed: int
    prompt: str
    training: int
    caption: str
    apart: float


@dataclass(frozen=True)
class Memory:
    """`nearest` compares made clips and those held out by their distance to training. `closer` is the share
    of made clips that are nearer to `equal` training clips than to as many that are held out. `found` clips
    are copies, less than half as far from a training clip as 99 in 100 held out are; some are named."""

    nearest: Memorisation
    equal: int
    closer: Figure
    found: int
    copies: tuple[Copy, ...]

    @property
    def repeats(self) -> bool:
        """Whether more is repeated than chance explains, by MARGIN, with the whole interval. To be closer to
        training says something only of clips that are nearer to it than clips of its kind are anyway: those
        of an unlearnt model lie far from all, and on one side of few."""
        near = self.nearest.ratio.high < 1
        return (near and self.closer.low > EVEN + MARGIN) or self.nearest.nearer.low > NEAR + MARGIN


@dataclass(frozen=True, eq=False)
class Known:
    """Thumbnails (N, D) of clips with their captions."""

    points: Points
    captions: list[str]


@dataclass(frozen=True, eq=False)
class Supply:
    """Clips as they come, and how many there will be, 0 where that is not known."""

    parts: Clips
    count: int = 0


def rendered(facts: Facts, spec: Spec, seed: int) -> Supply:
    """As many clips of the model's world as it learnt from: with the seed of its facts, those themselves."""
    drawn = clips(facts.clips, seed, spec.window, spec.height, WORLDS[facts.world])
    return Supply(drawn, facts.clips)


def own(path: Path, spec: Spec) -> Supply:
    """Clips of somebody's own: the shards in a folder, or what else lies in it, in windows of the model's.

    Raises:
        DataError: there are none.
    """
    if (path / INDEX).exists():
        shards = Shards(path)
        return Supply(clips_of(shards), len(shards))
    return Supply(Folder(path, spec.window, spec.height, spec.fps).parts())


def measure(
    model: Model, training: Supply, held: Supply, count: int, batch: int = 16
) -> Iterator[Progress | Memory]:
    """Make `count` clips from captions of what is held out, and compare; the last item is the `Memory`.

    Args:
        model: one that is able to "text".
        training: what it learnt from.
        held: clips of the same kind that it did not.
        count: how many to make, the i-th with the random seed i.
        batch: clips made at once.

    Raises:
        RequestError: it learnt from most of what is held out.
    """
    work = Work((training.count + held.count) / PER_READ + count)
    learnt = yield from _read("reading training clips", training, model.spec, work)
    unseen = yield from _read("reading clips held out", held, model.spec, work)
    if float(np.median(nearest(unseen.points, learnt.points))) < ALIKE:
        raise RequestError("Most clips held out are among those that it learnt from: hold others out.")
    prompts, made = [unseen.captions[at] for at in _spread(len(unseen.captions), count)], []
    for start in range(0, count, batch):
        canvases = text_canvases(prompts[start : start + batch], model.spec)
        made.append(thumbnails(fill(canvases, model, seed=start).frames))
        yield work.progress("making clips to compare", len(canvases))
    yield compare(Known(np.concatenate(made), prompts), learnt, unseen)


def _read(doing: str, supply: Supply, spec: Spec, work: Work) -> Generator[Progress, None, Known]:
    """Thumbnails of clips of a model's length, or longer ones, of which the beginning counts."""
    points: list[Points] = []
    said: list[str] = []
    for fields, captions in supply.parts:
        points.append(thumbnails(fields["frames"][:, : spec.window].numpy()))
        said += captions
        yield work.progress(doing, len(captions) / PER_READ if supply.count else 0)
    return Known(np.concatenate(points), said)


def compare(made: Known, training: Known, held: Known) -> Memory:
    """What clips that a model made repeat of its training."""
    found = memorisation(made.points, _some(held.points, len(made.points)), training.points)
    equal = min(len(training.points), len(held.points))
    near = [nearest(made.points, _some(known.points, equal)) for known in (training, held)]
    usual = float(np.quantile(nearest(held.points, training.points), NEAR))
    copies = list(_copies(made, training, max(usual / 2, ALIKE)))
    return Memory(
        nearest=found,
        equal=equal,
        closer=share(int((near[0] < near[1]).sum()), len(made.points)),
        found=len(copies),
        copies=tuple(copies[:NAMED]),
    )


def _some(points: Points, count: int) -> Points:
    return points[_spread(len(points), count)]


def _spread(many: int, count: int) -> list[int]:
    """`count` numbers below `many`, evenly from first to last."""
    return [int(at) for at in np.linspace(0, many - 1, count).round()]


def _copies(made: Known, training: Known, below: float) -> Iterator[Copy]:
    apart, which = _nearest(made.points, training.points)
    for seed in np.argsort(apart):
        if apart[seed] < below:
            at = int(which[seed])
            told = made.captions[seed], at, training.captions[at]
            yield Copy(int(seed), *told, round(float(apart[seed]), 3))


def _nearest(points: Points, others: Points) -> tuple[Values, Values]:
    """The distance of each point to the nearest of others, and which that is."""
    apart, which = torch.cdist(torch.from_numpy(points), torch.from_numpy(others)).min(dim=1)
    return apart.double().numpy() / points.shape[1] ** 0.5, which.numpy()
