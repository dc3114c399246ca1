"""Request: what somebody wants made, validated once, and JSON both ways."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any, NoReturn, TypeVar

from kineograph import controls
from kineograph.errors import RequestError

T = TypeVar("T")

MAX_PROMPT = 2000
MAX_FRAMES = 10_000
MAX_SECONDS = 10_000
MAX_SEED = 2**63 - 1
MAX_STYLES = 8
MOST_TOLD = 80  # letters of a value in a message
LONGEST_PATH = 4096
LONGEST_WORD = 100  # letters of a number, of a point or of an action
FITS = ("crop", "pad")
WAYS = ("extend", "interpolate", "mask", "edit", "remove", "insert", "outpaint")  # of working on footage
FLAGS = ("remove", "insert", "outpaint")
SEVERAL = ("tracks", "boxes", "style")
FILES = ("video", "mask", "pose", "depth", "edges")

# field: (lowest, highest, is it a whole number?)
_RANGES: dict[str, tuple[float, float, bool]] = {
    "extend": (-MAX_SECONDS, MAX_SECONDS, False),
    "interpolate": (2, 64, True),
    "edit": (0.05, 1, False),
    "frames": (1, MAX_FRAMES, True),
    "seconds": (0.001, MAX_SECONDS, False),
    "fps": (1, 240, False),
    "steps": (1, 1000, True),
    "guidance": (0, 30, False),
    "seed": (0, MAX_SEED, True),
}
_ADDED = {"then", *FLAGS, *SEVERAL}
_BOX = re.compile(r"\s*,\s*".join([r"(-?\d*\.?\d+|-?\d+\.)"] * 4))


def _check_number(name: str, value: object, low: float, high: float, whole: bool) -> None:
    kind = int if whole else (int, float)
    good = isinstance(value, kind) and not isinstance(value, bool)
    if not good or not low <= value <= high:  # type: ignore[operator]  # a number by now; NaN fails here
        noun = "whole number" if whole else "number"
        raise RequestError(f"{name} must be a {noun} from {low} to {high}, not {_told(value)}.")


def _told(value: object) -> str:
    """A value as a message shows it: short, and harmless to a terminal."""
    if isinstance(value, int) and value.bit_length() > 1000:  # Python refuses to write some out
        return "one so large"
    if isinstance(value, str) and len(value) > MOST_TOLD:
        return repr(value[:MOST_TOLD] + "…")
    text = repr(value)
    return text if len(text) <= 2 * MOST_TOLD else text[:MOST_TOLD] + "…"


def _check_prompt(prompt: object) -> None:
    if not isinstance(prompt, str) or len(prompt) > MAX_PROMPT:
        raise RequestError(f"The prompt must be text of at most {MAX_PROMPT} characters.")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in prompt):
        raise RequestError("The prompt must not hold control characters or line breaks; take them out.")


def _check_path(name: str, value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_PATH or "\0" in value:
        raise RequestError(f"{name} must be the path of a file, given as text, not {_told(value)}.")


def box_of(mask: str) -> tuple[float, float, float, float] | None:
    """The box (x, y, width, height) that `mask` spells in fractions of the frame; None if it is a file."""
    match = _BOX.fullmatch(mask.strip()) if len(mask) <= 4 * LONGEST_WORD else None
    if match is None:
        return None
    x, y, width, height = (float(group) for group in match.groups())
    slack = 1 + 1e-9  # 0.7 + 0.3 may exceed 1 in floating point
    if min(x, y) < 0 or min(width, height) <= 0 or x + width > slack or y + height > slack:
        raise RequestError(f"The mask box {mask} must be an area in the frame: x,y,w,h are fractions of it.")
    return x, y, width, height


@dataclass(frozen=True)
class Keyframe:
    """An image file that the clip shows at `at` seconds.

    Images without a time are spread evenly: a single one comes first, of two the second comes last.
    """

    path: str
    at: float | None = None

    def __post_init__(self) -> None:
        _check_path("An image", self.path)
        if self.at is not None:
            _check_number("The time of an image", self.at, 0, MAX_SECONDS, whole=False)


@dataclass(frozen=True)
class Waypoint:
    """A prompt that the clip has come to at `at` seconds."""

    prompt: str
    at: float

    def __post_init__(self) -> None:
        _check_prompt(self.prompt)
        if not self.prompt.strip():
            raise RequestError("A later prompt must say something; give it words.")
        _check_number("The time of a later prompt", self.at, 0.001, MAX_SECONDS, whole=False)


@dataclass(frozen=True)
class Walk:
    """Another clip, of this prompt and seed, and the `share` of the way to it, from 0 to 1, that is gone."""

    prompt: str
    seed: int
    share: float

    def __post_init__(self) -> None:
        _check_prompt(self.prompt)
        if not self.prompt.strip():
            raise RequestError("The prompt at the end of a walk must say something; give it words.")
        _check_number("The seed at the end of a walk", self.seed, 0, MAX_SEED, whole=True)
        _check_number("The share of a walk", self.share, 0, 1, whole=False)


@dataclass(frozen=True)
class Request:
    """One clip to be made. Values that are None are left to the model.

    Args:
        prompt: what to show, up to 2,000 characters; may be empty where pictures or footage guide.
        then: prompts that the clip comes to later, in seconds from its start, what it continues included;
            between two of them it is on the way.
        walk: another clip, on the way to which this one stands.
        model: a name in the catalog, or a local folder.
        images: pictures that the clip passes through.
        video: footage to be extended, interpolated, filled in, changed or widened.
        mask: what to fill in: a file (image or video, white = fill), or "x,y,w,h" in fractions of the frame.
        extend: seconds to add to the footage: after it if positive, before it if negative.
        interpolate: the footage's frames become every N-th frame of the result (2 to 64).
        edit: change the footage into what the prompt says, from 0.05 (a little) to 1 (all that must).
        remove: take the things out of the footage, all of them or, with a prompt, all that it doesn't name.
        insert: put into the footage what the prompt names.
        outpaint: keep all of the footage and make what is around it, in frames of another shape.
        style: clips or pictures whose style is wanted; of several, what lies between. With a video and no
            other way to work on it, the video is brought to that style.
        tracks: the path of each thing, in the prompt's order, as points "x,y x,y" in fractions of the frame,
            spread evenly over the clip; "free" for a thing that goes its own way.
        boxes: the same for the boxes "x,y,w,h" of things.
        pose: a JSON file with poses of a robot: a list of lists of points [x, y].
        depth, edges: videos or pictures of how near things are (white is near) and of their outlines (white).
        camera: a path of points "shift,zoom" that the camera takes.
        actions: what the thing does, a word a frame: none, left, right, jump; "right*8" is eight of them.
        fit: how pictures of another shape are fitted: "crop" fills the frame and cuts the rest off evenly,
            "pad" keeps all of the picture and gives the result the picture's shape.
        frames, seconds: the length (1 to 10,000 frames), one of the two.
        fps: frames per second (1 to 240).
        size: (width, height) in pixels, even, 16 to 4096.
        steps: network evaluations (1 to 1000).
        guidance: how strongly prompt and guides pull, less where more pixels are known (0 to 30; 1 is no more
            than the model has learnt).
        seed: the clip's random seed (0 to 2**63 - 1).

    Raises:
        RequestError: a value is out of range, or values contradict one another.
    """

    prompt: str = ""
    then: tuple[Waypoint, ...] = ()
    walk: Walk | None = None
    model: str = "playground"
    images: tuple[Keyframe, ...] = ()
    video: str | None = None
    mask: str | None = None
    extend: float | None = None
    interpolate: int | None = None
    edit: float | None = None
    remove: bool = False
    insert: bool = False
    outpaint: bool = False
    style: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()
    pose: str | None = None
    depth: str | None = None
    edges: str | None = None
    camera: str | None = None
    actions: str | None = None
    fit: str = "crop"
    frames: int | None = None
    seconds: float | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_words()
        self._check_numbers()
        self._check_media()
        self._check_length()
        self._check_controls()

    def _check_controls(self) -> None:
        given = (self.tracks, self.boxes, (self.camera, self.actions))
        texts = [text for some in given if isinstance(some, tuple) for text in some if text is not None]
        if wrong := [text for text in texts if not isinstance(text, str)]:
            raise RequestError(f"Paths, boxes and actions must be texts, not {_told(wrong[0])}.")
        if any(len(word) > LONGEST_WORD for text in texts for word in text.split()):  # hours to see no number
            raise RequestError("A path, box or action has too long a word; put spaces between points.")
        controls.check(self.tracks, self.boxes, self.camera, self.actions)

    def _check_words(self) -> None:
        _check_prompt(self.prompt)
        if not isinstance(self.then, tuple) or any(not isinstance(one, Waypoint) for one in self.then):
            raise RequestError("then must be a tuple of Waypoint(prompt, at).")
        if self.walk is not None and not isinstance(self.walk, Walk):
            raise RequestError("walk must be a Walk(prompt, seed, share).")
        if self.walk and self.then:
            raise RequestError("Give later prompts or a walk to another clip, not both.")
        if any(one.at >= other.at for one, other in pairwise(self.then)):
            raise RequestError("The later prompts must stand in the order of their times, each at its own.")
        _check_path("model", self.model)
        if self.fit not in FITS:
            raise RequestError(f"fit must be crop or pad, not {_told(self.fit)}.")

    def _check_numbers(self) -> None:
        for name, (low, high, whole) in _RANGES.items():
            value = getattr(self, name)
            if value is not None or name == "seed":
                _check_number(name, value, low, high, whole)
        if self.extend == 0:
            raise RequestError("extend must not be 0: give seconds to add, negative to add them before.")
        if self.size is not None:
            if not isinstance(self.size, tuple) or len(self.size) != 2:
                raise RequestError(
                    f"size must be a width and a height, (width, height), not {_told(self.size)}."
                )
            for name, side in zip(("width", "height"), self.size, strict=True):
                _check_number(name, side, 16, 4096, whole=True)
                if side % 2:
                    raise RequestError(f"The {name} must be even, as video formats demand, not {side}.")

    def _check_media(self) -> None:
        if not isinstance(self.images, tuple) or any(not isinstance(i, Keyframe) for i in self.images):
            raise RequestError("images must be a tuple of Keyframe(path, at).")
        for name in FILES:
            if getattr(self, name) is not None:
                _check_path(name, getattr(self, name))
        if not isinstance(self.style, tuple) or len(self.style) > MAX_STYLES:
            raise RequestError(f"style must be a tuple of at most {MAX_STYLES} paths.")
        for path in self.style:
            _check_path("style", path)
        if self.mask is not None:
            box_of(self.mask)
        if self.images and self.video:
            raise RequestError("Give images or a video, not both.")
        if not (self.prompt.strip() or self.images or self.video):
            raise RequestError("Give a prompt, an image or a video: there is nothing to go by.")
        self._check_ways()

    def _check_ways(self) -> None:
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise RequestError(f"{name} must be true or false, not {_told(getattr(self, name))}.")
        if self.insert and not self.prompt.strip():
            raise RequestError("insert needs a prompt that names what is to be put in; give one.")
        if self.outpaint and self.fit != "crop":
            raise RequestError("outpaint keeps all of the video; leave fit out.")
        ways = [name for name in WAYS if getattr(self, name) not in (None, False)]
        if ways and not self.video:
            raise RequestError(f"{ways[0]} needs a video to work on; give one.")
        if self.video and len(ways) != 1 and not (self.style and not ways):
            raise RequestError(f"Say what to do with the video: give one of {', '.join(WAYS)}.")

    def _check_length(self) -> None:
        if self.frames is not None and self.seconds is not None:
            raise RequestError("Give the length in frames or in seconds, not both.")
        if self.video and (self.frames or self.seconds):
            raise RequestError("The length follows from the video; leave frames and seconds out.")

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompt and whatever else is said: later on, at the end of a walk."""
        walked = [self.walk.prompt] if self.walk else []
        return (self.prompt, *(one.prompt for one in self.then), *walked)

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files that the request names."""
        named = [getattr(self, name) for name in FILES if getattr(self, name) is not None]
        boxless = [path for path in named if path != self.mask or not box_of(path)]
        return (*(image.path for image in self.images), *boxless, *self.style)

    def moved(self, move: Callable[[str], str]) -> Request:
        """The same request with `move` applied to each of `files`."""
        images = tuple(replace(image, path=move(image.path)) for image in self.images)
        named = {name: path for name in FILES if (path := getattr(self, name)) in self.files}
        moved: dict[str, Any] = {name: move(path) for name, path in named.items()}
        return replace(self, images=images, style=tuple(map(move, self.style)), **moved)

    def to_json(self) -> str:
        """The whole request as a JSON object. Fields that are None are left out, and those of `_ADDED` where
        they are as by default, so that a request reads as it did before there were any."""
        unused = {field.name for field in fields(self) if getattr(self, field.name) == field.default}
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({name: value for name, value in given.items() if name not in unused & _ADDED})

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Read what `to_json` wrote.

        Raises:
            RequestError: not a JSON object, an unknown key, or a value that a request can't have.
        """
        values = _parse_object(text)
        _check_keys("request", values, {field.name for field in fields(cls)})
        if "images" in values:
            values["images"] = _parse_each("images", values["images"], Keyframe, {"path": "a.png", "at": 0})
        if "then" in values:
            values["then"] = _parse_each("then", values["then"], Waypoint, {"prompt": "a ball", "at": 2})
        if "walk" in values:
            such = {"prompt": "a ball", "seed": 1, "share": 0.5}
            (values["walk"],) = _parse_each("walk", [values["walk"]], Walk, such)
        for name in ("size", *SEVERAL):
            if isinstance(values.get(name), list):
                values[name] = tuple(values[name])
        return cls(**values)


def _parse_object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The request is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise RequestError('The request must be a JSON object, such as {"prompt": "a red ball"}.')
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _parse_each(name: str, values: object, kind: type[T], such: dict[str, Any]) -> tuple[T, ...]:
    """A tuple of `kind` from a list of objects that have keys of `such`."""
    if not isinstance(values, list) or any(not isinstance(value, dict) for value in values):
        raise RequestError(f"{name} must be a list of objects such as {json.dumps(such)}.")
    for value in values:
        _check_keys(f"list of {name}", value, set(such))
    try:
        return tuple(kind(**value) for value in values)
    except TypeError as error:
        raise RequestError(f"Each of {name} must be like {json.dumps(such)}.") from error


def _check_keys(what: str, values: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(values.keys() - known):
        raise RequestError(
            f"Unknown in the {what}: {_told(unknown[0])}; known are {', '.join(sorted(known))}."
        )
