"""The Fréchet distance: known values, and that it rises where clips get worse."""

from __future__ import annotations

import numpy as np
import pytest

from kineograph.evaluation.frechet import features, fidelity, frechet
from kineograph.models.family import Spec
from kineograph.sampling.settings import Sampling
from kineograph.worlds.holdout import training_scenes
from kineograph.worlds.renderer import render

SPEC = Spec("any", "any", frozenset(), 64, 64, 8.0, 9, Sampling(1, 1.0, "euler"), ())
CLIPS = 48


def normal(mean: list[float], deviations: list[float], count: int = 200_000) -> np.ndarray:
    rng = np.random.default_rng(len(mean))
    points = rng.standard_normal((count, len(mean)))
    return points * deviations + mean


def test_between_normal_sets_it_is_what_the_formula_says():
    first, second = normal([0.0, 0.0], [1.0, 2.0]), normal([3.0, 4.0], [2.0, 2.0])
    assert frechet(first, second) == pytest.approx(25 + 1, rel=0.01)


def test_it_is_symmetric_and_zero_to_itself():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((300, 8)), 2 * rng.standard_normal((300, 8))
    assert frechet(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet(first, second) == pytest.approx(frechet(second, first))


def test_it_does_not_need_more_points_than_features():
    rng = np.random.default_rng(0)
    assert np.isfinite(frechet(rng.standard_normal((4, 16)), rng.standard_normal((4, 16))))


def test_features_of_a_clip_do_not_depend_on_the_others():
    clips = render(training_scenes(20, 3), 9, 64, truth=False).frames.numpy()
    alone = np.concatenate([features(clip[None]) for clip in clips])
    assert features(clips) == pytest.approx(alone, rel=1e-4, abs=1e-6)


def test_it_rises_for_shuffled_and_for_held_frames_and_for_flat_clips():
    scenes, others = training_scenes(CLIPS, 1), training_scenes(CLIPS, 2)
    flat = features(np.full((CLIPS, 9, 64, 64, 3), 127, np.uint8))
    work = fidelity(flat, scenes, others, SPEC)
    done = 0
    while True:
        try:
            done += next(work)
        except StopIteration as end:
            found = end.value
            break
    assert done == 2 * CLIPS
    assert found.clips == CLIPS
    assert found.floor * 2 < found.shuffled < found.model
    assert found.floor * 2 < found.frozen < found.model
