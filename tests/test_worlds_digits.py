"""Moving digits: read as MNIST keeps them, and on their way as the benchmark says."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.errors import DataError
from kineograph.worlds.digits import SIDE, STEP, moving_digits, paths, read_digits

IMAGES = np.random.default_rng(0).integers(1, 256, (5, SIDE, SIDE)).astype(np.uint8)


def idx(images=IMAGES, magic=2051):
    return struct.pack(">4I", magic, len(images), SIDE, SIDE) + images.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_digits_are_read_compressed_or_not(tmp_path, pack):
    (tmp_path / "digits").write_bytes(pack(idx()))
    assert np.array_equal(read_digits(tmp_path / "digits"), IMAGES)


DAMAGES = {
    "empty": b"",
    "short": idx()[:-1],
    "labels": idx(magic=2049),
    "half of a gzip file": gzip.compress(idx())[:-100],
    "text": b"pixels" * 100,
}


@pytest.mark.parametrize("content", [None, *DAMAGES.values()], ids=["missing", *DAMAGES])
def test_other_files_are_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "digits").write_bytes(content)
    with pytest.raises(DataError, match=r"digits .*: give MNIST's t10k-images-idx3-ubyte.*\.$"):
        read_digits(tmp_path / "digits")


def test_a_clip_depends_on_the_seed_and_its_number_alone():
    several, fewer = moving_digits(IMAGES, 6, seed=3), moving_digits(IMAGES, 2, seed=3)
    assert several.shape == (6, 20, 64, 64)
    assert np.array_equal(several[:2], fewer)
    assert not np.array_equal(several[0], several[1])
    assert not np.array_equal(fewer, moving_digits(IMAGES, 2, seed=4))


def test_every_frame_shows_a_digit_whole():
    clips = moving_digits(IMAGES, 8, seed=1, digits=1)
    for frame in clips.reshape(-1, 64, 64):
        rows, columns = (np.flatnonzero(frame.any(axis=axis)) for axis in (1, 0))
        seen = frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert any(np.array_equal(seen, image) for image in IMAGES)


def test_where_digits_overlap_the_brighter_pixel_is_seen():
    pair = moving_digits(IMAGES, 4, seed=2, digits=2, size=SIDE)
    brightest = [np.maximum(one, other) for one in IMAGES for other in IMAGES]
    assert all(any(np.array_equal(clip[0], both) for both in brightest) for clip in pair)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=3, max_size=3), st.integers(1, 60))
@settings(max_examples=100)
def test_digits_go_straight_on_and_turn_back_at_the_edges(begin, frames):
    places = paths(np.array([begin]), frames)[0]
    assert places.min() >= 0
    assert places.max() <= 1
    way = np.array([np.sin(2 * np.pi * begin[2]), np.cos(2 * np.pi * begin[2])]) * STEP
    steps = np.diff(places, axis=0)
    inside = (places[:-1] > 0) & (places[:-1] < 1) & (places[1:] > 0) & (places[1:] < 1)
    assert np.allclose(np.abs(steps)[inside], np.broadcast_to(np.abs(way), steps.shape)[inside])
    assert np.all(np.abs(steps) <= np.abs(way) + 1e-9)
