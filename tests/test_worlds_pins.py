"""The small world stays as it is: a model that was trained on it meets the same scenes, words and pixels."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence

import pytest

from kineograph.worlds.captions import canonical, caption, words
from kineograph.worlds.detectors import Detection, detect
from kineograph.worlds.holdout import held_out_scenes, training_scenes
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import Scene, sample_scenes


def digest(*parts: str | bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
    return whole.hexdigest()[:16]


def plain(scene: Scene) -> str:
    """A scene of the small world in the words that it had before there was another."""
    names = ("kind", "color", "size", "motion", "x", "y", "phase")
    things = [{name: getattr(thing, name) for name in names} for thing in scene.things]
    return json.dumps([things, scene.ground, scene.time, scene.seed])


def read(detection: Detection) -> str:
    seen = [(t.kind, t.color, t.size, t.motion, t.track.round(4).tolist()) for t in detection.things]
    return json.dumps([seen, detection.ground, detection.time])


@pytest.mark.parametrize(
    ("scenes", "expected"),
    [
        (sample_scenes(200, 0), "452fe43fc94e457f"),
        (sample_scenes(100, 5, objects=1), "39abe0b0614ab461"),
        (sample_scenes(100, 6, objects=2), "6ff61e95f59201ed"),
        (training_scenes(200, 7), "b2cb1c67035afcd5"),
        (held_out_scenes(40, 8), "5ebf0a509ee88855"),
    ],
)
def test_scenes_and_captions(scenes: Sequence[Scene], expected: str) -> None:
    rng = random.Random(0)
    written = (plain(scene) + canonical(scene) + caption(scene, rng) for scene in scenes)
    assert digest(*written) == expected


def test_words() -> None:
    assert digest(*words()) == "5531e762d01439ae"


@pytest.mark.parametrize(("size", "expected"), [(64, "726d144e483a36a0"), ((48, 80), "05e203cda9a27e9a")])
def test_pixels(size: int | tuple[int, int], expected: str) -> None:
    rendered = render(sample_scenes(24, 3), frames=9, size=size)
    assert digest(rendered.frames.numpy().tobytes(), rendered.segmentation.numpy().tobytes()) == expected


def test_detections() -> None:
    clips = render(sample_scenes(12, 9), frames=9, size=64, truth=False).frames
    assert digest(*map(read, detect(clips))) == "eae5600071f0b5e8"
