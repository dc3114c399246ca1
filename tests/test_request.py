"""A request is validated once and survives the way through JSON."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.errors import RequestError
from kineograph.request import MAX_PROMPT, MAX_SEED, Keyframe, Request, Walk, Waypoint, box_of

even_sides = st.integers(8, 2048).map(lambda side: 2 * side)
optional_numbers = {
    "fps": st.floats(1, 240),
    "size": st.tuples(even_sides, even_sides),
    "steps": st.integers(1, 1000),
    "guidance": st.floats(0, 30),
}
words = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)
ways = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"frames": st.integers(1, 10_000), "images": st.just((Keyframe("a.png", 0.5),))}
    ),
    st.fixed_dictionaries({"video": st.just("v.mp4"), "extend": st.floats(-100, -0.1)}),
    st.fixed_dictionaries({"video": st.just("v.mp4"), "interpolate": st.integers(2, 64)}),
    st.fixed_dictionaries({"video": st.just("v.mp4"), "mask": st.just("0.1,0.2,0.3,0.4")}),
    st.fixed_dictionaries({"video": st.just("v.mp4"), "outpaint": st.just(True)}),
    st.fixed_dictionaries({"video": st.just("v.mp4"), "edit": st.floats(0.1, 1)}),
    st.fixed_dictionaries(
        {"walk": st.builds(Walk, words.filter(str.strip), st.integers(0, MAX_SEED), st.floats(0, 1))}
    ),
    st.fixed_dictionaries({"then": st.just((Waypoint("a ball", 0.5), Waypoint("a box", 2.0)))}),
)


@settings(max_examples=60, deadline=None)
@given(
    words.map(lambda text: "a " + text),
    st.fixed_dictionaries({}, optional=optional_numbers),
    ways,
    st.integers(0, MAX_SEED),
)
def test_json_round_trip(prompt, numbers, way, seed):
    request = Request(prompt, seed=seed, **numbers, **way)
    assert Request.from_json(request.to_json()) == request


def test_only_what_is_given_is_written():
    assert set(json.loads(Request("a ball").to_json())) == {"prompt", "model", "images", "fit", "seed"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": "   "},
        {"prompt": "x" * (MAX_PROMPT + 1)},
        {"prompt": "a\0b"},
        {"prompt": "a\nb"},
        {"prompt": "\udcff"},
        {"prompt": 7},
        {"model": ""},
        {"model": 3},
        {"fit": "stretch"},
        {"steps": 0},
        {"steps": 1001},
        {"steps": 4.0},
        {"steps": True},
        {"steps": "4"},
        {"guidance": -0.1},
        {"guidance": math.nan},
        {"guidance": math.inf},
        {"guidance": 31},
        {"fps": 0.5},
        {"fps": 241},
        {"frames": 0},
        {"frames": 10_001},
        {"frames": 8, "seconds": 1.0},
        {"seconds": 0},
        {"seconds": 1e9},
        {"seed": -1},
        {"seed": 2**63},
        {"seed": None},
        {"size": (14, 64)},
        {"size": (64, 4098)},
        {"size": (65, 64)},
        {"size": (64,)},
        {"size": 64},
        {"extend": 1.0},
        {"mask": "m.png"},
        {"interpolate": 2},
        {"video": "v.mp4"},
        {"video": ""},
        {"video": "v.mp4", "extend": 0},
        {"video": "v.mp4", "extend": math.inf},
        {"video": "v.mp4", "extend": 1.0, "interpolate": 2},
        {"video": "v.mp4", "extend": 1.0, "frames": 9},
        {"video": "v.mp4", "interpolate": 1},
        {"outpaint": True},
        {"edit": 0.5},
        {"then": (Waypoint("a box", 1.0), "a ring")},
        {"video": "v.mp4", "outpaint": True, "fit": "pad"},
        {"walk": ("a box", 1, 0.5)},
        {"walk": Walk("a box", 1, 0.5), "then": (Waypoint("a box", 1.0),)},
        {"video": "v.mp4", "edit": 0.0},
        {"video": "v.mp4", "edit": 0.5, "mask": "m.png"},
        {"video": "v.mp4", "edit": 0.5, "remove": True},
        {"video": "v.mp4", "insert": True, "prompt": " "},
        {"remove": True},
        {"video": "v.mp4", "remove": 1},
        {"tracks": ("0.1",)},
        {"tracks": ["0.1,0.2"]},
        {"tracks": ("0.1,0.2",) * 4},
        {"tracks": ("0.1,nan",)},
        {"boxes": ("0.1,0.2,0,0.3",)},
        {"boxes": ("0.1,0.2,0.3",)},
        {"camera": "0,9"},
        {"camera": "free"},
        {"actions": "walk"},
        {"actions": "left*"},
        {"actions": "left*0"},
        {"style": ("",)},
        {"style": ("a.mp4",) * 9},
        {"pose": ""},
        {"depth": "a\0b"},
        {"then": [Waypoint("a box", 1.0)]},
        {"then": ("a box",)},
        {"then": (Waypoint("a box", 2.0), Waypoint("a ring", 1.0))},
        {"then": (Waypoint("a box", 1.0), Waypoint("a ring", 1.0))},
        {"video": "v.mp4", "outpaint": 1},
        {"video": "v.mp4", "outpaint": True, "extend": 1.0},
        {"video": "v.mp4", "mask": "0.5,0.5,0.6,0.1"},
        {"video": "v.mp4", "mask": "0.5,0.5,0,0.1"},
        {"video": "v.mp4", "mask": "-0.5,0.5,0.1,0.1"},
        {"video": "v.mp4", "mask": "m.png", "images": (Keyframe("a.png"),)},
        {"images": ["a.png"]},
        {"images": ("a.png",)},
    ],
)
def test_refused_in_one_sentence(fields):
    with pytest.raises(RequestError) as caught:
        Request(**({} if not fields or "prompt" in fields else {"prompt": "a ball"}) | fields)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize("at", [-1, math.nan, math.inf, "1", True])
def test_time_of_a_keyframe(at):
    with pytest.raises(RequestError, match="time"):
        Keyframe("a.png", at)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        '{"prompt": "a", "promt": "b"}',
        '{"prompt": "a", "guidance": NaN}',
        '{"prompt": "a", "guidance": 1e999}',
        '{"prompt": "a", "images": "a.png"}',
        '{"prompt": "a", "images": [{"at": 1}]}',
        '{"prompt": "a", "images": [{"path": "a.png", "when": 1}]}',
        '{"prompt": "a", "size": "64x64"}',
        '{"prompt": "a", "seed": ' + "9" * 5000 + "}",
        "[" * 100_000,
    ],
)
def test_json_refused(text):
    with pytest.raises(RequestError):
        Request.from_json(text)


def test_unknown_keys_are_named():
    with pytest.raises(RequestError, match="promt"):
        Request.from_json('{"promt": "a ball"}')


def test_box_of():
    assert box_of("0.25, 0.25,.5,0.5") == (0.25, 0.25, 0.5, 0.5)
    assert box_of("0.7,0,0.3,1") == (0.7, 0, 0.3, 1)
    assert box_of("mask.png") is None
    assert box_of("1,2,3") is None
