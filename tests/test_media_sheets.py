"""Contact sheets."""

from __future__ import annotations

import media_clips as clips
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.media.sheets import FONT_PIXELS, GAP, MARGIN, chosen, contact_sheet
from kineograph.video import Video


@given(st.integers(1, 300), st.integers(1, 20))
def test_chosen_frames_run_evenly_from_first_to_last(length: int, columns: int) -> None:
    picked = chosen(length, columns)
    assert len(picked) == len(set(picked)) == min(length, columns)
    assert picked[0] == 0
    assert columns == 1 or picked[-1] == length - 1
    steps = np.diff(picked)
    assert len(steps) == 0 or steps.max() - steps.min() <= 1


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4))
def test_any_clips_fit_on_one_sheet(sizes: list[tuple[int, int, int]]) -> None:
    videos = [Video(clips.moving(*size), 8.0) for size in sizes]
    bare = contact_sheet(videos, columns=5, frame_width=20)
    labelled = contact_sheet(videos, ["a long label " * 9] * len(videos), columns=5, frame_width=20)
    assert bare.dtype == np.uint8
    assert bare.shape[1:] == labelled.shape[1:] == (5 * 20 + 4 * GAP + 2 * MARGIN, 3)
    assert labelled.shape[0] - bare.shape[0] == len(videos) * (FONT_PIXELS + 6)


def test_frames_stand_where_they_belong_and_the_rest_is_paper() -> None:
    frames = clips.counting(5, 20, 20)
    sheet = contact_sheet([Video(frames, 8.0)], columns=3, frame_width=20)
    row = sheet[MARGIN : MARGIN + 20, MARGIN:-MARGIN]
    for column, index in enumerate([0, 2, 4]):
        start = column * (20 + GAP)
        assert np.array_equal(row[:, start : start + 20], frames[index])
        assert (row[:, start + 20 : start + 20 + GAP] == 255).all()


def test_labels_are_drawn_dark_on_paper() -> None:
    sheet = contact_sheet([Video(clips.counting(3), 8.0)], ["yes"], columns=3)
    head = sheet[MARGIN : MARGIN + FONT_PIXELS + 6]
    assert head.min() < 80
    assert (head[:, -40:] == 255).all()
