"""Files made by hand that claim, hide or swell: bombs, huge numbers, wrong times, nothing to see."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial

import av
import media_clips as clips
import numpy as np
from PIL import Image

from hostile.damage import Case, parts_of

MEGABYTE = 1 << 20


def claims(sound: dict[str, bytes]) -> Iterator[Case]:
    for makers in (PNGS, GIFS, JPGS, WEBPS):
        for name, make in makers.items():
            yield Case(name, make)
    yield from numbers_of_boxes(sound["h264.mp4"])
    yield from numbers_of_elements(sound["ffv1.mkv"])
    yield from numbers_of_chunks(sound["mpeg4.avi"])
    yield from wrong_times(sound)
    for name, data in {**BOXES, **ELEMENTS}.items():
        yield Case(name, data)


# Images


def png(width: int, height: int, *more: tuple[bytes, bytes], pixels: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(megabytes: int) -> bytes:
    """So much, compressed."""
    swollen = zlib.compressobj(1)
    return b"".join(swollen.compress(bytes(MEGABYTE)) for _ in range(megabytes)) + swollen.flush()


def apng(frames: int, claimed: int) -> bytes:
    dot = zlib.compress(bytes(4))
    more = [(b"acTL", struct.pack(">II", claimed, 0))]
    for number in range(frames):
        control = struct.pack(">IIIIIHHBB", 2 * number, 1, 1, 0, 0, 1, 100, 0, 0)
        more += [(b"fcTL", control), (b"fdAT", struct.pack(">I", 2 * number + 1) + dot)]
    return png(1, 1, *more, pixels=dot)


PNGS: dict[str, Callable[[], bytes]] = {
    "60000 a side.png": partial(png, 60_000, 60_000),
    "one line of 2**31.png": partial(png, 2**31 - 1, 1),
    "no width.png": partial(png, 0, 9),
    "zeros in its pixels.png": lambda: png(8000, 8000, pixels=zeros(190)),
    "more pixels than it is large.png": lambda: png(9, 9, pixels=zeros(300)),
    "zeros in a text.png": lambda: png(9, 9, (b"zTXt", b"a\0\0" + zeros(300)), pixels=zeros(1)),
    "zeros in a text of the world.png": lambda: png(9, 9, (b"iTXt", b"a\0\1\0\0\0" + zeros(300))),
    "zeros in a profile.png": lambda: png(9, 9, (b"iCCP", b"a\0\0" + zeros(300)), pixels=zeros(1)),
    "a hundred thousand texts.png": lambda: png(9, 9, *[(b"tEXt", b"a\0b")] * 100_000, pixels=zeros(1)),
    "claims 2**31 pictures.png": partial(apng, 1, 2**31 - 1),
    "claims no picture.png": partial(apng, 1, 0),
    "thirty thousand pictures.png": partial(apng, 30_000, 30_000),
    "an endless exif.png": lambda: png(9, 9, (b"eXIf", circle()), pixels=zeros(1)),
}


def gif(width: int, height: int, blocks: bytes, table: bool = True) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80 if table else 0, 0, 0)
    return head + bytes(6) * table + blocks + b";"


def gif_image(width: int = 1, height: int = 1, delay: int = 1, pixels: bytes = b"\2\2D\1\0") -> bytes:
    control = b"!\xf9\4" + struct.pack("<BHBB", 0, delay, 0, 0)
    return control + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + pixels


GIFS: dict[str, Callable[[], bytes]] = {
    "65535 a side.gif": lambda: gif(65535, 65535, gif_image()),
    "a picture beyond its frame.gif": lambda: gif(4, 4, gif_image(60_000, 60_000)),
    "eight thousand a side often.gif": lambda: gif(8000, 8000, gif_image() * 500),
    "a hundred thousand pictures.gif": lambda: gif(2, 2, gif_image() * 100_000),
    "no delays.gif": lambda: gif(2, 2, gif_image(delay=0) * 50),
    "longest delays.gif": lambda: gif(2, 2, gif_image(delay=65535) * 1000),
    "no pictures.gif": lambda: gif(2, 2, b""),
    "no size.gif": lambda: gif(0, 0, gif_image()),
    "no colours.gif": lambda: gif(2, 2, gif_image(), table=False),
    "megabytes of comments.gif": lambda: gif(
        2, 2, b"!\xfe" + (b"\xff" + b"a" * 255) * 40_000 + b"\0" + gif_image()
    ),
    "never ends.gif": lambda: b"GIF89a" + bytes(7) + gif_image()[:-1] + b"\xff" * 100_000,
    "bits of thirteen.gif": lambda: gif(2, 2, gif_image(pixels=b"\x0d\2D\1\0")),
}


def jpg(width: int = 64, height: int = 48, **how: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(clips.moving(1, height, width)[0]).save(file, "jpeg", **how)
    return file.getvalue()


def resized(data: bytes, width: int, height: int) -> bytes:
    """A jpg that claims another size."""
    part = next(part for part in parts_of("a.jpg", data) if part.name in ("c0", "c2"))
    return data[: part.body + 1] + struct.pack(">HH", height, width) + data[part.body + 5 :]


def scans(count: int) -> bytes:
    """A flat progressive jpg whose last scan comes again and again, each over the whole picture."""
    file = io.BytesIO()
    Image.new("RGB", (8000, 8000)).save(file, "jpeg", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def circle() -> bytes:
    """Exif whose directory is followed by itself, with an entry that holds itself."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 8)


