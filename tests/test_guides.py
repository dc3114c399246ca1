"""Guides on the latent grid: what is told stands where it should, and what isn't told is nowhere."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.controls import ACTIONS
from kineograph.models.guides import (
    KINDS,
    MAPS,
    Guides,
    draw_told,
    fold_guides,
    signals_of,
    style_of,
    untold,
)
from kineograph.worlds.camera import PAN, ZOOM

GRID, CHANNELS, FRAMES, SIDE = (3, 2, 2), 4, 9, 16


def told(clips=1, **values):
    found = untold(clips, GRID, CHANNELS)
    for kind, value in values.items():
        found[kind][:] = value
    return found


def maps_of(guides):
    """The maps (B, T, M, g, g), back from their fold; the first three frames fill up the first group."""
    clips, groups, height, width, _ = guides.maps.shape
    cells = guides.maps.reshape(clips, groups, height, width, 4, len(MAPS), 8, 8)
    frames = cells.permute(0, 1, 4, 5, 2, 6, 3, 7).reshape(
        clips, 4 * groups, len(MAPS), 8 * height, 8 * width
    )
    assert not frames[:, :3].any()
    return frames[:, 3:].float()


def middle(picture):
    """x and y of the centre of mass, in fractions."""
    mass = picture / picture.sum()
    at = (torch.arange(SIDE) + 0.5) / SIDE
    return float((mass.sum(0) * at).sum()), float((mass.sum(1) * at).sum())


def test_nothing_told_is_nothing():
    guides = fold_guides(untold(2, GRID, CHANNELS))
    assert all(not part.any() for part in guides)
    assert guides.signals.shape == (2, 3, signals_of(CHANNELS))


def test_bare_guides_tell_of_the_source_alone():
    source, style = torch.randn(1, 3, CHANNELS, 2, 2), torch.randn(2 * CHANNELS)
    all_told = fold_guides(told(source=source, style=style, boxes=0.5, actions=1.0))
    assert all(map(torch.equal, all_told.bare(), fold_guides(told(source=source))))
    assert all(not part.any() for part in all_told.bare(torch.tensor([False])))
    assert all(map(torch.equal, all_told.bare(torch.tensor([True])), all_told.bare()))
    assert all(not part.any() for part in fold_guides(told(style=style, boxes=0.5)).bare())


def test_joined_guides_stand_in_a_row():
    several = [fold_guides(told(clips, boxes=0.1 * clips)) for clips in (1, 2)]
    joined = Guides.joined(several)
    assert all(torch.equal(part[:1], one) for part, one in zip(joined, several[0], strict=True))
    assert all(torch.equal(part[1:], one) for part, one in zip(joined, several[1], strict=True))


@given(st.floats(0.3, 0.7), st.floats(0.3, 0.7), st.integers(0, 2))
@settings(max_examples=20, deadline=None)
def test_a_track_is_a_spot_at_its_place(x, y, thing):
    tracks = torch.full((FRAMES, 3, 2), torch.nan)
    tracks[4, thing] = torch.tensor([x, y])
    maps = maps_of(fold_guides(told(tracks=tracks)))[0]
    down, across = divmod(int(maps[4, thing].argmax()), SIDE)
    assert ((across + 0.5) / SIDE, (down + 0.5) / SIDE) == pytest.approx((x, y), abs=0.75 / SIDE)
    maps[4, thing] = 0
    assert not maps.any()


def test_where_a_thing_is_led_is_kept_by_thing():
    """A box fills all of a cell, a track the most of where its spot is; others stay where they are not."""
    boxes, tracks = torch.full((FRAMES, 3, 4), torch.nan), torch.full((FRAMES, 3, 2), torch.nan)
    boxes[1:5, 2] = torch.tensor([0.0, 0.5, 0.5, 1.0])
    tracks[:, 0] = torch.tensor([0.9, 0.1])
    places = fold_guides(told(2, boxes=boxes, tracks=tracks)).places[1].float()
    assert torch.equal(places[1, :, :, 2], torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    assert not places[[0, 2], :, :, 2].any()
    assert not places[..., 1].any()
    assert (places[..., 0].flatten(1).argmax(dim=1) == 1).all()


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.1, 0.5), st.floats(0.1, 0.5))
@settings(max_examples=20, deadline=None)
def test_a_box_covers_its_area(x, y, width, height):
    boxes = torch.full((FRAMES, 3, 4), torch.nan)
    boxes[:, 1] = torch.tensor([x, y, x + width, y + height])
    filled = maps_of(fold_guides(told(boxes=boxes)))[0, :, 3 + 1]
    assert torch.allclose(filled.mean((1, 2)), torch.tensor(width * height), atol=1e-3)
    assert middle(filled[0]) == pytest.approx((x + width / 2, y + height / 2), abs=1e-2)


def test_bones_join_the_joints():
    pose = torch.full((FRAMES, 3, 9, 2), torch.nan)
    pose[:, 0] = torch.tensor([[0.5, 0.1 * joint + 0.1] for joint in range(9)])
    lines = maps_of(fold_guides(told(pose=pose)))[0, 0, MAPS.index("pose")]
    middles = (torch.arange(SIDE) + 0.5) / SIDE
    on = lines[(middles > 0.15) & (middles < 0.85)][:, SIDE // 2 - 1 : SIDE // 2 + 1]
    assert on.min() > 0.5
    assert lines[:, : SIDE // 4].max() < 0.01


def test_actions_and_cameras_stand_in_the_group_of_their_frame():
    actions = torch.zeros(FRAMES, 4)
    actions[5, 2] = 1
    camera = torch.tensor([PAN / 2, ZOOM]).expand(FRAMES, 2)
    signals = fold_guides(told(actions=actions, camera=camera)).signals[0]
    frames = signals[:, :28].reshape(3, 4, 7)
    assert frames[..., 2].flatten().nonzero().tolist() == [[3 + 5]]
    assert frames[..., 5].flatten().tolist() == [0, 0, 0, *[0.5] * FRAMES]
    assert frames[..., 6].flatten().tolist() == pytest.approx([0, 0, 0, *[1] * FRAMES])
    flags = signals[:, -len(KINDS) :]
    assert flags.sum(0).tolist() == [3.0 if kind in ("camera", "actions") else 0.0 for kind in KINDS]


def test_what_actions_carry_adds_up():
    actions = torch.zeros(FRAMES, len(ACTIONS))
    for frame, action in ((1, "right"), (2, "right"), (4, "left"), (6, "jump")):
        actions[frame, ACTIONS.index(action)] = 1
    signals = fold_guides(told(actions=actions)).signals[0]
    carried = signals[:, :28].reshape(12, 7)[3:, 4] * FRAMES
    assert carried.tolist() == pytest.approx([0, 1, 2, 2, 1, 1, 1, 1, 1], abs=1e-6)


def test_a_guide_of_some_frames_is_told_in_their_groups_alone():
    tracks = torch.full((FRAMES, 3, 2), torch.nan)
    tracks[6:, 0] = 0.5
    signals = fold_guides(told(tracks=tracks)).signals[0]
    assert signals[:, -len(KINDS) + KINDS.index("tracks")].tolist() == [0, 0, 1]


def test_a_style_knows_no_place_and_no_time():
    latents = torch.randn(2, 3, CHANNELS, 4, 4)
    moved = latents.roll((1, 1, 2), (1, 3, 4)).flip(4)
    assert torch.allclose(style_of(latents), style_of(moved), atol=1e-5)


def test_only_the_truth_is_told_and_each_kind_at_times():
    truth = told(64, **{kind: value for kind, value in untold(1, GRID, CHANNELS).items()})
    for kind in KINDS:
        truth[kind][:] = torch.rand(truth[kind].shape) if kind != "pose" else torch.nan
    counts = dict.fromkeys(KINDS, 0)
    for seed in range(20):
        found = draw_told(truth, torch.full((64,), 0.25), torch.Generator().manual_seed(seed))
        for kind, values in found.items():
            known = ~values.isnan()
            assert torch.equal(values[known], truth[kind][known])
            counts[kind] += int(known.flatten(1).any(1).sum())
    assert counts.pop("pose") == 0
    assert min(counts.values()) > 20
    silent = draw_told(truth, torch.ones(64), torch.Generator().manual_seed(0))
    assert all(values.isnan().all() for values in silent.values())
