"""Training data: shards and the order in which batches are drawn from them."""

import math
from dataclasses import asdict, replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kineograph.data import latents, truth, world
from kineograph.data.lessons import lessons
from kineograph.data.shards import CAPTIONS, INDEX, FieldBatches, Shards, indices, order, write, writing
from kineograph.errors import DataError
from kineograph.models.guides import TELL_OF
from kineograph.text.vocabulary import RESERVED, Vocabulary
from kineograph.worlds.actions import ACTIONS, play
from kineograph.worlds.captions import SETTING, parse, words
from kineograph.worlds.holdout import is_held_out
from kineograph.worlds.renderer import render
from kineograph.worlds.world import FULL, SMALL


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
    ((fields, _),) = world.clips(16, 1, 3, 64)
    learnt = lessons(16, 1)
    for lesson, frames, focus in zip(learnt, fields["frames"], fields["focus"], strict=True):
        rendered = render([lesson.scene], frames=3, size=64, things=lesson.things)
        things, focus = rendered.segmentation[0] > 0, focus.bool()
        assert torch.equal(frames, rendered.frames[0])
        check_focus(things[None], focus[None])


def check_focus(things, focus):
    assert (focus | ~things).all()
    grown = torch.stack([things.roll((y, x), (2, 3)) for y in (-4, 0, 4) for x in (-4, 0, 4)]).any(dim=0)
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert (focus | ~grown)[inner].all()
    assert focus.sum() < 8 * max(things.sum(), 1)


def test_the_last_rows_of_a_flow_batch_bring_their_frames(clips, tmp_path):
    """Latents of clip n hold n; more clips have latents than frames."""
    made = (({"latents": fields["number"][:, None].half()}, texts) for fields, texts in parts([6, 5]))
    words, rows = Vocabulary(("clip", *"0123456789")), {"batch": 5, "canvas": 2, "guided": 3, "played": 0}
    data = latents.FlowBatches(write(tmp_path, made, 8.0), clips, words, 4, **rows, seed=0)
    for step in (0, 3, 1, 9):
        batch = data.batch(step)
        assert batch["latents"].shape == (5, 1)
        assert torch.equal(batch["frames"][:, 0, 0, 0, 0], batch["latents"][3:, 0].to(torch.uint8))
        assert same(batch, data.batch(step))


# Lessons


def test_a_smaller_count_gives_the_first_lessons():
    assert lessons(20, 3) == lessons(40, 3)[:20]
    assert not any(is_held_out(lesson.scene) for lesson in lessons(40, 3))


def test_partners_stand_side_by_side_and_differ_in_one_thing_alone():
    learnt = lessons(400, 2)
    pairs = [(a, b) for a, b in pairwise(learnt) if a.partner == 1]
    assert len(pairs) == 100
    for one, other in pairs:
        assert other.partner == -1
        assert one.caption != other.caption
        if one.things == other.things:
            assert len(changed(asdict(one.scene), asdict(other.scene))) == 1
        else:
            assert one.scene == other.scene


def changed(one, other):
    """The names of what differs between two scenes; a thing more counts as one."""
    if len(one["things"]) != len(other["things"]):
        return {"things", *(name for name in one if name != "things" and one[name] != other[name])}
    looks = {
        (number, name)
        for number, pair in enumerate(zip(one["things"], other["things"], strict=True))
        for name in pair[0]
        if pair[0][name] != pair[1][name]
    }
    return looks | {name for name in one if name != "things" and one[name] != other[name]}


def test_a_plate_has_no_paths_and_what_is_played_has_actions():
    learnt = lessons(64, 2)
    fields = world.rendered(learnt, 17, 64)
    told = truth.unpack(fields)
    for number, lesson in enumerate(learnt):
        assert bool(told["tracks"][number].isnan().all()) != lesson.things
        assert bool(told["actions"][number].isnan().all()) != bool(lesson.scene.actions)
    played = next(n for n, lesson in enumerate(learnt) if lesson.scene.actions)
    numbers = told["actions"][played].argmax(dim=1)[1:].tolist()
    assert tuple(ACTIONS[number] for number in numbers) == learnt[played].scene.actions


def test_truth_that_was_packed_is_what_was_rendered():
    learnt = [lesson for lesson in lessons(48, 5) if lesson.things]
    shown = render([lesson.scene for lesson in learnt], frames=3, size=64)
    told = truth.unpack(truth.pack(shown, learnt))
    things = shown.tracks.shape[2]
    assert torch.equal(told["tracks"][:, :, :things].nan_to_num(), shown.tracks.nan_to_num())
    cells = shown.edges.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).any(5).any(3)
    assert torch.equal(told["edges"].bool(), cells)
    near = (1 / shown.depth.float()).unflatten(3, (-1, 4)).unflatten(2, (-1, 4)).mean((3, 5))
    assert (told["depth"][:, :, ::2, ::2] - near).abs().max() < 1 / 255