def exif(body: bytes) -> bytes:
    segment = b"Exif\0\0" + body
    data = jpg()
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def huge_exif() -> bytes:
    entry = struct.pack("<HHII", 0x0112, 3, 2**32 - 1, 8)
    return b"II*\0" + struct.pack("<IH", 8, 65535) + entry * 5000


JPGS: dict[str, Callable[[], bytes]] = {
    "65500 a side.jpg": lambda: resized(jpg(), 65500, 65500),
    "8000 a side.jpg": lambda: resized(jpg(), 8000, 8000),
    "no size.jpg": lambda: resized(jpg(), 0, 0),
    "no height.jpg": lambda: resized(jpg(), 64, 0),
    "two hundred scans.jpg": partial(scans, 200),
    "ten thousand scans.jpg": partial(scans, 10_000),
    "an endless exif.jpg": lambda: exif(circle()),
    "a huge exif.jpg": lambda: exif(huge_exif()),
    "ten thousand comments.jpg": lambda: jpg()[:2] + b"\xff\xfe\0\4ab" * 10_000 + jpg()[2:],
    "nothing but tables.jpg": lambda: jpg()[: jpg().index(b"\xff\xda")] + b"\xff\xd9",
}


def webp_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    return webp_chunk(b"RIFF", b"WEBP" + b"".join(webp_chunk(*chunk) for chunk in chunks))


