"""A closed vocabulary of whole words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

PAD, UNKNOWN = 0, 1
RESERVED = 2
SEPARATORS = ("and", "of", "above")  # one of which stands between two things: "left of", "in front of"
IDIOMS = ("fro",)  # before which they separate nothing: "to and fro"
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


def split(caption: str) -> list[str]:
    """The lower-case words of a caption; punctuation only separates, Unicode forms are one."""
    return _WORD.findall(unicodedata.normalize("NFKC", caption).casefold())


@dataclass(frozen=True)
class Vocabulary:
    """Words and their numbers: 0 pads, 1 stands for a word that is not known."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, captions: Iterable[str]) -> Vocabulary:
        """All the words that occur in `captions`, sorted."""
        return cls(tuple(sorted({word for caption in captions for word in split(caption)})))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, RESERVED)}

    def __len__(self) -> int:
        return len(self.words) + RESERVED

    def encode(self, caption: str, length: int) -> list[int]:
        """`length` numbers: the caption's words, padded; words beyond `length` are dropped, see `unread`."""
        numbers = [self._numbers.get(word, UNKNOWN) for word in split(caption)[:length]]
        return numbers + [PAD] * (length - len(numbers))

    def numbers_of(self, words: Iterable[str]) -> tuple[int, ...]:
        """The numbers of those of the words that are known."""
        return tuple(self._numbers[word] for word in words if word in self._numbers)

    def unknown(self, caption: str) -> list[str]:
        """The words of `caption` that are not in the vocabulary, in order, each once."""
        return list(dict.fromkeys(word for word in split(caption) if word not in self._numbers))


def unread(caption: str, length: int) -> list[str]:
    """The words that `Vocabulary.encode` drops, in order."""
    return split(caption)[length:]


@dataclass(frozen=True)
class PassedOver:
    """The words of prompts that a model does not know, and those after the last one that it reads."""

    unknown: list[str]
    unread: list[str]


def passed_over(prompts: Iterable[str], words: tuple[str, ...], length: int | None) -> PassedOver:
    """What a model passes over that knows `words` (all of them if there are none) and reads so many of each
    prompt, None for all."""
    said = list(prompts)
    return PassedOver(
        Vocabulary(words).unknown(" ".join(said)) if words else [],
        [] if length is None else [word for prompt in said for word in unread(prompt, length)],
    )