@pytest.mark.parametrize("count", range(1, 18))
def test_every_partner_is_there_and_points_back(count):
    learnt = lessons(count, 3)
    for number, lesson in enumerate(learnt):
        if lesson.partner:
            assert learnt[number + lesson.partner].partner == -lesson.partner


def test_clips_of_the_small_world_look_alike_on_one_ground_at_one_time():
    learnt = lessons(64, 2, SMALL)
    manners = world.rendered(learnt, 3, 32, SMALL)["manner"].tolist()
    looks = [(lesson.scene.ground, lesson.scene.time) for lesson in learnt]
    assert len(set(zip(manners, looks, strict=True))) == len(set(manners)) == len(set(looks)) > 8


def test_half_the_lessons_about_the_small_world_are_in_pairs_and_one_of_eight_is_played():
    learnt = lessons(64, 2, SMALL)
    assert lessons(20, 2, SMALL) == learnt[:20]
    assert sum(lesson.partner != 0 for lesson in learnt) == 32
    assert all(lesson.things for lesson in learnt)
    firsts = [number for number, lesson in enumerate(learnt) if lesson.partner == 1]
    for one, other in ((learnt[number].scene, learnt[number + 1].scene) for number in firsts):
        assert len(changed(asdict(one), asdict(other))) == 1
    assert [bool(lesson.scene.actions) for lesson in learnt] == [number % 8 == 7 for number in range(64)]
    assert {lesson.scene.style for lesson in learnt} == {"plain"}
    assert not any(is_held_out(lesson.scene) for lesson in learnt)


def test_guided_rows_bring_the_latents_of_their_partner_and_their_style_where_that_is_news(tmp_path):
    """Latents of clip n hold n in one channel, and its style in the other. Alone, few have one to tell."""
    learnt = lessons(64, 4)
    fields = {k: v for k, v in world.rendered(learnt, 17, 32).items() if k in truth.FIELDS}
    marks = torch.stack([torch.arange(64), fields["manner"].long()], dim=1).half()
    made = fields | {"latents": marks[:, None, :, None, None].expand(64, 5, 2, 2, 2)}
    shards = write(tmp_path, [(made, [lesson.caption for lesson in learnt])], 8.0)
    data = latents.FlowBatches(
        shards, shards, Vocabulary(("a",)), 4, batch=16, canvas=0, guided=12, played=0, seed=0
    )
    alone = []
    for step in range(6):
        batch = data.batch(step)
        own = batch["latents"][4:, 0, :, 0, 0].long()
        source = batch["source"][:, 0, 0, 0, 0]
        partner = torch.tensor([learnt[number].partner for number in own[:, 0].tolist()])
        assert torch.equal(source.isnan(), partner == 0)
        assert torch.equal(source[partner != 0].long(), (own[:, 0] + partner)[partner != 0])
        styled = ~batch["style"][:, 1].isnan()
        news = fields["manner"][own[:, 0] + partner] != own[:, 1]
        assert torch.equal(styled[partner != 0], news[partner != 0])
        assert torch.equal(batch["style"][styled, 1].long(), own[styled, 1])
        alone += styled[partner == 0].tolist()
        first, again = ({k: v.nan_to_num() for k, v in data.batch(step).items()} for _ in range(2))
        assert same(first, again)
    assert 0 < sum(alone) < len(alone) / 2


