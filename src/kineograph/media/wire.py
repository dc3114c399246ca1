"""What a reading process and its confined child say to one another: one task in, records out.

A record is one kind byte, a little-endian uint32 length and that many bytes:

    I   the Probe as JSON; always first
    F   a uint32 repeat count, then one frame, height * width * 3 bytes
    E   why the file can't be read: the rest of a sentence that begins with the file's name
    .   the end
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, field
from math import inf
from typing import IO, BinaryIO

INFO, FRAME, ERROR, END = b"I", b"F", b"E", b"."
HEAD = struct.Struct("<cI")
REPEATS = struct.Struct("<I")


class Unreadable(Exception):  # noqa: N818 - a reason, which becomes a MediaError once the file's name is known
    """Why a file can't be read: the rest of a sentence that begins with its name."""


@dataclass(frozen=True)
class Limits:
    """What one reading of one file may cost. Beyond it, the file is refused."""

    file_bytes: int = 4 * 1024**3
    frame_pixels: int = 8192 * 8192
    total_pixels: int = 2_000_000_000  # decoded, and delivered: a 30 kB file can hold gigabytes of frames
    fps: float = 1000.0
    memory_bytes: int = 2 * 1024**3  # address space of the child
    cpu_seconds: int = 60
    stuck_seconds: int = 10  # of processor time without a picture: some files cost hours and show one
    wall_seconds: float = 300.0


LIMITS = Limits()


@dataclass(frozen=True)
class Probe:
    """What a file holds, as `read_video` would deliver it: upright, at a constant rate.

    width, height: pixels, after rotation. fps: frames per second. frames: expected number, None if unknown.
    seconds: length. codec, container: short names such as "h264" and "mp4". notes: what reading leaves out or
    alters, one sentence each. metadata: the container's tags, keys in lower case; the first 64 of them, the
    first 32,768 characters of each.
    """

    width: int
    height: int
    fps: float
    frames: int | None
    seconds: float
    codec: str
    container: str
    has_audio: bool
    notes: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Probe:
        """Raises ValueError unless every field is of its type and in its range: a child is not trusted."""
        try:
            values = json.loads(text)
            probe = cls(**(values | {"notes": tuple(values["notes"])}))
            sane = probe._is_sane()
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError("not a probe") from error
        if not sane:
            raise ValueError("not a probe")
        return probe

    def _is_sane(self) -> bool:
        words = (self.codec, self.container, *self.notes, *self.metadata, *self.metadata.values())
        return (
            all(type(size) is int and size > 0 for size in (self.width, self.height, self.frames or 1))
            and all(type(number) is float and 0 < number < inf for number in (self.fps, self.seconds))
            and all(type(word) is str for word in words)
            and type(self.has_audio) is bool
        )


@dataclass(frozen=True)
class Task:
    """What the child is to do with the file on its standard input.

    frames: deliver frames too, not the Probe alone. start: seconds into the
    clip. fps: frames per second, None for the clip's own rate. max_frames: None for all.
    """

    frames: bool
    start: float = 0.0
    fps: float | None = None
    max_frames: int | None = None
    limits: Limits = LIMITS

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        values = json.loads(text)
        return cls(**(values | {"limits": Limits(**values["limits"])}))


def write_record(out: BinaryIO, kind: bytes, *parts: bytes | memoryview) -> None:
    out.write(HEAD.pack(kind, sum(len(part) for part in parts)))
    for part in parts:
        out.write(part)


def read_record(source: IO[bytes], largest: int) -> tuple[bytes, bytes]:
    """The next record's kind and payload; EOFError if the source ends or claims more than `largest` bytes."""
    head = source.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    kind, size = HEAD.unpack(head)
    payload = source.read(size) if size <= largest else b""
    if len(payload) < size:
        raise EOFError
    return kind, payload
