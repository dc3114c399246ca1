"""Captions: what is written can be read back, and free text is read leniently."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.worlds.captions import (
    READINGS,
    VALUES,
    Description,
    ThingDescription,
    canonical,
    caption,
    describe,
    parse,
    silent_on,
    words,
)
from kineograph.worlds.holdout import held_out_scenes, is_held_out, training_scenes
from kineograph.worlds.scene import Scene, sample_scenes
from kineograph.worlds.world import SMALL

SCENES = sample_scenes(300, seed=11, objects=1) + sample_scenes(300, seed=12, objects=2)
scenes = st.sampled_from(SCENES)
seeds = st.integers(0, 2**32)


def agrees(said: Description, truth: Description) -> bool:
    """Whether everything that is said is so; an unnamed attribute agrees with any."""
    pairs = [(said.ground, truth.ground), (said.time, truth.time)]
    for thing, true_thing in zip(said.things, truth.things, strict=True):
        pairs += [(getattr(thing, name), getattr(true_thing, name)) for name in vars(thing)]
    return all(value in (None, true_value) for value, true_value in pairs)


@settings(max_examples=300, deadline=None)
@given(scenes, seeds, st.floats(0, 1))
def test_a_caption_reads_back_as_the_scene(scene: Scene, seed: int, drop: float) -> None:
    text = caption(scene, random.Random(seed), drop)
    assert agrees(parse(text), describe(scene)), text


@settings(max_examples=300, deadline=None)
@given(scenes, seeds)
def test_with_nothing_dropped_everything_is_named(scene: Scene, seed: int) -> None:
    assert parse(caption(scene, random.Random(seed), drop=0)) == describe(scene)


@settings(max_examples=300, deadline=None)
@given(scenes, seeds)
def test_captions_keep_to_the_vocabulary_and_the_length(scene: Scene, seed: int) -> None:
    tokens = caption(scene, random.Random(seed), drop=0).split(" ")
    assert set(tokens) <= set(words())
    assert len(tokens) <= (16 if len(scene.things) == 1 else 28)


@given(scenes, seeds)
def test_the_caption_depends_on_the_generator_alone(scene: Scene, seed: int) -> None:
    assert caption(scene, random.Random(seed)) == caption(scene, random.Random(seed))


@settings(max_examples=200, deadline=None)
@given(scenes, seeds, st.sampled_from([("motion",), ("ground",), ("motion", "time")]))
def test_a_caption_can_be_said_without_something(scene: Scene, seed: int, names: tuple[str, ...]) -> None:
    said = parse(text := caption(scene, random.Random(seed)))
    left = parse(silent_on(names, text, random.Random(seed), SMALL))
    for name in ("ground", "time"):
        assert getattr(left, name) == (None if name in names else getattr(said, name))
    still = tuple(replace(thing, motion=None) for thing in said.things)
    assert left.things == (still if "motion" in names else said.things)


def test_canonical_names_everything() -> None:
    assert [parse(canonical(scene)) for scene in SCENES] == [describe(scene) for scene in SCENES]


def test_the_vocabulary_is_small_sorted_and_all_of_it_is_used() -> None:
    rng = random.Random(0)
    used = {word for scene in SCENES for _ in range(8) for word in caption(scene, rng).split()}
    assert words() == tuple(sorted(used))
    assert len(words()) <= 90


def test_every_value_has_words_and_no_word_names_two_values() -> None:
    assert set(READINGS) == {value for values in VALUES.values() for value in values}
    cues = " ".join(READINGS.values()).split()
    assert len(cues) == len(set(cues))


THING = ThingDescription


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a small red ball bounces over sand at sunset", Description(
            (THING("ball", "red", "small", "bounces"),), "sand", "sunset")),
        ("a big blue cube moves to the left over grass in the daytime and a tiny white star circles",
         Description((THING("box", "blue", "large", "left"), THING("star", "white", "small", "circles")),
                     "grass", "day")),
        ("large purple ring stays still on snow at night", Description(
            (THING("ring", "purple", "large", "still"),), "snow", "night")),
        ("Please: film a shiny RED Ball, jumping!", Description((THING("ball", "red", None, "bounces"),))),
        ("a bouncing green ball and a falling star", Description(
            (THING("ball", "green", None, "bounces"), THING("star", None, None, "down")))),
        ("red ball, blue box", Description((THING("ball", "red"), THING("box", "blue")))),
        ("a car that is red over green grass", Description((THING("car", "red"),), "grass")),
        ("a ball over green grass", Description((THING("ball"),), "grass")),
        ("something yellow rises under the stars", Description(
            (THING(None, "yellow", None, "up"),), None, "night")),
        ("a view of the sea", Description((), "water")),
        ("", Description()),
    ],
)  # fmt: skip
def test_free_text(text: str, expected: Description) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("objects", [1, 2, None])
def test_training_and_held_out_scenes_do_not_meet(objects: int | None) -> None:
    training, held_out = (sample(40, 3, objects) for sample in (training_scenes, held_out_scenes))
    assert len(training) == len(held_out) == 40
    assert not any(map(is_held_out, training))
    assert all(map(is_held_out, held_out))


@pytest.mark.parametrize("sample", [training_scenes, held_out_scenes])
def test_held_out_sampling_is_a_function_of_the_seed(sample: Callable[[int, int], list[Scene]]) -> None:
    assert sample(40, 3)[:10] == sample(10, 3)
    assert sample(10, 3) != sample(10, 4)


def test_training_still_shows_every_value_of_a_held_out_pair_in_many_others() -> None:
    things = [thing for scene in training_scenes(1500, 0) for thing in scene.things]
    for kind in VALUES["kind"]:
        assert len({thing.color for thing in things if thing.kind == kind}) >= len(VALUES["color"]) - 1
        assert len({thing.motion for thing in things if thing.kind == kind}) >= len(VALUES["motion"]) - 1
