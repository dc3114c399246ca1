"""What is no video: other files and lists of addresses under its name, codecs that nobody needs."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import media_clips as clips
import numpy as np

from hostile.claims import EBML, FTYP, QT, box, element, matroska, riff, track
from hostile.damage import Case, parts_of

SUFFIXES = ("mp4", "mov", "mkv", "webm", "avi", "gif", "png", "jpg", "webp", "m3u8")
ADDRESS = b"http://127.0.0.1:9/a.mp4"


def playlists(secret: Path) -> dict[str, bytes]:
    """Texts that make a careless reader open other files and addresses, among them `secret`."""
    path = str(secret).encode()
    return {
        "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://" + path + b"\n#EXT-X-ENDLIST\n",
        "hls of the net": b"#EXTM3U\n#EXTINF:1,\n" + ADDRESS + b"\n",
        "hls with a key": b'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file://'
        + path
        + b'"\n#EXTINF:1,\na.ts\n',
        "hls after a tag": b"ID3\4\0\0\0\0\0\0#EXTM3U\n#EXTINF:1,\n" + path + b"\n",
        "concat": b"ffconcat version 1.0\nfile '" + path + b"'\n",
        "concat of the net": b"ffconcat version 1.0\nfile '" + ADDRESS + b"'\n",
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
        "dash": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>'
        + ADDRESS
        + b"</BaseURL></MPD>",
        "smil": b"<smil><body><video src='" + ADDRESS + b"'/></body></smil>",
        "asx": b"<asx version='3'><entry><ref href='" + ADDRESS + b"'/></entry></asx>",
        "pls": b"[playlist]\nFile1=" + ADDRESS + b"\n",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file://" + path + b"'/></svg>",
        "mvg": b"push graphic-context\nimage over 0,0 0,0 'url:" + ADDRESS + b"'\npop graphic-context\n",
        "postscript": b"%!PS\n(" + path + b") (r) file 99 string readstring\n",
        "html": b"<html><img src='" + ADDRESS + b"'></html>",
        "script": b"#!/bin/sh\ncat " + path + b"\n",
        "subtitles": b"WEBVTT\n\n00:00.000 --> 00:01.000\n<img src='" + ADDRESS + b"'>\n",
        "an address": ADDRESS,
        "a path": path,
        "avisynth": b'AviSource("' + path + b'")\n',
    }


def others() -> dict[str, bytes]:
    """Files of other kinds."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../../escaped.mp4", bytes(1 << 20))
    return {
        "zip": archive.getvalue(),
        "gzip": b"\x1f\x8b\x08" + bytes(60),
        "elf": b"\x7fELF\2\1\1" + bytes(60),
        "pickle": b"\x80\4\x95" + bytes(8) + b"cos\nsystem\n(S'true'\ntR.",
        "tiff": b"II*\0\x08\0\0\0" + bytes(60),
        "psd": b"8BPS\0\1" + bytes(60),
        "bmp": b"BM" + bytes(60),
        "ico": b"\0\0\1\0\1\0" + bytes(60),
        "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
        "heic": b"\0\0\0\x18ftypheic" + bytes(60),
        "flv": b"FLV\1\5\0\0\0\x09" + bytes(60),
        "ts": (b"\x47\x40\0\x10" + bytes(184)) * 5,
        "ogg": b"OggS\0\2" + bytes(60),
        "wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(60),
        "swf": b"FWS\x09" + bytes(60),
        "tar": b"../../escaped.mp4" + bytes(495),
        "one byte": b"\0",
        "zeros": bytes(4096),
        "utf-16": "a video".encode("utf-16") * 9,
    }


def guises(sound: dict[str, bytes], secret: Path) -> Iterator[Case]:
    """`secret` is a file that nobody asked for."""
    for number, (name, data) in enumerate({**playlists(secret), **others()}.items()):
        for suffix in (SUFFIXES[number % len(SUFFIXES)], SUFFIXES[(7 * number + 3) % len(SUFFIXES)]):
            yield Case(f"{name}.{suffix}", partial(bytes, data))
    for name, text in playlists(secret).items():
        for head, suffix in ((FTYP, "mp4"), (EBML, "mkv"), (b"GIF89a", "gif"), (b"RIFF\0\0\0\0AVI ", "avi")):
            yield Case(f"{name} after a head.{suffix}", partial(bytes, head + text))
    yield from elsewhere(secret)
    yield from exotic(sound)


# Pixels that lie in another file


def elsewhere(secret: Path) -> Iterator[Case]:
    raw = raw_mov()
    path = str(secret).encode()
    for name, kind in (("url", b"url "), ("alias", b"alis"), ("urn", b"urn ")):
        entry = box(kind, bytes(4), b"file://" + path + b"\0")
        yield Case(f"pixels by {name}.mov", partial(with_reference, raw, entry))
    yield Case(
        "pixels by a whole alias.mov", partial(with_reference, raw, box(b"alis", bytes(4), alias(secret)))
    )
    reference = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(path) + 1), path + b"\0")
    yield Case(
        "a film that names another.mov",
        partial(bytes, QT + box(b"moov", box(b"rmra", box(b"rmda", reference)))),
    )
    linked = element("1549a966", element("3eb923", bytes(16)), element("3e83bb", path))
    yield Case(
        "a film that goes on in another.mkv", partial(bytes, matroska(linked, element("1654ae6b", track(1))))
    )


