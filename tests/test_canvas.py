"""Canvases: what is known stays as it is, and each task knows what its name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.canvas import (
    TASKS,
    Source,
    continue_canvas,
    edit_canvas,
    inpainting_canvas,
    interpolation_canvas,
    keyframes_canvas,
    outpainting_canvas,
    precede_canvas,
    text_canvas,
)
from kineograph.video import Chunk, Video


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def footage(seed: int, frames: int) -> Video:
    return Video(noise(seed, frames, 16, 24, 3), 8.0)


def canvases(seed: int, frames: int, n: int) -> dict:
    video = footage(seed, frames)
    fill = noise(seed + 1, frames, 16, 24) < 99
    return {
        "text": text_canvas("a", frames=frames, width=24, height=16, fps=8),
        "image": keyframes_canvas("a", {0: video.frames[0]}, frames=frames, fps=8),
        "keyframes": keyframes_canvas("a", {frames - 1: video.frames[0]}, frames=frames, fps=8),
        "prediction": continue_canvas("a", video, n),
        "precede": precede_canvas("a", video, n),
        "interpolation": interpolation_canvas("a", video, n + 1),
        "inpainting": inpainting_canvas("a", video, fill),
        "edit": edit_canvas("a", Source(video.frames, 0.5), 8.0),
        "removal": edit_canvas("a", Source(video.frames), 8.0, "removal"),
        "insertion": edit_canvas("a", Source(video.frames), 8.0, "insertion"),
        "outpainting": outpainting_canvas("a", video, width=24 + 2 * n, height=17),
    }


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 7), st.integers(1, 4))
def test_known_pixels_are_kept_and_the_rest_is_taken(seed, frames, n):
    built = canvases(seed, frames, n)
    assert built.keys() == TASKS.keys()
    for task, canvas in built.items():
        assert canvas.task == task
        made = noise(seed + 2, *canvas.frames.shape)
        cut = seed % len(canvas)
        parts = [Chunk(made[:cut], 0), Chunk(made[cut:], cut)]
        result = np.concatenate([canvas.composite(part).frames for part in parts])
        np.testing.assert_array_equal(result[canvas.known], canvas.frames[canvas.known])
        np.testing.assert_array_equal(result[~canvas.known], made[~canvas.known])
        assert not canvas.frames[~canvas.known].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5))
def test_extension_keeps_the_footage_whole(frames, added):
    video = footage(0, frames)
    after, before = continue_canvas("a", video, added), precede_canvas("a", video, added)
    np.testing.assert_array_equal(after.frames[:frames], video.frames)
    np.testing.assert_array_equal(before.frames[added:], video.frames)
    assert len(after) == len(before) == frames + added
    assert (after.past, before.past) == (frames, 0)
    assert after.known_frames.sum() == before.known_frames.sum() == frames


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(2, 5))
def test_interpolation_spreads_the_footage(frames, factor):
    video = footage(0, frames)
    canvas = interpolation_canvas("a", video, factor)
    np.testing.assert_array_equal(canvas.frames[::factor], video.frames)
    assert canvas.fps == factor * video.fps
    assert canvas.known_frames[-1]
    assert canvas.known_frames.sum() == frames


def test_past_counts_whole_frames():
    video = footage(0, 4)
    fill = np.zeros((4, 16, 24), bool)
    assert inpainting_canvas("a", video, fill).past == 4
    fill[2, 3, 3] = True
    assert inpainting_canvas("a", video, fill).past == 2


def test_a_chunk_must_lie_inside():
    canvas = text_canvas("a", frames=4, width=24, height=16, fps=8)
    with pytest.raises(AssertionError):
        canvas.composite(Chunk(noise(0, 3, 16, 24, 3), 2))
