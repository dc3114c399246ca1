"""Reading: every container, pixel format and flag comes out as the upright RGB frames that went in."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import media_clips as clips
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kineograph.errors import RequestError
from kineograph.media.decode import read_video, reading
from kineograph.media.probe import probe

CONTAINERS = {
    "a.mp4": ("libx264", "yuv420p", {"qp": "0"}),
    "a.mov": ("mpeg4", "yuv420p", {"qmax": "2"}),
    "a.mkv": ("ffv1", "bgr0", {}),
    "a.webm": ("libvpx-vp9", "yuv444p", {"lossless": "1", "cpu-used": "8"}),
    "a.avi": ("mjpeg", "yuvj444p", {"qmax": "2"}),
    "av1.mkv": ("libsvtav1", "yuv420p", {"crf": "10", "preset": "12"}),
    "hevc.mp4": ("libx265", "yuv420p10le", {"crf": "4", "preset": "ultrafast", "x265-params": "log-level=0"}),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_frames_come_back_from_every_container(name: str, tmp_path: Path) -> None:
    codec, pixel_format, options = CONTAINERS[name]
    frames = clips.moving(8, 64, 96)
    path = clips.write(tmp_path / name, frames, codec, pixel_format=pixel_format, options=options)
    video, about = read_video(path), probe(path)
    assert video.fps == 25.0 == about.fps
    assert video.frames.shape == frames.shape == (about.frames, about.height, about.width, 3)
    assert clips.psnr(video.frames, frames) > 33
    assert about.container == path.suffix[1:]
    assert about.seconds == pytest.approx(8 / 25)
    assert not about.has_audio
    assert video.frames.flags.writeable


@pytest.mark.parametrize("matrix", clips.MATRICES)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_matrix_range_and_depth_are_applied(matrix: int, full: bool, bits: int, tmp_path: Path) -> None:
    blocks = np.random.default_rng(matrix).random((4, 4, 3))
    planes, expected = clips.to_planes(blocks, matrix, full, bits)
    pixel_format = "yuv420p" if bits == 8 else "yuv420p10le"
    span = 2 if full else 1
    path = clips.write_planes(tmp_path / "a.mp4", planes, pixel_format, matrix=matrix, span=span)
    centres = clips.read_image(path)[8::16, 8::16].astype(float)
    assert np.abs(centres - expected).max() <= (0.51 if bits == 8 else 1.5)


@pytest.mark.parametrize(("lines", "matrix"), [(704, 5), (720, 1)])
def test_untagged_colours_are_bt709_from_720_lines_up(lines: int, matrix: int, tmp_path: Path) -> None:
    blocks = np.broadcast_to(np.random.default_rng(0).random((1, 2, 3)), (lines // 16, 2, 3))
    planes, expected = clips.to_planes(blocks, matrix, False, 8)
    path = clips.write_planes(tmp_path / "a.mp4", planes, "yuv420p", matrix=2, span=0)
    assert np.abs(clips.read_image(path)[8::16, 8::16] - expected).max() <= 0.51
    assert any("BT." in note for note in probe(path).notes)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_and_mirroring_flags_are_applied(degrees: int, mirrored: bool, tmp_path: Path) -> None:
    frames = clips.moving(2, 32, 48)
    options = {"pixel_format": "bgr0", "rotation": (degrees, mirrored, False)}
    path = clips.write(tmp_path / "a.mkv", frames, **options)
    turned = np.rot90(frames, degrees // 90, axes=(1, 2))  # counter-clockwise, mirrored afterwards
    video, about = read_video(path), probe(path)
    assert (about.height, about.width) == video.frames.shape[1:3]
    assert np.array_equal(video.frames, turned[:, :, ::-1] if mirrored else turned)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(1, 37), width=st.integers(1, 37), count=st.integers(1, 4))
def test_odd_and_tiny_sizes_keep_their_size(height: int, width: int, count: int, tmp_path: Path) -> None:
    frames = clips.moving(count, height, width)
    path = clips.write(tmp_path / "a.mkv", frames, "rawvideo", pixel_format="yuv420p")
    assert read_video(path).frames.shape == frames.shape


def test_variable_rate_is_placed_by_time_stamps(tmp_path: Path) -> None:
    stamps = [0, 100, 200, 600, 700, 800]
    path = clips.write(
        tmp_path / "a.mkv", clips.counting(6), stamps=stamps, time_base=Fraction(1, 1000), fps=Fraction(10)
    )
    assert clips.numbers(read_video(path, fps=10).frames) == [0, 1, 2, 2, 2, 2, 3, 4, 5]
    assert clips.numbers(read_video(path, fps=5).frames)[:4] == [0, 2, 2, 3]
    assert any("varies" in note for note in probe(path).notes)
    own = read_video(path)
    assert len(own) == 6 == probe(path).frames
    assert own.seconds == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.gif"])
def test_start_and_max_frames_cut_out_exactly(name: str, tmp_path: Path) -> None:
    frames = clips.counting(30)
    codec = {"a.mp4": "libx264", "a.mkv": "libx264", "a.avi": "mpeg4", "a.gif": "gif"}[name]
    pixel_format = "gray" if codec == "gif" else "yuv420p"
    options = {} if codec == "gif" else {"g": "7"}
    path = clips.write(
        tmp_path / name, frames, codec, pixel_format=pixel_format, fps=Fraction(10), options=options
    )
    assert clips.numbers(read_video(path, start=1.7).frames) == list(range(17, 30))
    assert clips.numbers(read_video(path, start=0.2, max_frames=3).frames) == [2, 3, 4]
    assert clips.numbers(read_video(path, fps=5, max_frames=4).frames) == [0, 2, 4, 6]


def test_a_frame_rate_of_ones_own_repeats_or_drops(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.counting(6), fps=Fraction(10))
    assert clips.numbers(read_video(path, fps=20).frames) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert read_video(path, fps=5).fps == 5.0
    assert clips.numbers(read_video(path, fps=5).frames) == [0, 2, 4]


def test_sound_is_left_out_and_said(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        streams = (
            clips.add_video(container, clips.moving(), "libx264", pixel_format="yuv420p"),
            clips.add_sound(container),
        )
        for mux in streams:
            mux()
    about = probe(tmp_path / "a.mp4")
    assert about.has_audio
    assert about.frames == 12 == len(read_video(tmp_path / "a.mp4"))
    assert any("sound" in note for note in about.notes)


def test_of_several_streams_the_largest_is_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        sizes = ((3, 16, 16), (5, 32, 32))
        for mux in [clips.add_video(container, clips.moving(*size)) for size in sizes]:
            mux()
    about = probe(tmp_path / "a.mkv")
    assert (about.width, about.frames) == (32, 5)
    assert any("2 video streams" in note for note in about.notes)


def test_frames_that_change_size_become_those_of_the_first(tmp_path: Path) -> None:
    pictures = [clips.moving(1, 32, 48)[0], clips.moving(1, 64, 96)[0]]
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{index}.jpg", quality=95, subsampling=0)
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuvj444p"
        for index in range(2):
            packet = av.Packet((tmp_path / f"{index}.jpg").read_bytes())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 10)
            packet.is_keyframe = True
            container.mux(packet)
    video = read_video(tmp_path / "a.avi")
    assert video.frames.shape == (2, 32, 48, 3)
    assert clips.psnr(video.frames[0], pictures[0]) > 30


def test_animations_keep_their_timing(tmp_path: Path) -> None:
    images = [Image.fromarray(frame) for frame in clips.counting(4)]
    for name in ("a.gif", "a.webp", "a.png"):
        lossless = {"lossless": True} if name == "a.webp" else {}
        images[0].save(
            tmp_path / name,
            save_all=True,
            append_images=images[1:],
            duration=[100, 200, 100, 100],
            **lossless,
        )
        video = read_video(tmp_path / name, fps=10)
        assert clips.numbers(video.frames) == [0, 1, 1, 2, 3], name
        assert probe(tmp_path / name).seconds == pytest.approx(0.5), name


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_stills_are_one_frame(suffix: str, tmp_path: Path) -> None:
    picture = clips.moving(1, 33, 47)[0]
    path = tmp_path / f"a{suffix}"
    Image.fromarray(picture).save(path, quality=95)
    assert clips.psnr(clips.read_image(path), picture) > (90 if suffix == ".png" else 33)
    assert read_video(path).frames.shape == (1, 33, 47, 3) == read_video(path, fps=8).frames.shape
    assert probe(path).frames == 1


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    picture = clips.moving(1, 32, 48)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif)
    assert clips.psnr(clips.read_image(tmp_path / "a.jpg"), np.rot90(picture, -1)) > 35
    assert any("rotation" in note for note in probe(tmp_path / "a.jpg").notes)


def test_transparency_is_laid_over_white_and_16_bits_are_reduced(tmp_path: Path) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4] = 255, 0, 0, 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    red_on_white = np.where(np.arange(8)[:, None, None] < 4, [255, 0, 0], [255, 255, 255])
    assert np.array_equal(clips.read_image(tmp_path / "clear.png"), np.broadcast_to(red_on_white, (8, 8, 3)))
    Image.fromarray(np.full((8, 8), 0x80FF, np.uint16)).save(tmp_path / "deep.png")
    assert np.array_equal(clips.read_image(tmp_path / "deep.png"), np.full((8, 8, 3), 0x80))


def test_the_first_frame_of_a_video_is_an_image(tmp_path: Path) -> None:
    frames = clips.moving()
    assert np.array_equal(clips.read_image(clips.write(tmp_path / "a.mkv", frames)), frames[0])


def test_frames_one_by_one_are_those_of_the_whole(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.moving(5), fps=Fraction(10))
    with reading(path, fps=15, start=0.1) as (found, frames):
        one_by_one = np.stack(list(frames))
    assert found == probe(path)
    assert np.array_equal(one_by_one, read_video(path, fps=15, start=0.1).frames)


def test_a_file_is_known_by_content_not_by_name(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.moving()).rename(tmp_path / "holiday.mp4")
    assert probe(path).container == "mkv"


@pytest.mark.parametrize("wish", [{"max_frames": 0}, {"start": -1.0}, {"start": float("nan")}, {"fps": 0.0}])
def test_numbers_out_of_range_are_refused(wish: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=next(iter(wish))):
        read_video(tmp_path / "any.mp4", **wish)  # type: ignore[arg-type]


def test_the_child_imports_little() -> None:
    code = (
        "import sys, kineograph.media.worker, kineograph.media.containers, kineograph.media.images;"
        "print([name for name in ('torch', 'einops', 'rich', 'cyclopts') if name in sys.modules])"
    )
    assert clips.run_python(code).stdout.strip() == "[]"
