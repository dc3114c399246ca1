"""The way: what is made depends on the request alone, and what can't be made is refused before any work."""

import os

import numpy as np
import pytest
from plain_model import PlainModel

from kineograph import catalog
from kineograph.canvas import GUIDES, TASKS, continue_canvas
from kineograph.errors import AbilityError, MediaError, RequestError
from kineograph.generation import generate, generate_batch, generate_video
from kineograph.guiding import notes_on
from kineograph.models.family import Step
from kineograph.request import Keyframe, Request, Walk, Waypoint
from kineograph.video import Chunk, Video

model = PlainModel()


def frames_of(request):
    chunks = [item for item in generate(request, model) if isinstance(item, Chunk)]
    assert [chunk.start for chunk in chunks] == list(np.cumsum([0, *(len(c.frames) for c in chunks[:-1])]))
    return np.concatenate([chunk.frames for chunk in chunks])


def test_progress_then_all_frames():
    items = list(generate(Request("a ball", frames=11), model))
    steps = [item for item in items if isinstance(item, Step)]
    assert steps == [Step(done, 4) for done in (1, 2, 3, 4)]
    assert sum(len(item.frames) for item in items if isinstance(item, Chunk)) == 11


def test_the_same_request_makes_the_same_clip():
    request = Request("a ball", seed=5)
    np.testing.assert_array_equal(frames_of(request), frames_of(request))
    assert (frames_of(request) != frames_of(Request("a ball", seed=6))).any()


def test_a_clip_does_not_depend_on_its_batch():
    requests = [Request("a ball", seed=seed) for seed in (1, 2, 3)]
    for request, video in zip(requests, generate_batch(requests, model), strict=True):
        np.testing.assert_array_equal(video.frames, frames_of(request))
        assert video.fps == model.spec.fps


def test_a_batch_may_be_empty():
    assert generate_batch([], model) == []


@pytest.mark.parametrize("other", [{"frames": 5}, {"size": (32, 32)}, {"fps": 4}, {"steps": 2}])
def test_a_batch_must_be_alike(other):
    with pytest.raises(RequestError, match="batch"):
        generate_batch([Request("a ball"), Request("a ball", **other)], model)


def test_the_request_overrides_the_models_settings():
    few = list(generate(Request("a ball", steps=2), model))
    assert max(item.done for item in few if isinstance(item, Step)) == 2
    assert (frames_of(Request("a ball", guidance=8.0)) != frames_of(Request("a ball"))).any()


@pytest.mark.parametrize(
    ("task", "fields"),
    [
        ("text", {}),
        ("image", {"images": (Keyframe("none.png"),)}),
        ("keyframes", {"images": (Keyframe("none.png", 0.5),)}),
        ("prediction", {"video": "none.mp4", "extend": 1}),
        ("precede", {"video": "none.mp4", "extend": -1}),
        ("interpolation", {"video": "none.mp4", "interpolate": 2}),
        ("inpainting", {"video": "none.mp4", "mask": "0,0,1,1"}),
        ("outpainting", {"video": "none.mp4", "outpaint": True}),
        ("walk", {"walk": Walk("a red ball", 1, 0.5)}),
        ("edit", {"video": "none.mp4", "edit": 0.5}),
        ("removal", {"video": "none.mp4", "remove": True}),
        ("insertion", {"video": "none.mp4", "insert": True}),
        ("style", {"video": "none.mp4", "style": ("none.png",)}),
        ("tracks", {"tracks": ("0,0",)}),
        ("boxes", {"boxes": ("0,0,1,1",)}),
        ("pose", {"pose": "none.json"}),
        ("depth", {"depth": "none.png"}),
        ("edges", {"edges": "none.png"}),
        ("camera", {"camera": "0,1"}),
        ("actions", {"actions": "left"}),
        ("travel", {"then": (Waypoint("a red ball", 1.0),)}),
    ],
)
def test_refused_before_anything_is_read(task, fields):
    assert task in {*TASKS, *GUIDES}
    with pytest.raises(AbilityError, match=task):
        generate(Request("a ball", **fields), model.without(task))


@pytest.mark.parametrize(("at", "noted"), [((0.5, 2.0), True), ((1.0, 2.0), True), ((1.5, 2.0), False)])
def test_prompts_of_what_is_known_already_are_noted(at, noted):
    footage = Video(np.zeros((8, 16, 16, 3), np.uint8), 8.0)
    longer = continue_canvas("a ball", footage, 8)
    request = Request("a ball", then=tuple(Waypoint("a red ball", seconds) for seconds in at))
    notes = notes_on(request, longer)
    assert len(notes) == noted
    assert all(f"before {at[0]:g} s plays no part" in note for note in notes)


def test_closing_cancels():
    items = generate(Request("a ball"), model)
    assert next(items) == Step(1, 4)
    items.close()
    assert list(items) == []


def test_one_line_makes_the_same_clip(monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "load", lambda name: model)
    video = generate_video("a ball", seed=5, frames=6)
    np.testing.assert_array_equal(video.frames, frames_of(Request("a ball", seed=5, frames=6)))
    assert video.save(tmp_path / "ball.mp4").frames == 6
    assert video.claim.seed == 5


def test_a_pose_is_not_awaited_from_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pose.json")
    with pytest.raises(MediaError, match="pipe"):
        generate(Request("a ball", pose=str(tmp_path / "pose.json")), model)
