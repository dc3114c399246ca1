"""What is measured of guides: the truth obeys itself, another clip does not, and guides fit their canvas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_models import diffusion_networks

from kineograph.canvas import GUIDES
from kineograph.evaluation.guiding import GROUNDS, captions_without, measure_control, ways_of
from kineograph.evaluation.obedience import MEASURES, asked_of, see
from kineograph.models import diffusion
from kineograph.models.family import Spec
from kineograph.sampling.settings import Sampling
from kineograph.worlds.captions import parse
from kineograph.worlds.world import FULL

SPEC = Spec("any", "any", frozenset(), 64, 64, 8.0, 17, Sampling(1, 1.0, "euler"), ())
CLIPS = 4
grounds = pytest.mark.parametrize("ground", GROUNDS, ids=lambda ground: ground.name)

# What the truth reaches at least, and another clip at most; of distances the other way round.
EXPECTED = {
    ("tracks", "distance of centres, median"): (0.02, 0.1),
    ("tracks", "distance of centres, mean of the seen"): (0.04, 0.1),
    ("tracks", "seen"): (0.9, 1.0),
    ("tracks", "distance to the nearest thing, median"): (0.02, 0.05),
    ("boxes", "overlap of boxes"): (0.75, 0.3),
    ("depth", "overlap of silhouettes"): (0.75, 0.3),
    ("edges", "F-score of outlines"): (0.85, 0.4),
    ("pose", "distance of joints, median"): (0.02, 0.1),
    ("pose", "distance of joints, mean of the seen"): (0.04, 0.1),
    ("pose", "seen"): (0.9, 1.0),
    ("pose", "distance about the shoulder, median"): (0.02, 0.03),
    ("camera", "moves as asked"): (0.75, 0.5),
    ("actions", "correlation of steps"): (0.9, 0.5),
    ("actions", "clips of 0.9 and more"): (0.75, 0.25),
}


@pytest.fixture(scope="module")
def truths():
    """For each ground what is asked of a few scenes, and what their rendered clips show."""
    drawn = {ground.name: asked_of(ground.scenes(CLIPS), SPEC) for ground in GROUNDS}
    return {name: (asked, see(clips, SPEC.fps)) for name, (clips, asked) in drawn.items()}


@grounds
def test_the_truth_obeys_itself_and_another_clip_does_not(ground, truths):
    asked, seen = truths[ground.name]
    for kind in ground.kinds:
        for measure in MEASURES[kind]:
            right, wrong = (
                measure.figure(np.stack(list(map(measure.read, asked, clips)))).value
                for clips in (seen, seen[1:] + seen[:1])
            )
            best, worst = EXPECTED[kind, measure.name]
            sign = -1 if measure.unit == "width" else 1
            assert sign * right >= sign * best, (kind, measure.name, right)
            assert sign * wrong <= sign * worst, (kind, measure.name, wrong)


@grounds
def test_scenes_suit_their_guides_and_captions_leave_those_open(ground):
    scenes = ground.scenes(CLIPS)
    assert ground.scenes(2) == scenes[:2]
    said = [parse(text, ground.world) for text in captions_without(ground.kinds, scenes, ground.world)]
    for scene, description in zip(scenes, said, strict=True):
        kinds = [thing.kind for thing in description.things]
        assert kinds == [thing.kind for thing in scene.things]
        if "pose" in ground.kinds:
            assert "robot" in kinds
        if "camera" in ground.kinds:
            assert scene.camera != "static"
            assert description.camera is None
        else:
            assert description.camera == (scene.camera if ground.world == FULL else None)
            assert all(thing.motion is None for thing in description.things)
        assert bool(scene.actions) == ("actions" in ground.kinds)


def test_guides_have_the_shapes_of_a_canvas(truths):
    shapes = {
        "tracks": (17, 3, 2),
        "boxes": (17, 3, 4),
        "pose": (17, 3, 9, 2),
        "depth": (17, 64, 64),
        "edges": (17, 64, 64),
        "camera": (17, 2),
        "actions": (17,),
    }
    assert shapes.keys() == MEASURES.keys() <= GUIDES.keys()
    for ground in GROUNDS:
        for asked in truths[ground.name][0]:
            told = {kind: asked.guide(kind) for kind in ground.kinds}
            assert {kind: np.shape(values) for kind, values in told.items()} == {
                kind: shapes[kind] for kind in told
            }
            for kind in told.keys() & {"depth", "edges"}:
                assert 0 <= told[kind].min() < told[kind].max() <= 1
            if "tracks" in told:
                things = len(asked.scene.things)
                assert np.isnan(told["tracks"][:, things:]).all()
                assert not np.isnan(told["tracks"][:, :things]).any()
            if "actions" in told:
                assert told["actions"] == ("none", *asked.scene.actions)


def test_what_is_not_seen_is_infinitely_far_and_stands_still(truths):
    asked, seen = truths["things"]
    empty = [type(one)(one.height, one.width, one.view, []) for one in seen]
    found = {
        (kind, measure.name): measure.figure(np.stack(list(map(measure.read, asked, empty)))).value
        for kind in ("tracks", "boxes", "depth", "edges")
        for measure in MEASURES[kind]
    }
    for what in ("distance of centres, median", "distance to the nearest thing, median"):
        assert found.pop(("tracks", what)) == math.inf
    assert math.isnan(found.pop(("tracks", "distance of centres, mean of the seen")))
    assert set(found.values()) == {0.0}


@grounds
def test_a_model_is_measured_with_and_without_guides(ground):
    networks = diffusion_networks()  # makes flat clips, which are soon read
    model = diffusion.Diffusion(networks, diffusion.spec_of("tiny", networks.config, Sampling(1, 1.0)))
    work, done = measure_control(ground, 2, model, batch=2), []
    while True:
        try:
            done.append(next(work))
        except StopIteration as end:
            found = end.value
            break
    assert sum(done) == 2 * ways_of(ground, model.spec.abilities)
    assert [(one.guide, one.measure) for one in found] == [
        (kind, measure.name) for kind in ground.kinds for measure in MEASURES[kind]
    ]
    assert all(one.model.count == one.unguided.count == one.ceiling.count == 2 for one in found)
    assert ways_of(ground, frozenset({"text"})) == 0
