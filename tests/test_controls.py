"""Paths, boxes, poses and actions, from text to numbers."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kineograph.controls import ACTIONS, JOINTS, SUCH, actions_of, path_of, poses_of
from kineograph.errors import RequestError
from kineograph.guiding import along

points = st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 2), min_size=1, max_size=6)


@given(points)
def test_a_path_is_read_as_it_was_written(path):
    text = " ".join(f"{x:.6f},{y:.6f}" for x, y in path)
    np.testing.assert_allclose(path_of("tracks", text), path, atol=1e-6)


@given(points, st.integers(2, 40))
def test_a_path_begins_and_ends_at_its_ends_and_stays_between_its_points(path, frames):
    written = np.array(path, np.float32)
    found = along(written, frames)
    assert found.shape == (frames, 2)
    np.testing.assert_allclose(found[[0, -1]], written[[0, -1]], atol=1e-6)
    assert (found >= written.min(axis=0) - 1e-6).all()
    assert (found <= written.max(axis=0) + 1e-6).all()


@given(points)
def test_at_as_many_frames_as_points_a_path_is_its_points(path):
    written = np.array(path, np.float32)
    np.testing.assert_allclose(along(written, len(written)), written, atol=1e-6)


def test_a_thing_may_have_no_path():
    assert path_of("tracks", "free") == path_of("boxes", "free") == []
    assert np.isnan(along(np.empty((0, 4), np.float32), 5)).all()


@pytest.mark.parametrize("name", SUCH)
@pytest.mark.parametrize("text", ["", "0", "a,b", "0.1;0.2", "1e9,0", "nan,nan", "0.1,0.2,", "0,0 9,9", 7])
def test_what_is_no_path_is_refused_with_the_way_to_write_it(name, text):
    with pytest.raises(RequestError, match=name):
        path_of(name, text)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 9)), min_size=1, max_size=5))
def test_actions_count_as_often_as_they_say(rows):
    text = " ".join(f"{name}*{times}" if times > 1 else name for name, times in rows)
    assert actions_of(text) == tuple(name for name, times in rows for _ in range(times))


@pytest.mark.parametrize(
    "text", ["", "fly", "left*", "left*-1", "left*0", "left*2.5", "left*99999", "left*9999 " * 10**5, None]
)
def test_what_is_no_action_is_refused(text):
    with pytest.raises(RequestError):
        actions_of(text)


HUGE = json.dumps([[[10**400, 0]] * JOINTS])


def test_poses_are_read_as_they_were_written():
    poses = np.random.default_rng(0).random((3, JOINTS, 2)).round(3)
    np.testing.assert_allclose(poses_of(json.dumps(poses.tolist())), poses, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "[[[0, 0]]]", "[[0, 1]]", json.dumps([[[9, 9]] * JOINTS]), "[" * 10_000, "NaN", HUGE],
)
def test_what_is_no_pose_is_refused_in_one_sentence(text):
    with pytest.raises(RequestError) as caught:
        poses_of(text)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
