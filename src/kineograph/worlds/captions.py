"""Sentences about a scene, written by a small grammar and read back from free text.

Lower-case words without punctuation:
`a small red ball bounces over sand at sunset`,
`a big blue cube slides to the left and a tiny white star circles on the grass by day`.

What a caption leaves out, it leaves open: `parse` returns None there.
One thing takes at most 16 words, two at most 28.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from kineograph.errors import RequestError
from kineograph.worlds.phrases import READINGS, RELATIONS, Language, language
from kineograph.worlds.relations import relations
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import FULL, SMALL, World

__all__ = [
    "READINGS",
    "SETTING",
    "VALUES",
    "Description",
    "ThingDescription",
    "canonical",
    "caption",
    "caption_of_plate",
    "describe",
    "left_open",
    "parse",
    "sentence",
    "silent_on",
    "words",
]

VALUES = SMALL.values
SETTING = ("ground", "time", "weather", "style", "camera")
# How readily an attribute is left out, as a share of `drop`. The kind is always named.
_DROP_SHARE = {
    "size": 1.0,
    "ground": 0.5,
    "time": 0.5,
    "weather": 0.5,
    "style": 0.5,
    "camera": 0.5,
    "color": 0.25,
    "motion": 0.25,
}
RELATE = 0.3  # how often a caption says how two things stand, if it can
COMMON = 0.7  # how often a caption is silent on a manner that goes without saying
MANNERS = ("weather", "style", "camera")  # of which the first option goes without saying
# A new thing may begin at these.
_BOUNDARY = {"a", "an", "another", "and", "with", "while", "the", *RELATIONS.values(), ",", ";", "."}

Choose = Callable[[tuple[str, ...]], str]


@dataclass(frozen=True)
class ThingDescription:
    """What is said of one thing; None where nothing is said."""

    kind: str | None = None
    color: str | None = None
    size: str | None = None
    motion: str | None = None


@dataclass(frozen=True)
class Description:
    """What is said of a scene; None where nothing is said."""

    things: tuple[ThingDescription, ...] = ()
    ground: str | None = None
    time: str | None = None
    weather: str | None = None
    style: str | None = None
    camera: str | None = None
    relation: str | None = None  # of the first thing to the second, one of `relations.RELATIONS`


def describe(scene: Scene, world: World = SMALL) -> Description:
    """Everything that the words of a world can say of a scene, but how its things stand to one another, and
    how a thing moves that somebody controls.

    Raises RequestError if the scene shows what the world doesn't have.
    """
    for name, options in world.values.items():
        for owner in scene.things if name in ThingDescription.__annotations__ else (scene,):
            if (value := getattr(owner, name)) not in options:
                raise RequestError(f"{value!r} is not in the {world.name} world: describe it in another.")
    things = [ThingDescription(t.kind, t.color, t.size, t.motion) for t in scene.things]
    if scene.actions:
        things[0] = replace(things[0], motion=None)
    setting = {name: getattr(scene, name) for name in SETTING if name in world.values}
    return Description(tuple(things), **setting)


def canonical(scene: Scene, world: World = SMALL) -> str:
    """The one plain sentence that names everything: `a small red ball bounces over sand at sunset`."""
    return _write(describe(scene, world), lambda options: options[0], world)


def sentence(description: Description, rng: random.Random, world: World = SMALL) -> str:
    """One of the many sentences that say this and nothing else."""
    return _write(description, rng.choice, world)


def caption(
    scene: Scene,
    rng: random.Random,
    drop: float = 0.2,
    world: World = SMALL,
    *,
    keep: str | None = None,
    common: float = 0.0,
) -> str:
    """One of the many sentences about a scene.

    `drop` in [0, 1] is the chance that a size goes unnamed; what is said of the whole scene goes half as
    often, color and motion a quarter as often. With 0 everything is named. A weather, style or camera that
    goes without saying is left out `common` of the times. The attribute `keep` is always named. In the full
    world, how the first two things stand to one another is sometimes said.
    """
    assert 0 <= drop <= 1, drop
    description = _leave_out(describe(scene, world), _Silence(rng, drop, common, keep), world)
    if language(world).relations and (true := relations(scene)) and rng.random() < RELATE:
        description = replace(description, relation=rng.choice(true))
    return _write(description, rng.choice, world)


def caption_of_plate(scene: Scene, rng: random.Random, drop: float = 0.2, world: World = FULL) -> str:
    """One of the sentences about a scene without its things: `nothing over sand at sunset`."""
    empty = replace(describe(scene, world), things=())
    return _write(_leave_out(empty, _Silence(rng, drop, COMMON), world), rng.choice, world)


def parse(text: str, world: World = SMALL) -> Description:
    """Read a caption, or any prompt: unknown words are passed over, the first naming counts."""
    text = text.lower()
    for pattern, word in language(world).joined:
        text = re.sub(rf"\b{pattern}\b", word, text)
    tokens = re.findall(r"[a-z]+|[,;.]", text)
    named = {name: _first(tokens, name, world) for name in SETTING if name in world.values}
    parts = (_thing(part, world) for part in _parts(tokens, world))
    things = tuple(thing for thing in parts if thing != ThingDescription())
    if language(world).relations:
        named["relation"] = next((name for name, word in RELATIONS.items() if word in tokens), None)
    return Description(things, **named)


def silent_on(attributes: Collection[str], text: str, rng: random.Random, world: World) -> str:
    """One of the many sentences that say what a caption says, but nothing of these attributes."""
    return sentence(left_open(parse(text, world), attributes), rng, world)


def left_open(said: Description, attributes: Collection[str]) -> Description:
    """The same with nothing said of these attributes, of things or of the whole."""
    own, whole = (
        {name: None for name in attributes if name in kind.__annotations__}
        for kind in (ThingDescription, Description)
    )
    things = tuple(replace(thing, **own) for thing in said.things)
    return replace(said, things=things, **whole)


@cache
def words(world: World = SMALL) -> tuple[str, ...]:
    """Every word that the grammar can write, sorted."""
    spoken = language(world)
    every = (*spoken.phrases.values(), *spoken.own_verbs.values(), *spoken.relations.values())
    phrases = [phrase for options in every for phrase in options]
    return tuple(sorted({"a", "and", *" ".join((*phrases, *spoken.nothing)).split()}))


@dataclass(frozen=True)
class _Silence:
    """What a caption leaves out: see `caption`."""

    rng: random.Random
    drop: float
    common: float = 0.0
    keep: str | None = None

    def leaves_out(self, attribute: str, value: str | None, world: World) -> bool:
        if attribute == self.keep:
            return False
        if attribute in MANNERS and value == world.values[attribute][0] and self.rng.random() < self.common:
            return True
        return self.rng.random() < self.drop * _DROP_SHARE[attribute]


def _leave_out(description: Description, silence: _Silence, world: World) -> Description:
    def said(attribute: str, value: str | None) -> str | None:
        return None if silence.leaves_out(attribute, value, world) else value

    things = tuple(
        replace(
            thing,
            color=said("color", thing.color),
            size=said("size", thing.size),
            motion=said("motion", thing.motion),
        )
        for thing in description.things
    )
    setting = {name: said(name, getattr(description, name)) for name in SETTING if name in world.values}
    return Description(things, **setting)


# Word orders: digits are the things, n that there is none, g ground, t time, w weather, s style, c camera.
_ORDERS = {
    SMALL: {1: ("0gt", "0tg", "t0g"), 2: ("0&1gt", "0gt&1", "t0&1g", "0g&1t")},
    FULL: {
        1: ("0gtwsc", "0twgcs", "tw0gsc", "s0gtwc", "c0gwts"),
        2: ("0&1gtwsc", "0gtw&1sc", "tw0&1gsc", "s0&1gtwc", "c0g&1wts"),
        3: ("0&1&2gtwsc", "tw0&1&2gsc", "s0&1&2gwtc", "c0&1g&2wts"),
        0: ("ngtwsc",),
    },
}


def _write(description: Description, choose: Choose, world: World) -> str:
    """Fill one of the word orders."""
    spoken = language(world)
    things = enumerate(description.things)
    follows = description.relation is not None
    parts = {str(i): _write_thing(thing, choose, spoken, follows and i == 1) for i, thing in things}
    parts |= {name[0]: _phrase(getattr(description, name), choose, spoken) for name in SETTING}
    order = choose(_ORDERS[world][len(description.things)])
    if follows:
        parts["r"] = choose(spoken.relations[str(description.relation)])
        order = re.sub("0[^1]*&1", "0r1", order, count=1) + "".join(re.findall("0([^1&]+)&1", order))
    parts |= {"&": "and", "n": choose(spoken.nothing) if spoken.nothing else ""}
    return " ".join(parts[symbol] for symbol in order if parts[symbol])


def _write_thing(thing: ThingDescription, choose: Choose, spoken: Language, follows: bool) -> str:
    """A thing and what it does; after a relation, as a participle."""
    article = choose(("a", "a", "a", ""))
    nouns = (_phrase(value, choose, spoken) for value in (thing.size, thing.color, thing.kind))
    verbs = spoken.phrases[thing.motion] if thing.motion else ("",)
    if thing.motion in ("left", "right"):
        verbs += tuple(f"{verb} {thing.motion}" for verb in spoken.own_verbs.get(thing.kind or "", ()))
    if follows and thing.motion:
        verbs = tuple(verb for verb in verbs if verb.split()[0].endswith("ing"))
    return " ".join(filter(None, (article, *nouns, choose(verbs))))


def _phrase(value: str | None, choose: Choose, spoken: Language) -> str:
    return choose(spoken.phrases[value]) if value else ""


@cache
def _lexicon(attribute: str, world: World) -> dict[str, str]:
    """Word -> the value of `attribute` that it names."""
    readings = language(world).readings
    return {word: value for value in world.values[attribute] for word in readings[value].split()}


def _first(tokens: list[str], attribute: str, world: World) -> str | None:
    lexicon = _lexicon(attribute, world)
    return next((lexicon[token] for token in tokens if token in lexicon), None)


def _parts(tokens: list[str], world: World) -> list[list[str]]:
    """Cut the text into one part for each noun, at the boundaries that a noun follows."""
    nouns = _lexicon("kind", world)
    parts: list[list[str]] = [[]]
    for start, stop in _spans(tokens):
        span = tokens[start:stop]
        if nouns.keys() & span and nouns.keys() & parts[-1]:
            parts.append([])
        parts[-1] += span
    return parts


def _spans(tokens: list[str]) -> list[tuple[int, int]]:
    starts = [0, *(index for index, token in enumerate(tokens) if token in _BOUNDARY)]
    return list(zip(starts, [*starts[1:], len(tokens)], strict=True))


def _thing(part: list[str], world: World) -> ThingDescription:
    # In "over green grass" the color is the ground's.
    grounds = _lexicon("ground", world)
    own = [token for token, after in pairwise([*part, ""]) if after not in grounds]
    kind, color, size, motion = (_first(own, name, world) for name in ("kind", "color", "size", "motion"))
    return ThingDescription(kind, color, size, motion)
