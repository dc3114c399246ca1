"""Writing: what goes in comes back, with its tags, and a file appears whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import av
import media_clips as clips
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kineograph.errors import OutputError
from kineograph.media.atomic import replacing
from kineograph.media.decode import read_video
from kineograph.media.encode import open_encoder, save_image
from kineograph.media.probe import probe

TAGS = {"title": "Two\nlines", "comment": "é ☃", "kineograph_claim": '{"seed": 7}'}
VIDEOS = ["a.mp4", "a.mov", "a.m4v", "a.webm", "a.mkv", "a.gif"]
in_a_folder = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(path: Path, frames: clips.Array, fps: float = 25, chunk: int = 5) -> Path:
    with open_encoder(path, frames.shape[2], frames.shape[1], fps, TAGS) as encoder:
        for start in range(0, len(frames), chunk):
            encoder.write(frames[start : start + chunk])
        assert encoder.frames_written == len(frames)
    return path


@in_a_folder
@given(height=st.integers(1, 40), width=st.integers(2, 40), count=st.integers(1, 5), seed=st.integers(0, 99))
def test_mkv_is_lossless(height: int, width: int, count: int, seed: int, tmp_path: Path) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)
    assert np.array_equal(read_video(write(tmp_path / "a.mkv", frames)).frames, frames)


@pytest.mark.parametrize("name", VIDEOS)
def test_frames_rate_and_tags_come_back(name: str, tmp_path: Path) -> None:
    frames = clips.moving(12, 64, 96)
    path = write(tmp_path / name, frames, fps=12.5)
    video, about = read_video(path), probe(path)
    assert video.frames.shape == frames.shape
    assert video.fps == 12.5
    assert clips.psnr(video.frames, frames) > (30 if name == "a.gif" else 33)
    assert np.abs(video.frames.mean((0, 1, 2)) - frames.mean((0, 1, 2))).max() < 1  # no shift in colour
    assert TAGS.items() <= about.metadata.items()
    assert about.notes == ()
    assert clips.names(tmp_path) == [name]


@pytest.mark.parametrize("fps", [1.0, 7.5, 23.976, 30000 / 1001, 120.0])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frame_rates_come_back(name: str, fps: float, tmp_path: Path) -> None:
    video = read_video(write(tmp_path / name, clips.moving(7, 16, 16), fps))
    assert video.fps == pytest.approx(fps, rel=1e-6)
    assert len(video) == 7


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.mkv", "a.gif"])
def test_the_same_frames_make_the_same_video_whatever_the_chunks(name: str, tmp_path: Path) -> None:
    frames = clips.moving(9, 32, 32)
    one = read_video(write(tmp_path / name, frames, chunk=9)).frames
    assert np.array_equal(read_video(write(tmp_path / name, frames, chunk=2)).frames, one)


def test_mp4_is_tagged_and_has_its_index_in_front(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", clips.moving(12, 64, 64))
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)  # BT.709
        assert context.color_range == 1  # limited
        assert container.metadata["kineograph_claim"] == TAGS["kineograph_claim"]


def test_flat_colours_survive_h264(tmp_path: Path) -> None:
    colours = np.random.default_rng(5).integers(0, 256, (6, 1, 1, 3), np.uint8)
    frames = np.broadcast_to(colours, (6, 32, 32, 3)).copy()
    error = read_video(write(tmp_path / "a.mp4", frames)).frames.astype(int) - frames
    assert np.abs(error).max() <= 4
    assert np.abs(error).mean() < 1.5


@pytest.mark.parametrize(("height", "width"), [(33, 48), (32, 47), (1, 1)])
def test_odd_h264_sizes_gain_a_copy_of_the_last_line(height: int, width: int, tmp_path: Path) -> None:
    frames = clips.moving(3, height, width)
    back = read_video(write(tmp_path / "a.mp4", frames)).frames
    assert back.shape[1:3] == (height + height % 2, width + width % 2)
    padded = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    assert clips.psnr(back, padded) > 30
    assert read_video(write(tmp_path / "a.webm", frames)).frames.shape == frames.shape


def test_a_gif_of_few_colours_is_exact(tmp_path: Path) -> None:
    frames = clips.counting(5)
    path = write(tmp_path / "a.gif", frames, fps=10)
    assert np.array_equal(read_video(path).frames, frames)
    assert Image.open(path).n_frames == 5


@pytest.mark.parametrize("name", ["frames", "frames/", "v1.0/"])
def test_no_suffix_means_a_folder_of_images(name: str, tmp_path: Path) -> None:
    frames = clips.moving(3, 17, 19)
    with open_encoder(f"{tmp_path}/{name}", 19, 17, 25, TAGS) as encoder:
        encoder.write(frames)
    folder = tmp_path / name
    assert clips.names(folder) == ["frame_00000.png", "frame_00001.png", "frame_00002.png"]
    assert np.array_equal(clips.read_image(folder / "frame_00002.png"), frames[2])
    assert probe(folder / "frame_00001.png").metadata == TAGS
    assert clips.names(tmp_path) == [folder.name]


@pytest.mark.parametrize(("name", "fidelity"), [("a.png", 90), ("a.jpg", 36), ("A.JPEG", 36)])
def test_images_come_back_with_their_tags(name: str, fidelity: int, tmp_path: Path) -> None:
    picture = clips.moving(1, 31, 45)[0]
    save_image(tmp_path / name, picture, TAGS)
    assert clips.psnr(clips.read_image(tmp_path / name), picture) > fidelity
    assert probe(tmp_path / name).metadata == TAGS


def interrupted(path: Path, error: type[BaseException]) -> None:
    with open_encoder(path, 64, 48, 25) as encoder:
        encoder.write(clips.moving(5))
        raise error


@pytest.mark.parametrize("name", [*VIDEOS, "frames"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_leaves_nothing_behind(name: str, error: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(error):
        interrupted(tmp_path / name, error)
    assert clips.names(tmp_path) == []


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", clips.moving(3))
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        interrupted(path, RuntimeError)
    assert path.read_bytes() == before
    assert len(read_video(write(path, clips.moving(5)))) == 5
    assert clips.names(tmp_path) == ["a.mkv"]


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", clips.moving(2))
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.mkv").stat().st_mode == (tmp_path / "plain").stat().st_mode


FULL_DISK = """
import resource, signal, sys
import numpy as np
from kineograph.errors import OutputError
from kineograph.media.encode import open_encoder, save_image
from pathlib import Path
noise = np.random.default_rng(0).integers(0, 256, (40, 96, 96, 3), np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
for name in ("a.mp4", "a.mov", "a.webm", "a.mkv", "a.gif", "frames", "a.png"):
    path = Path(sys.argv[1]) / name
    try:
        if name == "a.png":
            save_image(path, noise[0])
        else:
            with open_encoder(path, 96, 96, 25) as encoder:
                encoder.write(noise)
        print(name, "was written")
    except OutputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_disk_that_takes_no_more_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    result = clips.run_python(FULL_DISK, tmp_path)
    lines = result.stdout.splitlines()
    assert len(lines) == 7
    assert all("can't be written, it grew larger than a file may be" in line for line in lines), lines
    assert clips.names(tmp_path) == []
    assert result.stderr == ""


def encoder_to(path: str | Path, fps: float = 25) -> None:
    with open_encoder(path, 16, 16, fps) as encoder:
        encoder.write(clips.moving(2, 16, 16))


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "suffix": (lambda folder: encoder_to(folder / "a.wmv"), "'a.wmv' has an unknown suffix: use .*mp4"),
    "image": (lambda folder: encoder_to(folder / "a.png"), "'a.png' holds a single image"),
    "still": (lambda folder: save_image(folder / "a.mp4", clips.moving(1)[0]), "'a.mp4' can't be .* image"),
    "no folder": (
        lambda folder: encoder_to(folder / "none" / "a.mp4"),
        "'a.mp4' .* its folder does not",
    ),
    "file as folder": (lambda folder: encoder_to(folder / "there.mkv" / "a.mp4"), "'a.mp4' .* is a file"),
    "is a folder": (lambda folder: encoder_to(folder / "d.mp4"), "'d.mp4' .* a folder stands there"),
    "full folder": (lambda folder: encoder_to(folder / "full"), "'full' .* with something in it"),
    "pipe": (lambda folder: encoder_to(folder / "pipe"), "'pipe' .* a file stands there"),
    "is a file": (lambda folder: encoder_to(f"{folder}/there.mkv/"), "'there.mkv' .* a file stands there"),
    "name": (lambda folder: encoder_to(folder / ("n" * 300 + ".mp4")), "name is too long"),
    "nameless": (lambda folder: encoder_to(""), "names no file"),
    "fast gif": (lambda folder: encoder_to(folder / "a.gif", fps=60), "'a.gif' can't have 60 frames"),
    "no rate": (lambda folder: encoder_to(folder / "a.mp4", fps=0), "'a.mp4' can't have 0 frames"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_written_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    (tmp_path / "d.mp4").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "there.mkv").touch()
    os.mkfifo(tmp_path / "pipe")
    before = sorted(os.walk(tmp_path))
    attempt, sentence = REFUSED[case]
    with pytest.raises(OutputError, match=sentence) as caught:
        attempt(tmp_path)
    assert str(caught.value).endswith(".")
    assert str(tmp_path) not in str(caught.value)
    assert sorted(os.walk(tmp_path)) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="no permission"):
        encoder_to(tmp_path / "a.mp4")


def test_no_frames_are_no_file(tmp_path: Path) -> None:
    for name in ("a.mp4", "frames"):
        with pytest.raises(OutputError, match="no frames"), open_encoder(tmp_path / name, 16, 16, 25):
            pass
    assert clips.names(tmp_path) == []


def test_long_metadata_does_not_fit_into_a_jpg(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"write a \.png"):
        save_image(tmp_path / "a.jpg", clips.moving(1)[0], {"comment": "x" * 70_000})
    assert clips.names(tmp_path) == []


def test_a_step_between_writing_and_renaming(tmp_path: Path) -> None:
    with replacing(tmp_path / "signed.mkv") as part:
        write(part, clips.moving(2))
        assert part.suffix == ".mkv"
        assert not (tmp_path / "signed.mkv").exists()
    assert clips.names(tmp_path) == ["signed.mkv"]
