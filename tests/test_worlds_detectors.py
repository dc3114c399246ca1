"""Detectors: what was rendered is read back, and what is not there is not found."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.worlds.backdrop import backdrop
from kineograph.worlds.captions import Description, ThingDescription, describe, parse
from kineograph.worlds.detectors import DetectedThing, Detection, detect
from kineograph.worlds.matching import score
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import COLORS, GROUNDS, KINDS, MOTIONS, SIZES, TIMES, sample_scenes

SCENES = sample_scenes(10, seed=21, objects=1) + sample_scenes(10, seed=22, objects=2)


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return render(SCENES, truth=False).frames


def spoil(clips: torch.Tensor) -> torch.Tensor:
    """A 3x3 box blur, and noise of standard deviation 6."""
    pixels = torch.nn.functional.pad(clips.float(), (0, 0, 1, 1, 1, 1))
    blurred = pixels.unfold(2, 3, 1).unfold(3, 3, 1).mean((-1, -2))
    noise = torch.randn(clips.shape, generator=torch.Generator().manual_seed(0))
    return (blurred + 6 * noise).round().clamp(0, 255).to(torch.uint8)


def right(clips: torch.Tensor) -> list[bool]:
    return [score(describe(s), d)["all"] for s, d in zip(SCENES, detect(clips), strict=True)]


def test_every_attribute_is_read_back(clips: torch.Tensor) -> None:
    assert all(right(clips))


def test_blur_and_noise_cost_little(clips: torch.Tensor) -> None:
    assert np.mean(right(spoil(clips))) >= 0.95


def test_tracks_follow_the_truth() -> None:
    scenes = SCENES[:8]  # one thing each
    rendered = render(scenes, truth=False)
    for detection, track in zip(detect(rendered.frames), rendered.tracks[:, :, 0].numpy(), strict=True):
        assert np.abs(detection.things[0].track - track).max() < 0.02


def test_reading_is_independent_of_the_batch(clips: torch.Tensor) -> None:
    alone = [detect(clip[None])[0] for clip in clips[-3:]]
    for one, many in zip(alone, detect(clips[-3:].numpy()), strict=True):
        assert (one.ground, one.time) == (many.ground, many.time)
        for a, b in zip(one.things, many.things, strict=True):
            assert (a.kind, a.color, a.size, a.motion) == (b.kind, b.color, b.size, b.motion)
            np.testing.assert_array_equal(a.track, b.track)


@pytest.mark.parametrize(("ground", "time"), list(itertools.product(GROUNDS, TIMES)))
def test_an_empty_backdrop_has_no_things(ground: str, time: str) -> None:
    clip = backdrop(ground, time, 3, 128, 128).expand(1, 5, -1, -1, -1)
    detection = detect(clip)[0]
    assert (detection.things, detection.ground, detection.time) == ((), ground, time)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_clip_can_be_read(value: int) -> None:
    detect(np.full((1, 5, 128, 128, 3), value, np.uint8))


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_other_sizes_and_lengths(size: tuple[int, int]) -> None:
    scenes = SCENES[:4]
    found = detect(render(scenes, frames=9, size=size, fps=4.0, truth=False).frames, fps=4.0)
    assert [score(describe(s), d)["all"] for s, d in zip(scenes, found, strict=True)] == [True] * 4


# Scores

attributes = st.builds(
    ThingDescription,
    kind=st.sampled_from(KINDS),
    color=st.sampled_from(COLORS),
    size=st.sampled_from(SIZES),
    motion=st.sampled_from(MOTIONS),
)
descriptions = st.builds(
    Description,
    things=st.lists(attributes, min_size=1, max_size=2).map(tuple),
    ground=st.sampled_from(GROUNDS),
    time=st.sampled_from(TIMES),
)


def seen(description: Description) -> Detection:
    track = np.zeros((17, 2), np.float32)
    things = tuple(DetectedThing(**vars(thing), track=track) for thing in description.things)
    return Detection(things, str(description.ground), str(description.time))


@settings(max_examples=50, deadline=None)
@given(descriptions, descriptions)
def test_a_score_is_right_for_itself_and_blind_to_order(said: Description, other: Description) -> None:
    assert all(score(said, seen(said)).values())
    turned = Description(other.things[::-1], other.ground, other.time)
    assert score(said, seen(other)) == score(said, seen(turned))


@settings(max_examples=50, deadline=None)
@given(descriptions)
def test_only_what_is_named_is_scored(said: Description) -> None:
    assert score(Description(), seen(said)) == {"all": True}
    named = Description((ThingDescription(color=said.things[0].color),), time=said.time)
    assert set(score(named, seen(said))) == {"count", "color", "time", "all"}


def test_a_missing_thing_is_wrong_and_the_best_assignment_counts() -> None:
    said = parse("a red ball rises and a blue box falls by day")
    both = seen(Description((ThingDescription("box", "blue", "small", "down"),
                             ThingDescription("ball", "red", "large", "left")), "sand", "day"))  # fmt: skip
    assert score(said, both) == {
        "count": True, "kind": True, "color": True, "motion": False, "time": True, "all": False,
    }  # fmt: skip
    verdicts = score(said, Detection(both.things[:1], "sand", "day"))
    assert not any(verdicts[name] for name in ("count", "kind", "color", "motion", "all"))
