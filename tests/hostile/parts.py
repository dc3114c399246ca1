"""Where the parts of a media file begin and end: boxes, elements, chunks, segments and blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kineograph.media.formats import colour_table_bytes


@dataclass(frozen=True)
class Part:
    """`start` to `end` in the file; its `kind` and `size` fields as (start, end), its body from `body` on."""

    name: str
    start: int
    kind: tuple[int, int]
    size: tuple[int, int]
    body: int
    end: int


# Boxes that hold boxes, and how many bytes stand before those. Source: ISO/IEC 14496-12.
BOXES = {
    **dict.fromkeys(
        (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"moof", b"traf", b"mvex"), 0
    ),
    **{b"stsd": 8, b"dref": 8, b"meta": 4, b"avc1": 78, b"hvc1": 78, b"mp4a": 28, b"apcn": 78, b"jpeg": 78},
}


def mov_parts(data: bytes, start: int = 0, end: int | None = None, within: str = "") -> Iterator[Part]:
    end = len(data) if end is None else end
    while start + 8 <= end:
        length, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        if not 8 <= length <= end - start:
            return
        name = f"{within}/{kind.decode('latin-1')}"
        stop = start + length
        yield Part(name, start, (start + 4, start + 8), (start, start + 4), start + 8, stop)
        if kind in BOXES:
            yield from mov_parts(data, start + 8 + BOXES[kind], stop, name)
        start = stop


# Elements that hold elements. Source: RFC 9559.
MASTERS = {
    *("1a45dfa3", "18538067", "114d9b74", "4dbb", "1549a966", "1654ae6b", "ae", "e0", "e1", "55b0"),
    *("1f43b675", "a0", "1c53bb6b", "bb", "b7", "1254c367", "7373", "63c0", "67c8", "6d80", "6240"),
}


def ebml_parts(data: bytes, start: int = 0, end: int | None = None, within: str = "") -> Iterator[Part]:
    end = len(data) if end is None else end
    while start < end and data[start]:
        kind_end = start + 9 - data[start].bit_length()
        if kind_end >= end or not data[kind_end]:
            return
        body = kind_end + 9 - data[kind_end].bit_length()
        bits = 7 * (body - kind_end)
        length = int.from_bytes(data[kind_end:body], "big") & ((1 << bits) - 1)
        stop = end if length == (1 << bits) - 1 else min(end, body + length)
        kind = data[start:kind_end].hex()
        yield Part(f"{within}/{kind}", start, (start, kind_end), (kind_end, body), body, stop)
        if kind in MASTERS:
            yield from ebml_parts(data, body, stop, f"{within}/{kind}")
        start = stop


def riff_parts(data: bytes, start: int = 0, end: int | None = None, within: str = "") -> Iterator[Part]:
    end = len(data) if end is None else end
    while start + 8 <= end:
        kind = data[start : start + 4]
        length = int.from_bytes(data[start + 4 : start + 8], "little")
        stop = min(end, start + 8 + length)
        name = f"{within}/{kind.decode('latin-1')}"
        yield Part(name, start, (start, start + 4), (start + 4, start + 8), start + 8, stop)
        if kind in (b"RIFF", b"LIST"):
            yield from riff_parts(data, start + 12, stop, name)
        start = stop + length % 2


def png_parts(data: bytes) -> Iterator[Part]:
    start = 8
    while start + 12 <= len(data):
        stop = start + 12 + int.from_bytes(data[start : start + 4], "big")
        name = data[start + 4 : start + 8].decode("latin-1")
        yield Part(name, start, (start + 4, start + 8), (start, start + 4), start + 8, stop)
        start = stop


def jpg_parts(data: bytes) -> Iterator[Part]:
    start = 2
    while start + 4 <= len(data) and data[start] == 0xFF:
        stop = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        name = f"{data[start + 1]:02x}"
        yield Part(name, start, (start, start + 2), (start + 2, start + 4), start + 4, stop)
        if name == "da":  # what follows is pixels
            return
        start = stop


def gif_parts(data: bytes) -> Iterator[Part]:
    """The head, then blocks; a block's first sub-block tells its size."""
    start = 13 + colour_table_bytes(data[10:11])
    yield Part("head", 0, (0, 6), (6, 10), 6, start)
    while start < len(data) and data[start] in b"!,":
        body = (
            start + 2
            if data[start] == ord("!")
            else start + 10 + colour_table_bytes(data[start + 9 : start + 10]) + 1
        )
        stop = body
        while size := data[stop]:
            stop += size + 1
        name = data[start : start + 2].hex() if data[start] == ord("!") else "image"
        yield Part(name, start, (start, start + 1), (body, body + 1), start + 1, stop + 1)
        start = stop + 1


Finder = Callable[[bytes], Iterator[Part]]
FINDERS: dict[str, Finder] = {
    **dict.fromkeys(("mp4", "mov"), mov_parts),
    **dict.fromkeys(("mkv", "webm"), ebml_parts),
    **dict.fromkeys(("avi", "webp"), riff_parts),
    "gif": gif_parts,
    "png": png_parts,
    "jpg": jpg_parts,
}
