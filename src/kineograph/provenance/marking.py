"""What is to be put on a released file; everything that marks it as generated, unless somebody opts out."""

from __future__ import annotations

from dataclasses import dataclass

from kineograph.errors import RequestError

LABEL = "AI-generated"
MOST_LETTERS = 60  # of a label or a name: they have to fit into a frame and into a tag


@dataclass(frozen=True)
class Marking:
    """The marks of a file. Signature and watermark are there by default, and leaving them out is recorded.

    Args:
        watermark: an invisible mark in the pixels, which survives ordinary processing.
        sign: a C2PA manifest with a signature, in the file or beside it.
        label: words that are seen in a corner of every frame.
        disclose_prompt: write the prompts into the file, where else only their salted hash goes.
        producer: whoever answers for the content, for the `AIGC` tag of GB 45438-2025; no tag without.

    Raises:
        RequestError: a label or a producer is no short line of text.
    """

    watermark: bool = True
    sign: bool = True
    label: str | None = None
    disclose_prompt: bool = False
    producer: str | None = None

    def __post_init__(self) -> None:
        for name in ("label", "producer"):
            text = getattr(self, name)
            if text is not None and not (text.isprintable() and 0 < len(text.strip()) <= MOST_LETTERS):
                raise RequestError(
                    f"The {name} must be one line of 1 to {MOST_LETTERS} letters, not {text[:80]!r}."
                )

    @property
    def left_out(self) -> tuple[str, ...]:
        """The marks that somebody opted out of."""
        kept = {"watermark": self.watermark, "signature": self.sign}
        return tuple(name for name, there in kept.items() if not there)


MARKED = Marking()
