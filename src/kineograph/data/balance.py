"""Balanced sampling: of every class of clips equally many in a batch, however many there are of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from kineograph.data.shards import Shards, order
from kineograph.errors import DataError
from kineograph.text.vocabulary import split

NONE = -1  # the class of clips whose caption has none of the words


def classes_of(shards: Shards, by: str) -> list[int]:
    """The class of each clip: what the shards know of it by the name `by` (of the world's color, kind and
    manner), else which of the words `by`, separated by commas, comes first in its caption.

    Raises:
        DataError: no clip differs from the others in that.
    """
    if by in shards.fields():
        found = [int(shards.clip(index, by)) for index in range(len(shards))]
    else:
        found = [_first(split(caption), by.split(",")) for caption in shards.captions]
    if len(set(found)) < 2:
        raise DataError(
            f"The clips can't be balanced by {by}: name something in which they differ, such as color of the "
            "world's, or words of captions, such as red,blue."
        )
    return found


def _first(said: Sequence[str], words: Sequence[str]) -> int:
    return next((words.index(word) for word in said if word in words), NONE)


class Balanced:
    """Draws clips by step, class after class in turn; those of a class in an order of their own, epoch after
    epoch. The same step gives the same clips."""

    def __init__(self, classes: Sequence[int], seed: int) -> None:
        kinds = torch.tensor(classes)
        self.members = [torch.nonzero(kinds == kind)[:, 0] for kind in sorted(set(classes))]
        self.seed = seed

    def indices(self, count: int, step: int) -> list[int]:
        """Which clips make up `count` rows of a step."""
        return list(self._drawn(range(step * count, (step + 1) * count)))

    def _drawn(self, positions: range) -> Iterator[int]:
        for position in positions:
            turn, kind = divmod(position, len(self.members))
            members = self.members[kind]
            epoch, place = divmod(turn, len(members))
            yield int(members[order(len(members), epoch, self.seed + kind)[place]])
