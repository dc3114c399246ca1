"""Does the model make new clips, or give back those that it was trained on?

For each clip that it makes, the distance to the nearest training clip, beside the same distance of clips of
the same scenes that it never saw. Whatever is learnt by heart lies much nearer than anything unseen does (the
test of nearest neighbours, as in Meehan et al. 2020, arXiv 2004.05675). Clips are compared as `thumbnails`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kineograph.data.world import clips
from kineograph.evaluation.facts import Facts
from kineograph.evaluation.figures import Figure, Values, bootstrap, share
from kineograph.evaluation.metrics import thumbnails
from kineograph.models.family import Spec
from kineograph.worlds.world import WORLDS

Points = NDArray[np.float32]

NEAR = 0.01  # the quantile of the unseen clips' distances below which a clip counts as near


@dataclass(frozen=True)
class Memorisation:
    """Distances are root mean square differences of thumbnails, in levels of 0 to 255.

    `ratio` is the median distance of made clips over that of unseen ones; `nearer` the share of made clips
    nearer to a training clip than 99 in 100 unseen ones are: a model that makes new clips has about 0.01.
    """

    training_clips: int
    made: float
    unseen: float
    threshold: float
    ratio: Figure
    nearer: Figure


def training_points(facts: Facts, spec: Spec) -> Generator[int, None, Points]:
    """Thumbnails of the training clips, drawn again from their seed; yields how many it has just done."""
    points: list[Points] = []
    for fields, captions in clips(facts.clips, facts.seed, spec.window, spec.height, WORLDS[facts.world]):
        points.append(thumbnails(fields["frames"].numpy()))
        yield len(captions)
    return np.concatenate(points)


def memorisation(made: Points, unseen: Points, training: Points) -> Memorisation:
    """Compare thumbnails (N, D) of made clips and (N, D) of unseen ones with (M, D) of training clips."""
    near_made, near_unseen = nearest(made, training), nearest(unseen, training)
    threshold = float(np.quantile(near_unseen, NEAR))
    return Memorisation(
        training_clips=len(training),
        made=float(np.median(near_made)),
        unseen=float(np.median(near_unseen)),
        threshold=threshold,
        ratio=bootstrap(_ratio, np.stack([near_made, near_unseen], axis=1)),
        nearer=share(int((near_made < threshold).sum()), len(near_made)),
    )


def nearest(points: Points, others: Points) -> Values:
    """The distance (N,) of each point (N, D) to the nearest of others (M, D), over the square root of D."""
    apart = torch.cdist(torch.from_numpy(points).double(), torch.from_numpy(others).double())
    return np.asarray((apart.amin(dim=1) / points.shape[1] ** 0.5).numpy())


def _ratio(pairs: Values) -> float:
    made, unseen = np.median(pairs, axis=0)
    return float(made / unseen)
