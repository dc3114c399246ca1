"""Pictures with time stamps → frames at a constant rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Generic, TypeVar

Image = TypeVar("Image")


@dataclass(frozen=True)
class Picture(Generic[Image]):
    """An image that is shown from `time` until at least `end`, in seconds since the clip began."""

    image: Image
    time: float
    end: float


def resample(
    pictures: Iterable[Picture[Image]], *, fps: float, native: float, start: float = 0.0
) -> Iterator[tuple[Image, int]]:
    """Each image and how many frames in a row show it, at `fps` frames per second from `start` seconds on.

    Frame k shows the latest picture that is due by start + k / fps, or at most half a frame later: of the
    two rates `fps` and `native` the faster one sets what half a frame is. So at the native rate every picture
    is shown once however its time stamps were rounded, a lower rate takes the nearest picture, and a picture
    that is held for seconds changes on time. Pictures come in order of time. Nothing is yielded past the end.
    """
    early = 0.5 / max(fps, native)

    def frames_before(time: float) -> int:
        return max(0, ceil((time - early - start) * fps - 1e-6))

    shown, held = 0, None
    for picture in pictures:
        if held is not None and (due := frames_before(picture.time)) > shown:
            yield held.image, due - shown
            shown = due
        held = picture
    if held is not None and (due := frames_before(held.end)) > shown:
        yield held.image, due - shown


def constant_rate(times: list[float], end: float, claimed: float | None) -> float:
    """Frames per second of pictures shown at `times` seconds (sorted) until `end`.

    The rate that the container claims, if it gives the same length to within rounding (stamps are often whole
    milliseconds, the claim is exact), otherwise the average rate.
    """
    seconds = end - times[0]
    if claimed and abs(len(times) / claimed - seconds) < min(0.003, 0.5 / claimed):
        return claimed
    return len(times) / seconds


def is_variable(times: list[float], fps: float) -> bool:
    """Whether some picture is off an even grid of `fps` frames per second by more than half a frame."""
    return any(abs((time - times[0]) * fps - index) > 0.5 for index, time in enumerate(times))
