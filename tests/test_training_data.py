"""Training data: shards and the order in which batches are drawn from them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kineograph.data import latents, world
from kineograph.data.shards import CAPTIONS, INDEX, FieldBatches, Shards, indices, order, write, writing
from kineograph.errors import DataError
from kineograph.text.vocabulary import Vocabulary
from kineograph.worlds.holdout import training_scenes
from kineograph.worlds.renderer import render


def parts(sizes):
    """Clips numbered through, in parts of the given sizes."""
    start = 0
    for size in sizes:
        numbers = torch.arange(start, start + size)
        frames = numbers[:, None, None, None, None].expand(-1, 2, 3, 3, 3).to(torch.uint8)
        yield {"frames": frames, "number": numbers}, [f"clip {n}" for n in numbers.tolist()]
        start += size


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.floats(0.5, 60))
@settings(max_examples=15, deadline=None)
def test_clips_come_back_whatever_the_shards(tmp_path_factory, sizes, fps):
    shards = write(tmp_path_factory.mktemp("shards"), parts(sizes), fps)
    assert (len(shards), shards.fps) == (sum(sizes), fps)
    assert sorted(shards.fields()) == ["frames", "number"]
    assert shards.captions == [f"clip {n}" for n in range(len(shards))]
    for index in range(len(shards)):
        assert shards.clip(index, "number") == index
        assert shards.clip(index, "frames").unique().tolist() == [index]
    again = list(latents.clips_of(shards, part=3))
    numbers = torch.cat([fields["frames"][:, 0, 0, 0, 0] for fields, _ in again])
    assert numbers.tolist() == list(range(len(shards)))
    assert [text for _, texts in again for text in texts] == shards.captions


def test_half_written_shards_are_no_shards(tmp_path):
    unfinished = writing(tmp_path, parts([2, 3, 4]), 8.0)
    assert [next(unfinished), next(unfinished)] == [2, 5]
    unfinished.close()
    (tmp_path / ".tmpKilled").touch()
    with pytest.raises(DataError, match=r"index\.json is missing"):
        Shards(tmp_path)
    shards = write(tmp_path, parts([4, 1]), 8.0)
    assert shards.captions == [f"clip {n}" for n in range(5)]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fps": "x", "shards": []}', '{"fps": 8, "shards": []}'])
def test_a_damaged_index_is_refused(tmp_path, text):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(DataError, match="make it again"):
        Shards(tmp_path)


def test_a_missing_or_damaged_shard_is_refused(tmp_path):
    write(tmp_path, parts([2]), 8.0)
    (tmp_path / "clips-00000.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match="missing or damaged"):
        Shards(tmp_path).clip(0, "frames")
    (tmp_path / "clips-00000.safetensors").unlink()
    with pytest.raises(DataError, match="missing or damaged"):
        Shards(tmp_path).clip(0, "frames")


@pytest.mark.parametrize("text", ["", '"a"\n', '"a"\n"b"\n"c"\n', '"a"\nb\n', "\xff"])
def test_captions_that_are_damaged_or_not_one_a_clip_are_refused(tmp_path, text):
    write(tmp_path, parts([2]), 8.0)
    (tmp_path / CAPTIONS).write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match="make it again"):
        _ = Shards(tmp_path).captions


# Order

COUNTS, BATCHES, SEEDS = st.integers(1, 40), st.integers(1, 12), st.integers(0, 99)


@given(COUNTS, st.integers(0, 9), SEEDS)
@settings(max_examples=40, deadline=None)
def test_each_epoch_is_a_permutation(count, epoch, seed):
    assert sorted(order(count, epoch, seed).tolist()) == list(range(count))
    assert torch.equal(order(count, epoch, seed), order(count, epoch, seed))


@given(COUNTS, BATCHES, SEEDS)
@settings(max_examples=40, deadline=None)
def test_batches_go_through_epoch_after_epoch_without_a_gap(count, batch, seed):
    steps = math.ceil(3 * count / batch)
    drawn = [index for step in range(steps) for index in indices(count, batch, step, seed)]
    for epoch in range(3):
        assert drawn[epoch * count : (epoch + 1) * count] == order(count, epoch, seed).tolist()


def test_orders_differ_by_epoch_and_seed():
    assert len({tuple(order(30, epoch, seed).tolist()) for epoch in range(3) for seed in range(3)}) == 9


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clips"), parts([3, 4]), 8.0)


def same(one: dict[str, Tensor], other: dict[str, Tensor]):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@given(st.permutations(range(6)))
@settings(max_examples=10, deadline=None)
def test_the_batch_of_a_step_is_the_same_whenever_it_is_asked_for(clips, steps):
    drawn = FieldBatches(clips, ("frames", "number"), 3, seed=1)
    fresh = FieldBatches(Shards(clips.folder), ("frames", "number"), 3, seed=1)
    for step in steps:
        batch = drawn.batch(step)
        assert same(batch, fresh.batch(step))
        assert batch["number"].tolist() == indices(7, 3, step, 1)
        assert torch.equal(batch["frames"][:, 0, 0, 0, 0], batch["number"])


def test_focus_is_on_things_and_closely_around_them():
    ((fields, _),) = world.clips(4, 1, 3, 64)
    rendered = render(training_scenes(4, 1), frames=3, size=64)
    things, focus = rendered.segmentation > 0, fields["focus"].bool()
    assert torch.equal(fields["frames"], rendered.frames)
    assert (focus | ~things).all()
    grown = torch.stack([things.roll((y, x), (2, 3)) for y in (-4, 0, 4) for x in (-4, 0, 4)]).any(dim=0)
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert (focus | ~grown)[inner].all()
    assert focus.sum() < 4 * things.sum()


def test_the_last_rows_of_a_flow_batch_bring_their_frames(clips, tmp_path):
    """Latents of clip n hold n; more clips have latents than frames."""
    made = (({"latents": fields["number"][:, None].half()}, texts) for fields, texts in parts([6, 5]))
    data = latents.FlowBatches(
        write(tmp_path, made, 8.0), clips, Vocabulary(("clip", *"0123456789")), 4, batch=5, canvas=2, seed=0
    )
    for step in (0, 3, 1, 9):
        batch = data.batch(step)
        assert batch["latents"].shape == (5, 1)
        assert torch.equal(batch["frames"][:, 0, 0, 0, 0], batch["latents"][3:, 0].to(torch.uint8))
        assert same(batch, data.batch(step))
