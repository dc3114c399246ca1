"""Files that are damaged, hostile or no video at all: one sentence, no crash, no hang."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import media_clips as clips
import numpy as np
import pytest
from PIL import Image

from kineograph.errors import MediaError
from kineograph.media.decode import read_video, reading
from kineograph.media.probe import Limits, Probe, probe
from kineograph.media.sandbox import Child
from kineograph.media.wire import FRAME, HEAD, INFO, REPEATS, Task, Unreadable

WAYS = {
    "mp4": ("libx264", "yuv420p"),
    "mkv": ("ffv1", "bgr0"),
    "webm": ("libvpx-vp9", "yuv420p"),
    "avi": ("mpeg4", "yuv420p"),
    "gif": ("gif", "rgb8"),
}
STILLS = ["png", "jpg", "webp"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One sound file of each kind."""
    folder, frames = tmp_path_factory.mktemp("whole"), clips.moving(6, 48, 64)
    for kind, (codec, pixel_format) in WAYS.items():
        clips.write(folder / f"a.{kind}", frames, codec, pixel_format=pixel_format)
    images = [Image.fromarray(frame) for frame in frames]
    for kind in STILLS:
        images[0].save(folder / f"a.{kind}", save_all=kind != "jpg", append_images=images[1:])
    return {file.suffix[1:]: file.read_bytes() for file in folder.iterdir()}


def outcome(path: Path) -> str:
    """What reading ends in: "read", or the sentence. Anything but these two is a failure."""
    try:
        video = read_video(path)
    except MediaError as error:
        sentence = str(error)
        assert sentence.startswith(f"{path.name!r} ")
        assert sentence.endswith(".")
        assert sentence.count(path.name) == 1
        assert "\n" not in sentence
        return sentence
    assert len(video) >= 1
    return "read"


@pytest.mark.parametrize("share", [0.02, 0.6, 0.98])
@pytest.mark.parametrize("kind", [*WAYS, *STILLS])
def test_cut_short(kind: str, share: float, whole: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(whole[kind][: int(len(whole[kind]) * share)])
    assert outcome(path) != "read"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [*WAYS, *STILLS])
def test_flipped_bits_neither_crash_nor_hang(
    kind: str, seed: int, whole: dict[str, bytes], tmp_path: Path
) -> None:
    random = np.random.default_rng(seed)
    data = np.frombuffer(whole[kind], np.uint8).copy()
    # Half of them near the beginning, where structure is denser than pixels.
    where = np.concatenate([random.integers(12, min(400, len(data)), 4), random.integers(12, len(data), 4)])
    data[where] ^= (1 << random.integers(0, 8, 8)).astype(np.uint8)
    path = tmp_path / f"flipped.{kind}"
    path.write_bytes(data.tobytes())
    outcome(path)


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/hostname\n"
ANOTHER_KIND = {
    "text": b"Dear diary, today I made a video.",
    "playlist": HLS,
    "script": CONCAT,
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "pdf": b"%PDF-1.7 ...",
    "bmp": b"BM" + bytes(60),
    "zeros": bytes(1000),
    "one byte": b"\0",
    "heic": b"\0\0\0\x18ftypheic" + bytes(40),
    "mp3": b"ID3\x04" + bytes(60),
}