def canvas(width: int, height: int) -> tuple[bytes, bytes]:
    return b"VP8X", b"\2\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def webp_frame(place: int = 0, milliseconds: int = 40) -> tuple[bytes, bytes]:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "webp", lossless=True)
    corner = (place // 2).to_bytes(3, "little") * 2 + b"\1\0\0" * 2
    return b"ANMF", corner + milliseconds.to_bytes(3, "little") + b"\0" + file.getvalue()[12:]


ANIM = (b"ANIM", bytes(6))
WEBPS: dict[str, Callable[[], bytes]] = {
    "2**24 a side.webp": lambda: webp(canvas(2**24, 2**24), ANIM, webp_frame()),
    "8000 a side often.webp": lambda: webp(canvas(8000, 8000), ANIM, *[webp_frame()] * 500),
    "thirty thousand pictures.webp": lambda: webp(canvas(2, 2), ANIM, *[webp_frame()] * 30_000),
    "a picture beyond its frame.webp": lambda: webp(canvas(2, 2), ANIM, webp_frame(2**24 - 2)),
    "no time at all.webp": lambda: webp(canvas(2, 2), ANIM, *[webp_frame(0, 0)] * 50),
    "four hours each.webp": lambda: webp(canvas(2, 2), ANIM, *[webp_frame(0, 2**24 - 1)] * 50),
    "no picture.webp": lambda: webp(canvas(2, 2), ANIM),
    "not what it says.webp": lambda: webp((b"VP8 ", jpg())),
    "lossless of 16384.webp": lambda: webp((b"VP8L", b"\x2f\xff\xff\xff\x0f" + bytes(999))),
}


# Containers with numbers that lie


def set_at(data: bytes, name: str, kind: str, place: int, value: bytes) -> bytes:
    """`value` at a place in the body of each part whose name ends in `kind`."""
    bad = bytearray(data)
    found = [part for part in parts_of(name, data) if part.name.endswith(kind)]
    assert found, (name, kind)
    for part in found:
        bad[part.body + place : part.body + place + len(value)] = value
    return bytes(bad)


HUGE, NEGATIVE, ZERO, ONE = b"\xff\xff\xff\xff", b"\x80\0\0\0", bytes(4), b"\0\0\0\1"
# (box, place in its body): what stands there. Source: ISO/IEC 14496-12.
BOX_NUMBERS = {
    ("mvhd", 12): "time scale of the film",
    ("mvhd", 16): "length of the film",
    ("mdhd", 12): "time scale of the track",
    ("mdhd", 16): "length of the track",
    ("elst", 4): "number of edits",
    ("elst", 8): "length of an edit",
    ("elst", 12): "time of an edit",
    ("stsd", 4): "number of codecs",
    ("avc1", 24): "size",
    ("stts", 4): "number of times",
    ("stts", 8): "number of samples with a time",
    ("stts", 12): "length of a sample",
    ("ctts", 4): "number of offsets",
    ("ctts", 12): "offset",
    ("stsc", 4): "number of chunks",
    ("stsc", 12): "samples in a chunk",
    ("stsz", 4): "size of all samples",
    ("stsz", 8): "number of samples",
    ("stsz", 12): "size of a sample",
    ("stco", 4): "number of places",
    ("stco", 8): "place",
    ("stss", 4): "number of key frames",
    ("dref", 4): "number of files",
}
VALUES = {"huge": HUGE, "negative": NEGATIVE, "zero": ZERO, "one": ONE}


def numbers_of_boxes(data: bytes) -> Iterator[Case]:
    present = {part.name.rpartition("/")[2] for part in parts_of("a.mp4", data)}
    for (kind, place), what in BOX_NUMBERS.items():
        for value, written in VALUES.items():
            if kind in present:
                yield Case(f"{what} {value}.mp4", partial(set_at, data, "a.mp4", kind, place, written))


# element: what it tells. Source: RFC 9559.
ELEMENT_NUMBERS = {
    "2ad7b1": "time scale",
    "4489": "length",
    "23e383": "length of a frame",
    "b0": "width",
    "ba": "height",
    "e7": "time of a cluster",
    "d7": "number of the track",
    "83": "kind of the track",
    "42f7": "version",
    "42f3": "longest size",
}


def numbers_of_elements(data: bytes) -> Iterator[Case]:
    present = {part.name.rpartition("/")[2]: part.end - part.body for part in parts_of("a.mkv", data)}
    for kind, what in ELEMENT_NUMBERS.items():
        for value, byte in (("huge", 0xFF), ("large", 0x7F), ("zero", 0)):
            if kind in present:
                written = bytes([byte]) * present[kind]
                yield Case(f"{what} {value}.mkv", partial(set_at, data, "a.mkv", f"/{kind}", 0, written))


# (chunk, place in its body): what stands there. Source: Microsoft's AVI RIFF file reference.
CHUNK_NUMBERS = {
    ("avih", 0): "time of a frame",
    ("avih", 16): "number of frames",
    ("avih", 24): "number of streams",
    ("avih", 32): "width of the film",
    ("strh", 20): "scale",
    ("strh", 24): "rate",
    ("strh", 28): "start",
    ("strh", 32): "length",
    ("strf", 4): "width",
    ("strf", 8): "height",
    ("strf", 14): "bits",
    ("idx1", 8): "place",
    ("idx1", 12): "size",
}


def numbers_of_chunks(data: bytes) -> Iterator[Case]:
    present = {part.name.rpartition("/")[2] for part in parts_of("a.avi", data)}
    for (kind, place), what in CHUNK_NUMBERS.items():
        for value, written in VALUES.items():
            if kind in present:
                args = (data, "a.avi", kind, place, written[::-1])
                yield Case(f"{what} {value}.avi", partial(set_at, *args))


def wrong_times(sound: dict[str, bytes]) -> Iterator[Case]:
    """Samples whose times stand still, run backwards, leap by days, or are all the same."""
    mp4 = sound["fragments.mp4"]
    for what, times in {"still": (0, 0), "leaping": (1, 2**31), "back": (5, 2**32 - 1)}.items():
        value = b"".join(struct.pack(">I", times[index % 2]) for index in range(2))
        yield Case(f"time {what}.mp4", partial(set_at, mp4, "a.mp4", "tfdt", 4, value))
        yield Case(f"times {what}.mp4", partial(set_at, mp4, "a.mp4", "trun", 12, value))
    for byte in (0x00, 0x7F, 0x80, 0xFF):
        value = bytes([byte]) * 2
        yield Case(f"blocks at {byte}.mkv", partial(set_at, sound["h264.mkv"], "a.mkv", "/a3", 1, value))
        yield Case(f"blocks at {byte}.webm", partial(set_at, sound["vp9.webm"], "a.webm", "/a3", 1, value))


# Containers made from nothing


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", len(body) + 8) + kind + body


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2mp41")
QT = box(b"ftyp", b"qt  \0\0\2\0qt  ")


def nested(kind: bytes, depth: int) -> bytes:
    """Boxes in boxes."""
    sizes = [struct.pack(">I", 8 * (depth - level)) for level in range(depth)]
    return b"".join(size + kind for size in sizes)


def element(kind: str, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return bytes.fromhex(kind) + (len(body) | 1 << 56).to_bytes(8, "big") + body


EBML = element("1a45dfa3", element("4282", b"matroska"), element("4287", b"\4"), element("4285", b"\2"))


def matroska(*bodies: bytes) -> bytes:
    return EBML + element("18538067", element("1549a966", element("2ad7b1", b"\x0f\x42\x40")), *bodies)


def track(number: int, codec: bytes = b"V_UNCOMPRESSED", *more: bytes) -> bytes:
    told = element("b0", b"\1\0"), element("ba", b"\1\0"), element("2eb524", b"RV24")
    numbers = element("d7", struct.pack(">H", number)), element("73c5", struct.pack(">H", number))
    return element("ae", *numbers, element("83", b"\1"), element("86", codec), element("e0", *told), *more)


def cluster(*blocks: bytes) -> bytes:
    return element("1f43b675", element("e7", b"\0"), *(element("a3", b"\x81\0\0\x80" + b) for b in blocks))


def swelling() -> bytes:
    """Blocks that are compressed: 100 MB each, in 100 kB."""
    packed = element("6d80", element("6240", element("5034", element("4254", b"\0"))))
    return matroska(element("1654ae6b", track(1, b"V_UNCOMPRESSED", packed)), cluster(*[zeros(100)] * 8))


def tags(depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        body = bytes.fromhex("67c8") + (len(body) | 1 << 28).to_bytes(4, "big") + body
    return matroska(element("1254c367", element("7373", body)))


def movie_packed(claimed: int) -> bytes:
    """A compressed movie header that claims so many bytes."""
    body = struct.pack(">I", claimed) + zeros(200)
    return QT + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", body)))


def fragments(count: int) -> bytes:
    return FTYP + box(b"moof", box(b"traf", box(b"trun", b"\0\0\0\1", struct.pack(">II", count, 0)))) * 50


def many_frames(side: int, count: int) -> bytes:
    """A flat film of large frames in few bytes."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        flat = np.broadcast_to(np.uint8(90), (1, side, side, 3)).repeat(count, 0)
        clips.add_video(container, flat, "libx264", pixel_format="yuv420p", options={"preset": "ultrafast"})()
    return file.getvalue()


def repeat(kind: bytes, count: int) -> bytes:
    return FTYP + box(b"moov", box(kind) * count)


BOXES: dict[str, Callable[[], bytes]] = {
    "nothing but a type.mp4": lambda: FTYP,
    "an empty film.mp4": lambda: FTYP + box(b"moov"),
    "tracks of nothing.mp4": partial(repeat, b"trak", 2000),
    "boxes in boxes.mp4": lambda: FTYP + nested(b"moov", 20_000),
    "tracks in tracks.mp4": lambda: FTYP + box(b"moov", nested(b"trak", 20_000)),
    "tags in tags.mp4": lambda: FTYP + box(b"moov", nested(b"udta", 20_000)),
    "fragments without end.mp4": partial(fragments, 2**32 - 1),
    "an index without end.mp4": lambda: FTYP + box(b"sidx", bytes(22), b"\xff\xff") * 1000,
    "a packed film.mov": partial(movie_packed, 200 * MEGABYTE),
    "a packed film of 4 GB.mov": partial(movie_packed, 2**32 - 1),
    "a packed film of nothing.mov": partial(movie_packed, 0),
    "ten megabytes of tags.mp4": lambda: FTYP + box(b"moov", box(b"udta", box(b"\xa9cmt", bytes(10 << 20)))),
    "a hundred thousand boxes.mp4": lambda: FTYP + box(b"free") * 100_000,
    "boxes of zeros.mp4": lambda: FTYP + bytes(MEGABYTE),
    "large and flat.mp4": partial(many_frames, 2048, 24),
}
ELEMENTS: dict[str, Callable[[], bytes]] = {
    "no tracks.mkv": matroska,
    "no head.mkv": lambda: EBML,
    "a thousand tracks.mkv": lambda: matroska(element("1654ae6b", *map(track, range(1, 1001)))),
    "a track without codec.mkv": lambda: matroska(element("1654ae6b", track(1, b""))),
    "swelling blocks.mkv": swelling,
    "tags in tags.mkv": partial(tags, 10_000),
    "a block of a track that is not there.mkv": lambda: matroska(cluster(b"abc")),
    "elements without end.mkv": lambda: (
        EBML + bytes.fromhex("18538067") + b"\x01" + b"\xff" * 7 + b"\xec\x80" * 99_999
    ),
    "zeros after its head.mkv": lambda: EBML + bytes(MEGABYTE),
    "chapters of other files.mkv": lambda: matroska(
        element("1043a770", element("45b9", element("b6", element("6e67", bytes(16)))))
    ),
    "attached megabytes.mkv": lambda: matroska(
        element("1941a469", element("61a7", element("465c", bytes(10 << 20))))
    ),
    "streams of nothing.avi": lambda: riff(riff_list(b"hdrl", webp_chunk(b"avih", bytes(56)))),
    "lists in lists.avi": lambda: riff(deep_lists(5000)),
    "an empty film.avi": lambda: riff(),
    "negative size.avi": lambda: b"RIFF\xff\xff\xff\xffAVI LIST\xff\xff\xff\xffhdrl",
}


def riff(*bodies: bytes) -> bytes:
    return webp_chunk(b"RIFF", b"AVI " + b"".join(bodies))


def riff_list(kind: bytes, *bodies: bytes) -> bytes:
    return webp_chunk(b"LIST", kind + b"".join(bodies))


def deep_lists(depth: int) -> bytes:
    body = b""
    heads = [b"LIST" + struct.pack("<I", 12 * (depth - level) - 8) + b"hdrl" for level in range(depth)]
    return b"".join(heads) + body
