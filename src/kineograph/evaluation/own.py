"""Clips of somebody's own that a model was not trained on, to measure it by where no world is known.

What captions say of such clips can't be judged, as there is no detector for them; how near to them a canvas
is filled can, and how like them as a set made clips are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kineograph.evaluation.horizon import lengths
from kineograph.video import Frames

PAIR = 4  # clips from which on sets are compared


@dataclass(frozen=True, eq=False)
class Own:
    """Clips (N, T, H, W, 3) of a model's own size and rate, with their captions, long enough to measure how
    long a continuation stays near."""

    clips: Frames
    captions: Sequence[str]

    def __post_init__(self) -> None:
        assert len(self.clips) == len(self.captions) > 0

    @staticmethod
    def length_of(window: int) -> int:
        """How many frames a clip needs, for models that make so many at once."""
        return max(window, sum(lengths(window)))

    def first(self, count: int) -> Own:
        """So many of them, fewer if there aren't."""
        return Own(self.clips[:count], self.captions[:count])

    def distinct(self, most: int) -> Own:
        """The first of each caption, `most` at the most."""
        first: dict[str, int] = {}
        for at, text in enumerate(self.captions):
            first.setdefault(text, at)
        places = list(first.values())[:most]
        return Own(self.clips[places], [self.captions[at] for at in places])

    @property
    def halves(self) -> tuple[Own, Own] | None:
        """Every second clip, and as many of the others; None where they are too few to be compared."""
        half = len(self.clips) // 2
        if len(self.clips) < PAIR:
            return None
        one, other = (Own(self.clips[at::2][:half], self.captions[at::2][:half]) for at in (0, 1))
        return one, other
