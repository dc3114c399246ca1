"""Laws of the world: scenes survive JSON, pixels depend on the scene alone, the truth agrees with them."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kineograph.errors import RequestError
from kineograph.worlds import renderer
from kineograph.worlds.backdrop import FAR
from kineograph.worlds.holdout import held_out_scenes, training_scenes
from kineograph.worlds.renderer import Rendered, render
from kineograph.worlds.scene import COLORS, GROUNDS, KINDS, MOTIONS, SIZES, TIMES, Scene, Thing, sample_scenes

RED_BALL = Thing("ball", "red", "medium", "still", 0.5, 0.7)


def assert_same(one: Rendered, other: Rendered, clips: slice = slice(None)) -> None:
    for field in fields(Rendered):
        whole, part = getattr(one, field.name)[clips], getattr(other, field.name)
        assert torch.equal(whole.nan_to_num(-1.0), part.nan_to_num(-1.0)), field.name


def silhouettes(rendered: Rendered, number: int) -> tuple[Tensor, Tensor]:
    """Boxes (N, T, 4) in pixels around what is seen of a thing, and how many pixels (N, T) that is."""
    seen = rendered.segmentation == number
    bounds = []
    for others in (2, 3):  # the columns where anything is seen, then the rows
        taken = seen.any(others)
        last = taken.shape[-1] - 1
        bounds.append((taken.int().argmax(-1), last + 1 - taken.flip(-1).int().argmax(-1)))
    (x0, x1), (y0, y1) = bounds
    return torch.stack([x0, y0, x1, y1], -1), seen.sum((2, 3))


def scene_of(kind: str = "ball", motion: str = "still", size: str = "medium", color: str = "red") -> Scene:
    return Scene((Thing(kind, color, size, motion, 0.5, 0.6, 0.3),), "grass", "day")


# Scenes


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([None, 1, 2]))
def test_scenes_survive_json(seed: int, objects: int | None) -> None:
    for scene in sample_scenes(5, seed, objects):
        assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene


@pytest.mark.parametrize(
    "change",
    [
        {"ground": "lava"},
        {"time": "noon"},
        {"seed": "3"},
        {"things": []},
        {"things": "ball"},
        {"things": [{"kind": "ball"}]},
        {"mood": "sad"},
    ],
)
def test_a_wrong_scene_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        Scene.from_dict({**scene_of().to_dict(), **change})


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "cat"},
        {"color": "mauve"},
        {"size": "huge"},
        {"motion": "spins"},
        {"phase": 1.0},
        {"x": math.nan},
        {"y": -math.inf},
    ],
)
def test_a_wrong_thing_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        Thing(
            **{"kind": "ball", "color": "red", "size": "small", "motion": "up", "x": 0.5, "y": 0.5, **change}
        )  # type: ignore[arg-type]


def test_drawing_is_deterministic_and_extends() -> None:
    scenes = sample_scenes(700, seed=3)
    assert scenes[:10] == sample_scenes(10, seed=3)
    assert scenes[:10] != sample_scenes(10, seed=4)
    assert {len(scene.things) for scene in sample_scenes(50, 0, 1)} == {1}
    assert {len(scene.things) for scene in sample_scenes(50, 0, 2)} == {2}


@pytest.mark.parametrize(
    ("draw", "seed", "digest"),
    [
        (sample_scenes, 0, "e338e845e293d381"),
        (training_scenes, 1, "6a49e7f5a80bd513"),
        (held_out_scenes, 90_001, "5026c527d214ad27"),
    ],
)
def test_a_seed_gives_the_scenes_that_it_always_gave(
    draw: Callable[[int, int], list[Scene]], seed: int, digest: str
) -> None:
    """Weights were trained on them and figures were measured on them; what was added since is as it was."""
    scenes = draw(64, seed)
    assert {(scene.weather, scene.style, scene.camera, scene.actions) for scene in scenes} == {
        ("clear", "plain", "static", ())
    }
    names = ("things", "ground", "time", "seed")
    written = json.dumps([{n: scene.to_dict()[n] for n in names} for scene in scenes], sort_keys=True)
    assert hashlib.sha256(written.encode()).hexdigest()[:16] == digest


def test_attributes_are_drawn_evenly() -> None:
    scenes = sample_scenes(3000, seed=0, objects=1)
    for name, options in (("kind", KINDS), ("color", COLORS), ("size", SIZES), ("motion", MOTIONS)):
        counts = Counter(getattr(scene.things[0], name) for scene in scenes)
        assert min(counts[option] for option in options) > 0.8 * 3000 / len(options)
    for name, options in (("ground", GROUNDS), ("time", TIMES)):
        counts = Counter(getattr(scene, name) for scene in scenes)
        assert min(counts[option] for option in options) > 0.8 * 3000 / len(options)


def test_two_things_differ_and_seldom_overlap() -> None:
    scenes = sample_scenes(300, seed=1, objects=2)
    for scene in scenes:
        first, second = scene.things
        assert (first.kind, first.color) != (second.kind, second.color)
    boxes = render(scenes, size=16, truth=False).boxes
    low, high = boxes[..., :2].amax(2), boxes[..., 2:].amin(2)
    common = (high - low).clamp(min=0).prod(-1)
    smaller = (boxes[..., 2:] - boxes[..., :2]).prod(-1).amin(2)
    assert (common / smaller).mean(1).max() < 0.12


# Pixels


def test_scenes_look_as_they_always_looked() -> None:
    """To the mean level of each clip; the last bit of a backdrop may differ from processor to processor."""
    means = render(sample_scenes(6, seed=5), frames=9, size=64, truth=False).frames.float().mean((1, 2, 3, 4))
    known = torch.tensor([178.47, 163.93, 163.59, 97.35, 90.53, 97.44])
    assert (means - known).abs().max() < 0.05


def test_pixels_do_not_depend_on_the_batch() -> None:
    scenes = sample_scenes(40, seed=7)
    whole = render(scenes, frames=5, size=(40, 52))
    assert_same(whole, render(scenes, frames=5, size=(40, 52)))
    for clip in (0, 13, 39):
        assert_same(whole, render([scenes[clip]], frames=5, size=(40, 52)), slice(clip, clip + 1))


def test_pixels_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = sample_scenes(24, seed=8)
    whole = render(scenes, frames=5, size=48)
    monkeypatch.setattr(renderer, "PIXELS_AT_ONCE", 5 * 48 * 48 * 7)
    assert_same(whole, render(scenes, frames=5, size=48))


def test_a_frame_depends_on_its_time_alone() -> None:
    scenes = sample_scenes(8, seed=9)
    slow, fast = render(scenes, frames=5, size=32, fps=8), render(scenes, frames=9, size=32, fps=16)
    assert torch.equal(slow.frames, fast.frames[:, ::2])


def test_truth_costs_no_pixels() -> None:
    scenes = sample_scenes(6, seed=2)
    plain, known = render(scenes, size=32, truth=False), render(scenes, size=32)
    assert torch.equal(plain.frames, known.frames)
    assert len(plain.segmentation) == len(plain.depth) == 0
    assert plain.boxes.shape == (6, 17, 2, 4)


def test_only_things_and_waves_move() -> None:
    scenes = [Scene((RED_BALL,), ground, "day") for ground in GROUNDS]
    frames = render(scenes, size=32, truth=False).frames
    moved = [not torch.equal(clip[0], clip[5]) for clip in frames]
    assert moved == [ground == "water" for ground in GROUNDS]


@pytest.mark.parametrize(
    ("frames", "size", "fps"),
    [(0, 64, 8.0), (17, 8, 8.0), (17, (64, 8), 8.0), (17, 64, 0.0), (17, 64, math.nan)],
)
def test_impossible_clips_are_refused(frames: int, size: int | tuple[int, int], fps: float) -> None:
    with pytest.raises(RequestError):
        render([scene_of()], frames, size, fps)


# Truth


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([64, (64, 100), (96, 64)]))
def test_things_stay_in_the_frame_and_truth_agrees(seed: int, size: int | tuple[int, int]) -> None:
    scenes = sample_scenes(12, seed, objects=1)
    rendered = render(scenes, size=size)
    height, width = rendered.frames.shape[2:4]
    boxes = rendered.boxes[:, :, 0]
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    seen, area = silhouettes(rendered, 1)
    assert (area > 0).all()
    assert (seen - boxes * torch.tensor([width, height, width, height])).abs().max() < 2.0
    assert torch.allclose((boxes[..., :2] + boxes[..., 2:]) / 2, rendered.tracks[:, :, 0], atol=1e-5)


def test_what_is_seen_lies_in_its_box() -> None:
    rendered = render(sample_scenes(30, seed=4, objects=2), size=64)
    boxes = rendered.boxes * 64
    for slot in (0, 1):
        seen, area = silhouettes(rendered, slot + 1)
        some = area > 0
        assert (seen[some][:, :2] > boxes[:, :, slot][some][:, :2] - 1.5).all()
        assert (seen[some][:, 2:] < boxes[:, :, slot][some][:, 2:] + 1.5).all()
        assert some.float().mean() > 0.95


def test_shape_and_absence() -> None:
    rendered = render([scene_of(), sample_scenes(1, 0, 2)[0]], frames=3, size=(32, 48))
    assert rendered.frames.shape == (2, 3, 32, 48, 3)
    assert rendered.frames.dtype == rendered.segmentation.dtype == torch.uint8
    assert rendered.segmentation.shape == rendered.depth.shape == (2, 3, 32, 48)
    absent = torch.tensor([[False, True], [False, False]])[:, None, :, None]
    assert torch.equal(rendered.boxes.isnan(), absent.expand(2, 3, 2, 4))
    assert torch.equal(rendered.tracks.isnan(), absent.expand(2, 3, 2, 2))
    assert rendered.depth.isfinite().all()
    assert set(rendered.segmentation[0].unique().tolist()) == {0, 1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("motion", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
)
def test_straight_motions_go_where_they_say(kind: str, motion: str, axis: int, sign: int) -> None:
    track = render([scene_of(kind, motion)], size=16).tracks[0, :, 0]
    moved = track[-1] - track[0]
    assert moved[axis] * sign >= 0.3
    assert moved[1 - axis].abs() < 1e-6


def test_still_circles_and_bounces() -> None:
    scenes = [scene_of(motion=motion) for motion in ("still", "circles", "bounces")]
    still, circles, bounces = render(scenes, size=16).tracks[:, :, 0]
    assert (still == still[0]).all()
    radius = (circles - torch.tensor([0.5, 0.6])).norm(dim=-1)
    assert 0.12 <= radius.min() <= radius.max() <= 0.16
    assert (circles.diff(dim=0).norm(dim=-1) > 0.03).all()
    assert (bounces[:, 0] == 0.5).all()
    assert bounces[:, 1].max() - bounces[:, 1].min() > 0.15
    turns = bounces[:, 1].diff().sign().diff().ne(0).sum()
    assert turns >= 4


def test_the_nearer_thing_hides_the_farther() -> None:
    far, near = (
        Thing("box", "blue", "large", "still", 0.5, 0.55),
        Thing("ball", "red", "large", "still", 0.5, 0.75),
    )
    for things, number in (((far, near), 2), ((near, far), 1)):
        rendered = render([Scene(things, "sand", "day")], frames=1, size=64)
        assert rendered.segmentation[0, 0, 46, 32] == number
        depth = rendered.depth[0, 0]
        assert depth[46, 32] < depth[26, 32] < depth[2, 2]
        assert depth[2, 2] == FAR


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("ground", GROUNDS)
def test_colors_and_grounds_are_told_apart_in_every_light(ground: str, time: str) -> None:
    scenes = [Scene((Thing("box", color, "large", "still", 0.5, 0.7),), ground, time) for color in COLORS]
    rendered = render(scenes, frames=1, size=64)
    means = torch.stack(
        [
            frame[seen == 1].float().mean(0)
            for frame, seen in zip(rendered.frames, rendered.segmentation, strict=True)
        ]
    )
    apart = torch.cdist(means, means) + 1e3 * torch.eye(len(COLORS))
    assert apart.min() > 45


def test_grounds_differ_at_every_time() -> None:
    for time in TIMES:
        scenes = [Scene((RED_BALL,), ground, time) for ground in GROUNDS]
        ground = render(scenes, frames=1, size=64, truth=False).frames[:, 0, 40:, :12].float().mean((1, 2))
        apart = torch.cdist(ground, ground) + 1e3 * torch.eye(len(GROUNDS))
        assert apart.min() > 25, time
