"""A folder of somebody's own clips: frames by time stamps, windows, captions, and what can't be read."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_clips import counting, moving, numbers, write

from kineograph.data.folder import LEAST_STRIDE, PHASES, Folder, caption_of, takes_of, windows_of
from kineograph.data.shards import write as write_shards
from kineograph.errors import DataError, MediaError


@given(st.integers(1, 200), st.integers(2, 20))
@settings(max_examples=60, deadline=None)
def test_windows_cover_all_of_a_clip(count, length):
    frames = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 3))
    windows = [window[:, 0, 0, 0].tolist() for window in windows_of(frames, length)]
    assert all(len(window) == length for window in windows)
    assert windows[0][0] == 0
    assert windows[-1][-1] == count - 1
    assert {number for window in windows for number in window} == set(range(count))
    starts = [window[0] for window in windows]
    assert starts == sorted(set(starts))
    for window in windows:
        assert window == [min(window[0] + k, count - 1) for k in range(length)]
    assert len(windows) >= min(4, 1 + (count - length) // LEAST_STRIDE)


def test_frames_are_those_that_are_due(tmp_path):
    """At 24 frames per second every third is due at 8; a short clip comes from three moments."""
    path = write(tmp_path / "a.mkv", counting(24), fps=Fraction(24))
    takes = takes_of(path, length=9, size=16, fps=8.0)
    assert [numbers(take) for take in takes] == [list(range(first, 24, 3)) for first in range(PHASES)]
    assert takes[0].shape == (8, 16, 16, 3)


def test_a_long_clip_and_one_of_few_frames_come_once(tmp_path):
    long = write(tmp_path / "long.mkv", counting(30), fps=Fraction(24))
    slow = write(tmp_path / "slow.mkv", counting(6), fps=Fraction(8))
    assert [numbers(take) for take in takes_of(long, length=4, size=16, fps=8.0)] == [list(range(0, 30, 3))]
    assert [numbers(take) for take in takes_of(slow, length=9, size=16, fps=8.0)] == [list(range(6))]


def test_time_stamps_count_not_frames(tmp_path):
    """A picture that is held for longer is there for longer."""
    path = write(tmp_path / "a.mkv", counting(3), fps=Fraction(8), stamps=[0, 4, 5])
    assert numbers(takes_of(path, length=4, size=16, fps=8.0)[0])[:6] == [0, 0, 0, 0, 1, 2]


def test_the_middle_is_cut_out(tmp_path):
    frames = np.zeros((2, 16, 48, 3), np.uint8)
    frames[:, :, 16:32] = 200
    take = takes_of(write(tmp_path / "a.mkv", frames), length=4, size=16, fps=8.0)[0]
    assert take[:, :, 2:-2].min() == 200


def test_a_still_image_is_no_clip(tmp_path):
    with pytest.raises(MediaError, match="still image"):
        takes_of(write(tmp_path / "a.mkv", counting(1)), length=4, size=16, fps=8.0)


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("asl_thanks.mkv", "asl thanks"),
        ("a-red--ball_03.mp4", "a red ball"),
        ("take 2_007.webm", "take"),
        ("walk12.mkv", "walk"),
        ("0001.mkv", "0001"),
        ("h264_10bits.mp4", "h264 10bits"),
    ],
)
def test_a_caption_from_the_name(tmp_path, name, caption):
    assert caption_of(tmp_path / name) == caption


def test_a_caption_from_the_text_beside(tmp_path):
    (tmp_path / "a_1.txt").write_text("  A red\nball rolls. \n", encoding="utf-8")
    assert caption_of(tmp_path / "a_1.mkv") == "A red ball rolls."
    (tmp_path / "a_1.txt").write_text("\n")
    assert caption_of(tmp_path / "a_1.mkv") == "a"
    (tmp_path / "a_1.txt").write_text("A red ball", encoding="utf-8-sig")
    assert caption_of(tmp_path / "a_1.mkv") == "A red ball"
    (tmp_path / "a_1.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="save it as UTF-8"):
        caption_of(tmp_path / "a_1.mkv")


def test_a_clip_without_a_word_has_no_caption(tmp_path):
    with pytest.raises(DataError, match=r"'__-\.mkv' has no caption: write one into '__-\.txt'\.$"):
        caption_of(tmp_path / "__-.mkv")
    (tmp_path / "__-.txt").mkdir()
    with pytest.raises(DataError, match="can't be read"):
        caption_of(tmp_path / "__-.mkv")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two clips, one of them short, and much that is none."""
    folder = tmp_path_factory.mktemp("mixed")
    write(folder / "a_long_walk-2.mkv", moving(40, 32, 48), fps=Fraction(8))
    write(folder / "jump.mp4", moving(10, 48, 32), "libx264", pixel_format="yuv420p", fps=Fraction(8))
    (folder / "jump.txt").write_text("Somebody jumps")
    (folder / "broken.mkv").write_bytes((folder / "a_long_walk-2.mkv").read_bytes()[:2000])
    (folder / "notes.md").write_text("not a clip")
    (folder / ".hidden.mkv").write_text("not looked at")
    (folder / "more").mkdir()
    return folder


def test_a_folder_becomes_shards_and_says_what_it_left_out(mixed, tmp_path):
    folder = Folder(mixed, frames=13, size=16, fps=8.0)
    parts = list(folder.parts(most=4))
    assert [len(captions) for _, captions in parts[:-1]] == [4] * (len(parts) - 1)
    shards = write_shards(tmp_path, parts, folder.fps)
    assert shards.clip(0, "frames").shape == (13, 16, 16, 3)
    assert set(shards.captions) == {"a long walk", "Somebody jumps"}
    assert shards.captions.count("a long walk") > 4
    assert folder.held == ["jump.mp4"]
    assert [reason.split("'")[1] for reason in folder.skipped] == ["broken.mkv", "notes.md"]
    notes = folder.notes()
    assert notes[0].startswith("Skipped: 'broken.mkv' ")
    assert notes[2] == "1 of 4 clips are shorter than 13 frames at 8 a second and hold their last: jump.mp4."


def test_a_short_clip_holds_its_last_frame(mixed):
    folder = Folder(mixed, frames=13, size=16, fps=8.0)
    windows = [f for fields, texts in folder.parts() for f, text in zip(fields["frames"], texts, strict=True)]
    short = windows[-1]
    assert all(bool((short[k] == short[9]).all()) for k in range(10, 13))
    assert not bool((short[8] == short[9]).all())


def test_what_is_kept_beside_clips_is_no_clip(tmp_path):
    """So that a folder that `kineo generate` has filled can be learnt from."""
    clip = write(tmp_path / "red ball.mkv", counting(4), fps=Fraction(8))
    for name in ("red ball.job.json", "red ball.mkv.c2pa", "red ball.txt", "sources.json", ".hidden.mkv"):
        (tmp_path / name).write_text("words")
    assert Folder(tmp_path, 4, 16, 8.0).files == [clip]


def test_folders_without_clips_are_refused(tmp_path):
    with pytest.raises(DataError, match="There is no folder"):
        Folder(tmp_path / "none", 13, 16, 8.0)
    with pytest.raises(DataError, match="can't be read"):
        Folder(tmp_path / ("a" * 300), 13, 16, 8.0)
    with pytest.raises(DataError, match="There are no clips"):
        Folder(tmp_path, 13, 16, 8.0)
    (tmp_path / "notes.md").write_text("not a clip")
    folder = Folder(tmp_path, 13, 16, 8.0)
    with pytest.raises(DataError, match=r"No clip in .* can be read: 'notes.md' is neither"):
        next(folder.parts())
