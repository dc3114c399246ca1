"""Sound files, and what is done to each of their parts."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import media_clips as clips
from PIL import Image

from hostile.parts import FINDERS, Part

HEIGHT, WIDTH, COUNT = 48, 64, 6
SHARES = (0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 0.999)


@dataclass(frozen=True)
class Case:
    """A file to be made: `name` tells its suffix and what is wrong with it."""

    name: str
    make: Callable[[], bytes]


# name: codec, pixel format, and what else the muxer is told
VIDEOS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264.mp4": ("libx264", "yuv420p", {}),
    "fragments.mp4": ("libx264", "yuv420p", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
    "mpeg4.mp4": ("mpeg4", "yuv420p", {}),
    "prores.mov": ("prores", "yuv422p10le", {}),
    "mjpeg.mov": ("mjpeg", "yuvj420p", {}),
    "ffv1.mkv": ("ffv1", "bgr0", {}),
    "h264.mkv": ("libx264", "yuv420p", {}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {}),
    "vp8.webm": ("libvpx", "yuv420p", {}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "raw.avi": ("rawvideo", "bgr24", {}),
    "a.gif": ("gif", "rgb8", {}),
}
STILLS = {"a.png": 1, "moving.png": 4, "a.jpg": 1, "a.webp": 1, "moving.webp": 4}  # and how many pictures


def sound_files(folder: Path) -> dict[str, bytes]:
    """One sound file of each kind, by name."""
    for name, (codec, pixel_format, options) in VIDEOS.items():
        write(folder / name, codec, pixel_format, options)
    images = [Image.fromarray(frame) for frame in clips.moving(4, HEIGHT, WIDTH)]
    for name, count in STILLS.items():
        more = {"save_all": True, "append_images": images[1:count]} if count > 1 else {}
        images[0].save(folder / name, **more)
    return {name: (folder / name).read_bytes() for name in (*VIDEOS, *STILLS)}


def write(path: Path, codec: str, pixel_format: str, options: dict[str, str]) -> None:
    """A clip with sound where the container takes it, and a tag."""
    with av.open(str(path), "w", options=options) as container:
        container.metadata["comment"] = "a tag"
        frames = clips.moving(COUNT, HEIGHT, WIDTH)
        muxing = [clips.add_video(container, frames, codec, pixel_format=pixel_format, fps=Fraction(25))]
        if path.name in ("h264.mp4", "h264.mkv"):
            muxing.append(clips.add_sound(container))
        for mux in muxing:
            mux()


# What is done to them


def cut(sound: dict[str, bytes]) -> Iterator[Case]:
    """Files that end too early, among them in the middle of each part."""
    for name, data in sound.items():
        for share in SHARES:
            yield Case(f"{share:g} of {name}", partial(beginning, data, int(len(data) * share)))
        for number, part in enumerate(parts_of(name, data)):
            middle = (part.body + part.end) // 2
            yield Case(f"{label(part, number)} cut in {name}", partial(beginning, data, middle))


def beginning(data: bytes, length: int) -> bytes:
    return data[: max(1, length)]


def damaged(sound: dict[str, bytes], seed: int) -> Iterator[Case]:
    """Every harm to every part of every file."""
    for name, data in sound.items():
        for number, part in enumerate(parts_of(name, data)):
            for what, harm in HARMS.items():
                called = f"{label(part, number)} {what} in {name}"
                draw = random.Random(f"{seed} {called}")
                yield Case(called, partial(harmed, name, data, part, harm, draw.getstate()))


def label(part: Part, number: int) -> str:
    """A name that files may have."""
    letters = (letter if letter.isalnum() else "-" for letter in part.name.rpartition("/")[2])
    return f"{number:03d} {''.join(letters)}"


def parts_of(name: str, data: bytes) -> list[Part]:
    return list(FINDERS[name.rpartition(".")[2]](data))


Harm = Callable[[bytearray, Part, random.Random], None]


def harmed(name: str, data: bytes, part: Part, harm: Harm, state: tuple[object, ...]) -> bytes:
    draw, bad = random.Random(), bytearray(data)
    draw.setstate(state)  # type: ignore[arg-type]
    harm(bad, part, draw)
    return whole_png(bytes(bad)) if name.endswith(".png") and draw.random() < 0.8 else bytes(bad)


def whole_png(data: bytes) -> bytes:
    """The sums of a png made right, so that what it holds is looked at."""
    bad = bytearray(data)
    for part in parts_of("a.png", data):
        if part.end <= len(bad):
            bad[part.end - 4 : part.end] = zlib.crc32(bad[part.kind[0] : part.end - 4]).to_bytes(4, "big")
    return bytes(bad)


def flip(bad: bytearray, start: int, end: int, draw: random.Random, bits: int) -> None:
    for _ in range(bits if end > start else 0):
        bad[draw.randrange(start, end)] ^= 1 << draw.randrange(8)


def flip_kind(bad: bytearray, part: Part, draw: random.Random) -> None:
    flip(bad, *part.kind, draw, 1)


def flip_size(bad: bytearray, part: Part, draw: random.Random) -> None:
    flip(bad, *part.size, draw, 1)


def flip_one(bad: bytearray, part: Part, draw: random.Random) -> None:
    flip(bad, part.body, min(part.end, len(bad)), draw, 1)


def flip_many(bad: bytearray, part: Part, draw: random.Random) -> None:
    flip(bad, part.body, min(part.end, part.body + 64, len(bad)), draw, 6)


def huge_size(bad: bytearray, part: Part, draw: random.Random) -> None:
    fill(bad, *part.size, 0xFF)


def no_size(bad: bytearray, part: Part, draw: random.Random) -> None:
    fill(bad, *part.size, 0)


def huge_numbers(bad: bytearray, part: Part, draw: random.Random) -> None:
    start = part.body + 4 * draw.randrange(max(1, min(8, (part.end - part.body) // 4)))
    fill(bad, start, min(start + 4, part.end), draw.choice((0xFF, 0x7F)))


def zeros(bad: bytearray, part: Part, draw: random.Random) -> None:
    fill(bad, part.body, part.end, 0)


def noise(bad: bytearray, part: Part, draw: random.Random) -> None:
    end = min(part.end, len(bad))
    bad[part.body : end] = draw.randbytes(max(0, end - part.body))


def gone(bad: bytearray, part: Part, draw: random.Random) -> None:
    del bad[part.start : part.end]


def twice(bad: bytearray, part: Part, draw: random.Random) -> None:
    bad[part.start : part.start] = bad[part.start : part.end]


def fill(bad: bytearray, start: int, end: int, value: int) -> None:
    end = min(end, len(bad))
    bad[start:end] = bytes([value]) * max(0, end - start)


HARMS: dict[str, Harm] = {
    "of another kind": flip_kind,
    "of another size": flip_size,
    "with a bit flipped": flip_one,
    "with bits flipped": flip_many,
    "of huge size": huge_size,
    "of no size": no_size,
    "with huge numbers": huge_numbers,
    "of zeros": zeros,
    "of noise": noise,
    "gone": gone,
    "twice": twice,
}
