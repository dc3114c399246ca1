"""Clips longer than a window, made window by window, forwards or backwards in time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A window that begins with frame `start` (before the clip if negative) and adds the frames [first, last)
    to it."""

    start: int
    first: int
    last: int


def spans_of(length: int, window: int, context: int, *, backwards: bool = False) -> list[Span]:
    """The windows of `length` frames, in the order in which they are made.

    Each has `window` frames and shares `context` of them with the one made before.
    """
    stride = window - context
    count = 1 + max(0, -(-(length - window) // stride))
    if backwards:
        starts = [length - window - stride * n for n in range(count)]
        shared = [context if n else 0 for n in range(count)]
        return [Span(s, max(0, s), s + window - c) for s, c in zip(starts, shared, strict=True)]
    starts = [stride * n for n in range(count)]
    return [Span(s, s + context if s else 0, min(s + window, length)) for s in starts]
