"""The words of each world: what the grammar writes, and what it understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kineograph.worlds.world import FULL, SMALL, World

# What the grammar writes for each value; the first phrase is the canonical one.
PHRASES: dict[str, tuple[str, ...]] = {
    "ball": ("ball", "sphere"),
    "box": ("box", "cube"),
    "star": ("star",),
    "ring": ("ring", "hoop"),
    "car": ("car", "toy car"),
    "red": ("red",),
    "yellow": ("yellow",),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "white": ("white",),
    "small": ("small", "tiny", "little"),
    "medium": ("medium",),
    "large": ("large", "big", "huge"),
    "still": ("stays still", "is still", "rests", "staying still", "resting"),
    "left": ("moves left", "goes left", "slides to the left", "moves to the left", "moving left"),
    "right": ("moves right", "goes right", "slides to the right", "moves to the right", "moving right"),
    "up": ("rises", "floats up", "moves up", "goes up", "rising", "floating up"),
    "down": ("falls", "sinks down", "moves down", "goes down", "falling", "sinking down"),
    "bounces": ("bounces", "hops", "bouncing", "hopping"),
    "circles": ("circles", "goes round in circles", "moves in circles", "circling"),
    "grass": ("over grass", "on grass", "over the grass", "on the grass", "over the meadow"),
    "sand": ("over sand", "on sand", "over the sand", "on the sand", "on the beach"),
    "snow": ("over snow", "on snow", "over the snow", "on the snow", "in the snow"),
    "water": ("over water", "on water", "over the water", "on the water", "over the sea"),
    "day": ("by day", "in daylight", "in the daytime", "on a sunny day"),
    "sunset": ("at sunset", "at dusk"),
    "night": ("at night", "in moonlight", "under the stars"),
}
# Verbs that suit one kind of thing alone; they take `left` or `right`.
OWN_VERBS = {"ball": ("rolls", "rolling"), "car": ("drives", "driving")}

# Which words name a value when text is read: more than the grammar writes, and each of them once.
READINGS: dict[str, str] = {
    "ball": "ball balls sphere spheres orb",
    "box": "box boxes cube cubes block",
    "star": "star",
    "ring": "ring rings hoop hoops torus",
    "car": "car cars automobile",
    "red": "red crimson scarlet",
    "yellow": "yellow golden",
    "green": "green",
    "blue": "blue",
    "purple": "purple violet",
    "white": "white",
    "small": "small tiny little",
    "medium": "medium",
    "large": "large big huge giant",
    "still": "still rests resting rest motionless",
    "left": "left leftwards",
    "right": "right rightwards",
    "up": "up upwards rises rising rise",
    "down": "down downwards falls falling fall sinks sinking sink",
    "bounces": "bounces bouncing bounce hops hopping hop jumps jumping jump",
    "circles": "circles circling circle orbits orbiting",
    "grass": "grass lawn meadow",
    "sand": "sand beach desert",
    "snow": "snow",
    "water": "water sea lake",
    "day": "day daylight daytime sunny noon",
    "sunset": "sunset dusk evening",
    "night": "night moonlight stars starry midnight",
}


@dataclass(frozen=True, eq=False)
class Language:
    """phrases, own_verbs, readings: as above; joined: (pattern, word) of phrases that are read as one word;
    relations: what is said between two things; nothing: what is said where there is none."""

    phrases: Mapping[str, tuple[str, ...]]
    own_verbs: Mapping[str, tuple[str, ...]]
    readings: Mapping[str, str]
    joined: tuple[tuple[str, str], ...] = ()
    relations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nothing: tuple[str, ...] = ()


_FULL_PHRASES = {
    "robot": ("robot", "toy robot"),
    "bird": ("bird",),
    "orange": ("orange",),
    "pink": ("pink",),
    "black": ("black",),
    "rolls": ("rolls", "rolls along", "rolls to a stop", "rolling"),
    "swings": ("swings", "swings to and fro", "sways", "swinging"),
    "grows": ("grows", "gets bigger", "growing"),
    "shrinks": ("shrinks", "gets smaller", "shrinking"),
    "jumps": ("jumps", "jumps once", "leaps", "jumping"),
    "drops": ("drops", "drops to the ground", "rebounds", "dropping"),
    "collides": ("collides", "bumps into the other", "crashes", "colliding"),
    "road": ("over the road", "on the road", "on asphalt", "on the street"),
    "dawn": ("at dawn", "at sunrise", "in the early morning"),
    "clear": ("in clear weather", "under a clear sky"),
    "rain": ("in the rain", "in rainy weather", "as rain pours"),
    "snowfall": ("in a snowfall", "in a flurry", "in snowy weather"),
    "fog": ("in the fog", "in thick fog", "in the mist"),
    "plain": ("in plain style", "as a plain picture"),
    "cartoon": ("in cartoon style", "as a cartoon"),
    "sketch": ("in pencil", "as a pencil sketch"),
    "pixel": ("in pixel style", "as pixel art"),
    "neon": ("in neon", "in neon lights"),
    "static": ("with a static camera", "with a fixed camera"),
    "pan left": ("as the camera pans left", "while the camera pans to the left"),
    "pan right": ("as the camera pans right", "while the camera pans to the right"),
    "zoom in": ("as the camera zooms in", "while the camera is zooming in"),
    "zoom out": ("as the camera zooms out", "while the camera is zooming out"),
}
_FULL_READINGS = {
    "robot": "robot robots android",
    "bird": "bird birds sparrow",
    "orange": "orange",
    "pink": "pink rose",
    "black": "black",
    "bounces": "bounces bouncing bounce hops hopping hop",
    "rolls": "rolls rolling roll",
    "swings": "swings swinging swing sways swaying",
    "grows": "grows growing grow bigger",
    "shrinks": "shrinks shrinking shrink smaller",
    "jumps": "jumps jumping jump leaps leaping leap",
    "drops": "drops dropping drop rebounds rebounding",
    "collides": "collides colliding collide bumps bumping crashes crashing",
    "road": "road street asphalt",
    "dawn": "dawn sunrise morning",
    "clear": "clear",
    "rain": "rain rainy raining",
    "snowfall": "snowfall snowy flurry snowing",
    "fog": "fog foggy mist misty",
    "plain": "plain",
    "cartoon": "cartoon",
    "sketch": "sketch sketched pencil",
    "pixel": "pixel pixels pixelated",
    "neon": "neon",
    "static": "static fixed",
    "pan left": "panleft",
    "pan right": "panright",
    "zoom in": "zoomin",
    "zoom out": "zoomout",
}
_JOINED = (
    *((rf"pan(?:s|ning)?\s+(?:to\s+the\s+)?{side}", f"pan{side}") for side in ("left", "right")),
    *((rf"zoom(?:s|ing)?\s+{way}", f"zoom{way}") for way in ("in", "out")),
    (r"(?:to\s+the\s+)?left\s+of", "leftof"),
    (r"in\s+front\s+of", "infrontof"),
)
RELATIONS = {"left of": "leftof", "above": "above", "in front of": "infrontof"}  # as they are read

LANGUAGES = {
    SMALL: Language(PHRASES, OWN_VERBS, READINGS),
    FULL: Language(
        phrases={**PHRASES, **_FULL_PHRASES},
        own_verbs={
            "car": OWN_VERBS["car"],
            "robot": ("walks", "strides", "walking"),
            "bird": ("flies", "flying"),
        },
        readings={**READINGS, **_FULL_READINGS},
        joined=_JOINED,
        relations={
            "left of": ("to the left of", "left of"),
            "above": ("above",),
            "in front of": ("in front of",),
        },
        nothing=("nothing", "nothing", "an empty scene"),
    ),
}


def language(world: World) -> Language:
    return LANGUAGES[world]
