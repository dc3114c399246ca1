"""Which files are read. A file is known by its first bytes, never by its name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from kineograph.media.wire import Unreadable

HEAD_BYTES = 64
MOST_TAGS, MOST_CHARACTERS = 64, 32_768
READABLE = "mp4, mov, mkv, webm, avi, gif, png, jpg or webp"

# What libavcodec may open. Everything else that it was built with stays shut.
CODECS = (
    "h264", "hevc", "libdav1d", "av1", "vp8", "vp9", "mpeg4", "mpeg2video",
    "mjpeg", "ffv1", "prores", "rawvideo", "png", "gif",
)  # fmt: skip


@dataclass(frozen=True)
class Format:
    """name: as shown to people. demuxer: libavformat's only allowed demuxer, None for Pillow.

    plugin: Pillow's only allowed plugin, None for libavformat.
    """

    name: str
    demuxer: str | None = None
    plugin: str | None = None


FORMATS = {
    form.name: form
    for form in (
        Format("mp4", demuxer="mov"),
        Format("mov", demuxer="mov"),
        Format("mkv", demuxer="matroska"),
        Format("webm", demuxer="matroska"),
        Format("avi", demuxer="avi"),
        Format("gif", demuxer="gif"),
        Format("png", plugin="PNG"),
        Format("jpg", plugin="JPEG"),
        Format("webp", plugin="WEBP"),
    )
}
_MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_STILL_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")


def sniff(head: bytes) -> Format:
    """The format of a file that begins with `head` (64 bytes). Unreadable names those that are read."""
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        raise Unreadable("is a HEIC or AVIF image, which is not read: convert it to png or jpg.")
    known = {
        "mp4": head[4:8] in _MOV_BOXES,
        "mov": head[4:8] in _MOV_BOXES and head[8:12] == b"qt  ",
        "mkv": head.startswith(b"\x1aE\xdf\xa3"),
        "webm": head.startswith(b"\x1aE\xdf\xa3") and b"webm" in head,
        "avi": head.startswith(b"RIFF") and head[8:12] == b"AVI ",
        "gif": head.startswith((b"GIF87a", b"GIF89a")),
        "png": head.startswith(b"\x89PNG\r\n\x1a\n"),
        "jpg": head.startswith(b"\xff\xd8\xff"),
        "webp": head.startswith(b"RIFF") and head[8:12] == b"WEBP",
    }
    names = [name for name, fits in known.items() if fits]
    if not names:
        raise Unreadable(f"is neither a video nor an image that is read here: use {READABLE}.")
    return FORMATS[names[-1]]


def is_cut_short(file: BinaryIO, form: Format) -> bool:
    """Whether the file ends before it says that it does; a decoder would pass over that in silence.

    Images are not looked at: their decoder raises.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    match form.name:
        case "mp4" | "mov":
            return _mov_end(file, size) > size
        case "mkv" | "webm":
            return _ebml_end(file) > size
        case "avi":
            return 8 + int.from_bytes(file.read(8)[4:], "little") > size
        case "gif":
            return not _gif_has_end(file)
    return False


def _mov_end(file: BinaryIO, size: int) -> int:
    """Where the last box that begins within the file ends. Source: ISO/IEC 14496-12, section 4.2."""
    end = 0
    while end <= size - 8:
        file.seek(end)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0 means "up to the end of the file", 1 to 7 mean nothing
            return size
        end += length
    return end


def _gif_has_end(file: BinaryIO) -> bool:
    """Whether the blocks go on up to the trailer, or to what is no block. Source: GIF89a, appendix B."""
    file.seek(10)
    file.seek(13 + colour_table_bytes(file.read(1)))
    while (kind := file.read(1)) in (b"!", b","):
        if kind == b",":
            file.seek(8, os.SEEK_CUR)
            file.seek(colour_table_bytes(file.read(1)), os.SEEK_CUR)
        file.seek(1, os.SEEK_CUR)
        while size := int.from_bytes(file.read(1), "big"):
            file.seek(size, os.SEEK_CUR)
    return kind != b""


def colour_table_bytes(flags: bytes) -> int:
    """The size of a gif's colour table, told by the byte of flags that goes before it."""
    bits = int.from_bytes(flags, "big")
    return 3 << (bits & 7) + 1 if bits & 0x80 else 0


def _ebml_end(file: BinaryIO) -> int:
    """Where the first segment ends; 0 for a live stream. Source: RFC 8794, sections 4 to 6."""
    file.seek(4)
    header = _vint(file)
    file.seek(header, os.SEEK_CUR)
    identity, length = file.read(4), _vint(file)
    return file.tell() + length if identity == b"\x18S\x80g" and length else 0


def _vint(file: BinaryIO) -> int:
    """A variable-size integer; 0 for the reserved value "unknown" and at the end of the file."""
    first = int.from_bytes(file.read(1), "big")
    if not first:
        return 0
    extra = 8 - first.bit_length()
    unknown = (1 << 7 * (extra + 1)) - 1
    value = int.from_bytes(bytes([first]) + file.read(extra), "big") & unknown
    return 0 if value == unknown else value


def readable_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that `Probe.metadata` shows: containers fold the case of keys, so all are in lower case."""
    return {key.lower(): value[:MOST_CHARACTERS] for key, value in islice(tags.items(), MOST_TAGS)}


def pack_comment(metadata: dict[str, str]) -> str:
    """Several tags as the one comment that gif and jpg have room for."""
    return json.dumps(metadata, ensure_ascii=False)


def unpack_comment(comment: str) -> dict[str, str]:
    """The tags that `pack_comment` packed, or anyone else's comment as the tag "comment"."""
    try:
        tags = json.loads(comment)
    except (ValueError, RecursionError):
        tags = None
    if isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values()):
        return tags
    return {"comment": comment}
