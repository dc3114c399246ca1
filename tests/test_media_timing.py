"""Laws of `resample`: pictures with time stamps → a constant rate."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.media.timing import Picture, constant_rate, is_variable, resample

rates = st.sampled_from([5.0, 12.0, 24000 / 1001, 25.0, 30000 / 1001, 30.0, 59.94, 120.0])


def even(count: int, fps: float, jitter: list[float] | None = None) -> list[Picture[int]]:
    times = [index / fps + (jitter[index] if jitter else 0.0) for index in range(count)]
    return [Picture(index, max(0.0, time), max(0.0, time) + 1 / fps) for index, time in enumerate(times)]


def spread(runs: object) -> list[int]:
    return [image for image, repeats in runs for _ in range(repeats)]  # type: ignore[attr-defined]


@settings(max_examples=50)
@given(rates, st.integers(1, 60), st.randoms(use_true_random=False))
def test_at_the_native_rate_each_picture_is_shown_once_however_stamps_are_rounded(fps, count, random) -> None:
    jitter = [random.uniform(-0.001, 0.001) for _ in range(count)]
    assert spread(resample(even(count, fps, jitter), fps=fps, native=fps)) == list(range(count))


@settings(max_examples=50)
@given(rates, rates, st.integers(1, 60))
def test_length_in_seconds_is_kept_to_within_a_frame(native, fps, count) -> None:
    shown = spread(resample(even(count, native), fps=fps, native=native))
    assert len(shown) >= 1
    assert abs(len(shown) / fps - count / native) <= 1 / fps
    assert shown == sorted(shown)


@settings(max_examples=50)
@given(rates, rates, st.integers(1, 60))
def test_each_frame_shows_a_picture_at_most_half_a_picture_away(native, fps, count) -> None:
    for index, image in enumerate(spread(resample(even(count, native), fps=fps, native=native))):
        assert -0.5 - 1e-3 <= index / fps * native - image <= max(1.0, native / fps)


@settings(max_examples=30)
@given(rates, st.integers(2, 40), st.data())
def test_starting_later_drops_the_beginning_and_nothing_else(fps, count, data) -> None:
    skipped = data.draw(st.integers(0, count - 1))
    whole = spread(resample(even(count, fps), fps=fps, native=fps))
    assert spread(resample(even(count, fps), fps=fps, native=fps, start=skipped / fps)) == whole[skipped:]


def test_a_held_picture_changes_on_time() -> None:
    slides = [Picture("a", 0.0, 10.0), Picture("b", 10.0, 12.0)]
    assert list(resample(slides, fps=10, native=1 / 6)) == [("a", 100), ("b", 20)]


def test_nothing_is_shown_past_the_end() -> None:
    assert list(resample(even(5, 10.0), fps=10, native=10, start=0.5)) == []


@pytest.mark.parametrize("fps", [24000 / 1001, 30.0, 12.5])
def test_a_claimed_rate_counts_if_the_stamps_agree(fps) -> None:
    rounded = [round(index / fps, 3) for index in range(90)]
    assert constant_rate(rounded, 90 / fps, fps) == fps
    assert constant_rate(rounded, 90 / fps, 2 * fps) == pytest.approx(fps)
    assert not is_variable(rounded, fps)


def test_uneven_stamps_are_variable() -> None:
    times = [0.0, 0.1, 0.2, 0.9, 1.0]
    assert is_variable(times, constant_rate(times, 1.1, None))