def test_guided_rows_bring_captions_that_leave_open_what_guides_tell(tmp_path):
    learnt, said = lessons(32, 4), words(FULL)
    assert any(not lesson.things for lesson in learnt)
    fields = {k: v for k, v in world.rendered(learnt, 17, 32).items() if k in truth.FIELDS}
    numbers = torch.arange(32).half()[:, None, None, None, None]
    made = fields | {"latents": numbers.expand(32, 5, 2, 2, 2)}
    shards = write(tmp_path, [(made, [lesson.caption for lesson in learnt])], 8.0)
    rows = {"batch": 32, "canvas": 0, "guided": 30, "played": 0}
    data = latents.FlowBatches(shards, shards, Vocabulary(said), 44, **rows, seed=0, world=FULL)
    batch = data.batch(0)
    assert "open" not in latents.FlowBatches(shards, shards, Vocabulary(said), 44, **rows, seed=0).batch(0)
    assert batch["open"].shape == (30, len(TELL_OF), 44)
    shown = batch["latents"][2:, 0, 0, 0, 0].long().tolist()
    for number, own, several in zip(shown, batch["caption"][2:], batch["open"], strict=True):
        partner = parse(learnt[number + learnt[number].partner].caption, FULL)
        whole, *silent = (
            parse(" ".join(said[n - RESERVED] for n in numbers if n), FULL) for numbers in (own, *several)
        )
        for name, left in zip(TELL_OF, silent, strict=True):
            if name == "setting":
                plate = not (whole.things and partner.things)
                alike = [a for a in SETTING if plate or getattr(whole, a) == getattr(partner, a)]
                assert left == replace(whole, **dict.fromkeys(alike))
            elif name == "motion":
                assert left.things == tuple(replace(thing, motion=None) for thing in whole.things)
            else:
                assert left == replace(whole, **{name: None})


def test_rows_that_are_played_come_last_of_those_without_frames(tmp_path):
    learnt = lessons(64, 4)
    fields = {k: v for k, v in world.rendered(learnt, 17, 32).items() if k in truth.FIELDS}
    numbers = torch.arange(64).half()[:, None, None, None, None]
    made = fields | {"latents": numbers.expand(64, 5, 2, 2, 2)}
    shards = write(tmp_path, [(made, [lesson.caption for lesson in learnt])], 8.0)
    rows = {"batch": 16, "canvas": 2, "guided": 10, "played": 6}
    seen = set()
    clips = write(tmp_path / "clips", [({"frames": torch.zeros(64, 1, 1, 1, 3)}, ["a"] * 64)], 8.0)
    data = latents.FlowBatches(shards, clips, Vocabulary(("a",)), 4, **rows, seed=0)
    for step in range(4):
        batch = data.batch(step)
        assert len(batch["latents"]) == 16
        assert len(batch["actions"]) == 10
        assert not batch["actions"][-8:-2].isnan().any()
        seen |= set(batch["latents"][-8:-2, 0, 0, 0, 0].long().tolist())
    assert seen == {number for number, lesson in enumerate(learnt) if lesson.scene.actions}


def test_of_rows_with_a_canvas_a_quarter_is_played(tmp_path):
    learnt = lessons(64, 4)
    fields = {k: v for k, v in world.rendered(learnt, 17, 32).items() if k in truth.FIELDS}
    made = fields | {"latents": torch.zeros(64, 5, 2, 2, 2).half()}
    shards = write(tmp_path, [(made, ["a"] * 64)], 8.0)
    numbers = torch.arange(32)[:, None, None, None, None].expand(32, 1, 1, 1, 3)
    clips = write(tmp_path / "clips", [({"frames": numbers}, ["a"] * 32)], 8.0)
    rows = {"batch": 16, "canvas": 8, "guided": 12, "played": 2}
    batch = latents.FlowBatches(shards, clips, Vocabulary(("a",)), 4, **rows, seed=0).batch(1)
    assert not batch["actions"][-2:].isnan().any()
    assert batch["actions"][-8:-2].isnan().any()
    assert all(learnt[number].scene.actions for number in batch["frames"][-2:, 0, 0, 0, 0].long().tolist())


def test_what_is_played_begins_anywhere_and_stays_in_the_frame():
    scenes = [lesson.scene for lesson in lessons(400, 4) if lesson.scene.actions]
    places = [scene.things[0].x for scene in scenes]
    assert min(places) < 0.3
    assert max(places) > 0.7
    paths = [
        place + step for scene, place in zip(scenes, places, strict=True) for step in play(scene.actions).x
    ]
    assert min(paths) >= 0.1 - 1e-9
    assert max(paths) <= 0.9 + 1e-9


def test_where_nobody_acts_there_are_no_played_rows(tmp_path):
    learnt = lessons(4, 4)
    fields = {k: v for k, v in world.rendered(learnt, 17, 32).items() if k in truth.FIELDS}
    made = fields | {"latents": torch.zeros(4, 5, 2, 2, 2).half()}
    shards = write(tmp_path, [(made, ["a"] * 4)], 8.0)
    rows = {"batch": 8, "canvas": 0, "guided": 4, "played": 4}
    batch = latents.FlowBatches(shards, shards, Vocabulary(("a",)), 4, **rows, seed=0).batch(0)
    assert len(batch["latents"]) == 8
    assert batch["actions"].isnan().all()
