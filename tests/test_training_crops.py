"""Crops: around what is seen, alike in all fields, by step, and as many pixels as whole clips have."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.data.crops import WHOLE_EVERY, CropBatches
from kineograph.data.shards import FieldBatches, Shards, indices, write

CLIPS, FRAMES, SIDE, BATCH = 7, 3, 48, 2
BLIND = 3  # the clip in which nothing is in focus
CROPS = (16, 20, 32)


def parts():
    """Frames in which every pixel says where it is and in which clip; two pixels of focus, at other times."""
    draw = torch.Generator().manual_seed(0)
    places = torch.arange(SIDE, dtype=torch.uint8)
    for clip in range(CLIPS):
        frames = torch.full((1, FRAMES, SIDE, SIDE, 3), clip, dtype=torch.uint8)
        frames[..., 0], frames[..., 1] = places[:, None], places
        focus = torch.zeros(1, FRAMES, SIDE, SIDE, dtype=torch.uint8)
        for time in (0, 2) if clip != BLIND else ():
            y, x = torch.randint(SIDE, (2,), generator=draw)
            focus[0, time, y, x] = 1
        yield {"frames": frames, "focus": focus}, [f"clip {clip}"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clips"), parts(), 8.0)


def batches(clips, side, fields=("frames", "focus")):
    return CropBatches(FieldBatches(clips, fields, BATCH, seed=3), side)


def is_whole(step):
    return step % WHOLE_EVERY == WHOLE_EVERY - 1


STEPS = st.integers(0, 50)
CROPPED = STEPS.filter(lambda step: not is_whole(step))


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@given(CROPPED, st.sampled_from(CROPS))
@settings(max_examples=25, deadline=None)
def test_a_crop_is_a_square_of_its_clip_alike_in_all_fields(clips, step, side):
    batch = batches(clips, side).batch(step)
    assert batch["frames"].shape[1:] == (FRAMES, side, side, 3)
    for frames, focus in zip(batch["frames"], batch["focus"], strict=True):
        y, x, clip = frames[0, 0, 0].tolist()
        square = (slice(None), slice(y, y + side), slice(x, x + side))
        assert torch.equal(frames, clips.clip(clip, "frames")[square])
        assert torch.equal(focus, clips.clip(clip, "focus")[square])
        assert bool(focus.any()) == (clip != BLIND)


@given(CROPPED, st.sampled_from(CROPS))
@settings(max_examples=15, deadline=None)
def test_a_step_has_as_many_pixels_as_fit_into_those_of_its_whole_clips(clips, step, side):
    frames = batches(clips, side).batch(step)["frames"]
    count = BATCH * (SIDE * SIDE // side**2)
    assert frames[:, 0, 0, 0, 2].tolist() == indices(CLIPS, count, step, 3)
    if SIDE % side == 0:
        assert frames.numel() == BATCH * clips.clip(0, "frames").numel()


@given(st.permutations(range(6)))
@settings(max_examples=5, deadline=None)
def test_the_batch_of_a_step_is_the_same_whenever_it_is_asked_for(clips, steps):
    drawn, fresh = batches(clips, 16), batches(Shards(clips.folder), 16)
    for step in steps:
        assert same(drawn.batch(step), fresh.batch(step))


@given(STEPS.filter(is_whole), st.sampled_from(CROPS))
@settings(max_examples=10, deadline=None)
def test_every_so_often_a_step_shows_whole_frames(clips, step, side):
    cropped = batches(clips, side)
    assert same(cropped.batch(step), cropped.whole.batch(step))


@pytest.mark.parametrize("side", [SIDE, SIDE + 16])
def test_frames_that_are_no_larger_than_a_crop_stay_whole(clips, side):
    cropped = batches(clips, side)
    assert all(same(cropped.batch(step), cropped.whole.batch(step)) for step in range(WHOLE_EVERY))


def test_without_focus_crops_are_anywhere(clips):
    cropped = batches(clips, 16, fields=("frames",))
    corners = [frames[0, 0, 0, :2] for step in range(0, 60, 3) for frames in cropped.batch(step)["frames"]]
    spread = torch.stack(corners)
    assert spread.amin(dim=0).tolist() == [0, 0]
    assert spread.amax(dim=0).tolist() == [SIDE - 16] * 2