def raw_mov() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as container:
        clips.add_video(container, clips.counting(3), "rawvideo", pixel_format="rgb24")()
    return file.getvalue()


def with_reference(data: bytes, entry: bytes) -> bytes:
    """A film whose data reference is `entry`. It lies after the pixels, so no place of theirs is moved."""
    bad = data
    dref = next(part for part in parts_of("a.mov", bad) if part.name.endswith("dref"))
    bad = bad[: dref.body + 8] + entry + bad[dref.end :]
    grown = len(entry) - (dref.end - dref.body - 8)
    for part in parts_of("a.mov", data):
        if part.start <= dref.start < part.end:
            size = part.end - part.start + grown
            bad = bad[: part.start] + struct.pack(">I", size) + bad[part.start + 4 :]
    return bad


def alias(path: Path) -> bytes:
    """As a Macintosh writes it: the volume, the file's name and the whole path."""
    name = path.name.encode()[:60]
    record = bytes(4) + struct.pack(">HHH", 150 + len(str(path)) + 4, 2, 0) + bytes([4]) + b"disk" + bytes(23)
    record += bytes(12) + bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + struct.pack(">hh", -1, -1)
    record += bytes(16)
    whole = str(path).encode()
    return record + struct.pack(">HH", 18, len(whole)) + whole + bytes(len(whole) % 2) + b"\xff\xff\0\0"


# Codecs

ENCODERS = {
    **dict.fromkeys(
        ("flv", "msmpeg4", "msmpeg4v2", "wmv1", "wmv2", "h263p", "huffyuv", "ffvhuff"), "yuv420p"
    ),
    **{"cinepak": "rgb24", "snow": "yuv420p", "dvvideo": "yuv420p", "asv1": "yuv420p", "zmbv": "bgr0"},
    **{"qtrle": "rgb24", "rpza": "rgb555", "utvideo": "yuv420p", "cljr": "yuv411p", "roqvideo": "yuvj444p"},
    **{
        "jpegls": "bgr24",
        "tiff": "rgb24",
        "sgi": "rgb24",
        "bmp": "bgr24",
        "targa": "bgr24",
        "svq1": "yuv410p",
    },
    **{"mpeg1video": "yuv420p", "libtheora": "yuv420p", "magicyuv": "gbrp", "cfhd": "yuv422p10le"},
    **{"libx265": "yuv420p", "libsvtav1": "yuv420p", "libaom-av1": "yuv420p", "dnxhd": "yuv422p"},
}
FOURCCS = (
    *("cvid", "IV31", "IV50", "tscc", "MSS2", "VP31", "VP62", "WMV3", "WVC1", "dvsd", "SVQ3", "8BPS", "rle "),
    *("qdrw", "drac", "CSCD", "LAGS", "FPS1", "G2M4", "KMVC", "MVI1", "ZLIB", "MSZH", "apch", "HFYU", "M101"),
    *("hvc1", "av01", "VP80", "VP90", "H264", "XXXX", "\0\0\0\0", "tmcd", "text", "mp4a"),
)
CODEC_NAMES = (
    *("V_REAL/RV40", "V_MS/VFW/FOURCC", "V_THEORA", "V_QUICKTIME", "V_MPEGH/ISO/HEVC", "V_AV1", "V_VP8"),
    *("V_PRORES", "V_MJPEG", "V_SNOW", "V_DIRAC", "V_MPEG1", "S_TEXT/UTF8", "A_OPUS", "V_" + "X" * 5000),
)


def exotic(sound: dict[str, bytes]) -> Iterator[Case]:
    for codec, pixel_format in ENCODERS.items():
        if codec in av.codecs_available:
            yield Case(f"{codec}.mkv", partial(coded, codec, pixel_format))
    for fourcc in FOURCCS:
        name = "".join(letter if letter.isalnum() else "_" for letter in fourcc)
        yield Case(f"said to be {name}.avi", partial(renamed, sound["mpeg4.avi"], fourcc.encode()))
        yield Case(f"said to be {name}.mp4", partial(retyped, sound["h264.mp4"], fourcc.encode()))
    for codec in CODEC_NAMES:
        name = codec[:20].replace("/", " ")
        body = element("1654ae6b", track(1, codec.encode(), element("63a2", bytes(40))))
        yield Case(f"said to be {name}.mkv", partial(bytes, matroska(body, element("1f43b675", bytes(9)))))


def coded(codec: str, pixel_format: str) -> bytes:
    """A clip so coded; nothing but a head where that isn't possible here."""
    file = io.BytesIO()
    size = (576, 720) if codec == "dvvideo" else (1080, 1920) if codec == "dnxhd" else (144, 176)
    frames = np.zeros((2, *size, 3), np.uint8)
    try:
        with av.open(file, "w", format="matroska") as container:
            clips.add_video(container, frames, codec, pixel_format=pixel_format)()
    except (av.FFmpegError, ValueError, OSError):
        return EBML + riff()
    return file.getvalue()


def renamed(data: bytes, fourcc: bytes) -> bytes:
    bad = bytearray(data)
    for part in parts_of("a.avi", data):
        place = {"strh": part.body + 4, "strf": part.body + 16}.get(part.name.rpartition("/")[2])
        if place:
            bad[place : place + 4] = fourcc
    return bytes(bad)


def retyped(data: bytes, fourcc: bytes) -> bytes:
    part = next(part for part in parts_of("a.mp4", data) if part.name.endswith("/avc1"))
    return data[: part.kind[0]] + fourcc + data[part.kind[1] :]