@pytest.mark.parametrize("kind", ANOTHER_KIND)
def test_files_of_another_kind_are_refused_whatever_their_name(kind: str, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(ANOTHER_KIND[kind])
    with pytest.raises(MediaError, match=r"^'clip\.mp4' is .*(use mp4|convert it)"):
        read_video(tmp_path / "clip.mp4")


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def nothing(path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def endless_link(path: Path) -> None:
    path.symlink_to(path)


NO_FILES = [
    (folder, "is a folder"),
    (nothing, "does not exist"),
    (empty, "is empty"),
    (endless_link, "can't be opened"),
    (pipe, "is a device or a pipe"),
]


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes and links")
@pytest.mark.parametrize(("make", "sentence"), NO_FILES)
def test_what_is_no_file_is_refused(make: Callable[[Path], None], sentence: str, tmp_path: Path) -> None:
    make(tmp_path / "clip.mp4")
    for read in (read_video, clips.read_image, probe):
        with pytest.raises(MediaError, match=f"^'clip.mp4' {sentence}"):
            read(tmp_path / "clip.mp4")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch(mode=0o000)
    with pytest.raises(MediaError, match="may not be read"):
        read_video(tmp_path / "clip.mp4")


def png_of(width: int, height: int) -> bytes:
    """A png that claims a size and holds no pixels."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_a_huge_claimed_size_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(png_of(60_000, 60_000))
    with pytest.raises(MediaError, match=r"60000x60000 .* megapixels"):
        clips.read_image(tmp_path / "big.png")
    frame = np.zeros((1, 64, 64, 3), np.uint8)
    clips.write(tmp_path / "big.mkv", frame)
    with pytest.raises(MediaError, match=r"64x64 .* megapixels"):
        read_video(tmp_path / "big.mkv", limits=Limits(frame_pixels=4000))


def test_a_long_clip_is_refused_at_once_but_its_beginning_is_read(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.counting(30))
    limits = Limits(total_pixels=10 * 16 * 16)
    with pytest.raises(MediaError, match=r"too long .* at most 10 frames"):
        read_video(path, limits=limits)
    assert len(read_video(path, limits=limits, max_frames=10)) == 10
    with pytest.raises(MediaError, match="too long"):  # few frames wanted, many to be made of them
        read_video(path, limits=limits, max_frames=11, fps=1000)


def test_a_start_after_the_end_is_said(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.counting(5))
    with pytest.raises(MediaError, match=r"lasts 0\.200 s: start before that"):
        read_video(path, start=3.0)


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.counting(5))
    with pytest.raises(MediaError, match="too large"):
        read_video(path, limits=Limits(file_bytes=100))


def test_too_little_memory_or_time_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of(8000, 8000))
    with pytest.raises(MediaError, match="needs more memory"):
        clips.read_image(tmp_path / "a.png", limits=Limits(memory_bytes=350 << 20))
    with pytest.raises(MediaError, match="took more than 0 s"):
        clips.read_image(tmp_path / "a.png", limits=Limits(wall_seconds=0.0))


def test_a_codec_that_is_not_allowed_is_named(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.avi", clips.moving(2), "flv", pixel_format="yuv420p")
    with pytest.raises(MediaError, match="coded with flv, which is not read"):
        read_video(path)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        clips.add_sound(container)()
    with pytest.raises(MediaError, match="holds no video"):
        read_video(tmp_path / "a.mp4")


def test_a_name_with_control_characters_is_shown_harmlessly(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m\n.mp4").write_bytes(b"x")
    with pytest.raises(MediaError) as caught:
        read_video(tmp_path / "a\x1b[31m\n.mp4")
    assert str(caught.value).isprintable()


PROBE = Probe(4, 2, 25.0, 1, 0.04, "h264", "mp4", False)


def introduction(old: bytes = b"", new: bytes = b"") -> bytes:
    text = PROBE.to_json()
    assert old in text
    text = text.replace(old, new, 1)
    return HEAD.pack(INFO, len(text)) + text


FRAME_BYTES = REPEATS.pack(1) + bytes(4 * 2 * 3)
FORGED = {
    "silence": b"",
    "noise": bytes(range(256)),
    "giant probe": HEAD.pack(INFO, 2**32 - 1),
    "no json": HEAD.pack(INFO, 3) + b"{{{",
    "deep json": HEAD.pack(INFO, 200_000) + b"[" * 200_000,
    "other fields": HEAD.pack(INFO, 9) + b'{"a": []}',
    "frame first": HEAD.pack(FRAME, len(FRAME_BYTES)) + FRAME_BYTES,
    "wrong types": introduction(b'"width": 4', b'"width": "4"'),
    "no width": introduction(b'"width": 4', b'"width": 0'),
    "too wide": introduction(b'"width": 4', b'"width": 1000000000'),
    "no tags": introduction(b'"metadata": {}', b'"metadata": []'),
    "endless rate": introduction(b'"fps": 25.0', b'"fps": 1e99999'),
    "short frame": introduction() + HEAD.pack(FRAME, 5) + b"\1\0\0\0a",
    "no repeats": introduction() + HEAD.pack(FRAME, len(FRAME_BYTES)) + bytes(len(FRAME_BYTES)),
    "endless repeats": introduction() + HEAD.pack(FRAME, len(FRAME_BYTES)) + b"\xff" * len(FRAME_BYTES),
    "cut off": introduction() + HEAD.pack(FRAME, len(FRAME_BYTES)) + FRAME_BYTES[:7],
}


def talk(words: bytes) -> Iterator[tuple[int, bytes]]:
    """Listen to a child that says `words`."""
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    assert process.stdin is not None
    process.stdin.write(words)
    process.stdin.close()
    try:
        yield from Child(process, monotonic() + 60, Task(frames=True)).runs()
    finally:
        process.wait()


@pytest.mark.parametrize("kind", FORGED)
def test_a_child_that_was_taken_over_is_not_believed(kind: str) -> None:
    with pytest.raises(Unreadable):
        list(talk(FORGED[kind]))


def test_a_child_that_behaves_is() -> None:
    words = introduction() + HEAD.pack(FRAME, len(FRAME_BYTES)) + FRAME_BYTES + HEAD.pack(b".", 0)
    assert list(talk(words)) == [(1, bytes(24))]


CONFINED = """
import os, socket, sys
from kineograph.media.wire import LIMITS
from kineograph.media.worker import confine, shut
confine(LIMITS)
shut()
def attempt(what):
    try:
        what()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"
print(attempt(lambda: open(sys.argv[1])), attempt(lambda: open(sys.argv[1], "w")))
print(attempt(socket.socket), attempt(lambda: bytearray(3 << 30)), attempt(lambda: os.pipe()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_the_child_can_open_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("!")
    result = clips.run_python(CONFINED, tmp_path / "secret")
    assert result.stdout.split() == ["OSError", "OSError", "OSError", "MemoryError", "OSError"]
    assert (tmp_path / "secret").read_text() == "!"


def test_where_no_child_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.counting(5))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(MediaError, match=r"^'a\.mkv' is not read, no decoding process"):
        read_video(path)


def test_no_child_outlives_its_reader(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.counting(5))
    before = children()
    read_video(path)
    with pytest.raises(MediaError):
        read_video(path, start=9.0)
    probe(path)
    with pytest.raises(KeyboardInterrupt), reading(path):
        raise KeyboardInterrupt
    assert children() == before


def children() -> set[str]:
    tasks = Path(f"/proc/{os.getpid()}/task")
    return {child for file in tasks.glob("*/children") for child in file.read_text().split()}
