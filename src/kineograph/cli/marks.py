"""The options that say how a file is to be marked, shared by all commands that make clips."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from kineograph.cli.output import say
from kineograph.errors import RequestError
from kineograph.provenance.marking import LABEL, Marking

if TYPE_CHECKING:
    from kineograph.provenance.claim import Job
    from kineograph.provenance.mark import Saved

GROUP = Group("Marks", sort_key=1)


@Parameter(name="*", group=GROUP)
@dataclass(frozen=True)
class Marks:
    """What may be said of the marks of a file; `Marking` says what they are."""

    label: Annotated[
        bool | str | None,
        Parameter(negative=(), help=f"Show words in a corner of every frame; '{LABEL}' if none are given."),
    ] = None
    disclose_prompt: Annotated[
        bool, Parameter(negative=(), help="Write the prompt into the file, which else holds its salted hash.")
    ] = False
    producer: Annotated[
        str | None, Parameter(help="Who answers for the content: adds the AIGC tag of GB 45438.")
    ] = None
    consent: Annotated[
        str | None, Parameter(help="What the people in the footage agreed to; it is written into the file.")
    ] = None
    no_watermark: Annotated[bool, Parameter(negative=(), help="Leave the invisible watermark out.")] = False
    no_sign: Annotated[bool, Parameter(negative=(), help="Leave the signed manifest out.")] = False

    @property
    def marking(self) -> Marking:
        """The same for the door to files."""
        return Marking(
            watermark=not self.no_watermark,
            sign=not self.no_sign,
            label=LABEL if self.label is True else self.label or None,
            disclose_prompt=self.disclose_prompt,
            producer=self.producer,
        )


UNSAID = Marks()


def marking_of(marks: Marks, recorded: Job | None = None) -> Marking:
    """How files are to be marked; as they were before, if nothing is said of a recorded job. Warns of less.

    Raises:
        RequestError: of a recorded job something is said.
    """
    if recorded and marks != UNSAID:
        raise RequestError("--from marks the clip as it was marked before; leave the options of marks out.")
    marking = recorded.marking if recorded else marks.marking
    tell_left_out(marking.left_out)
    return marking


def tell_left_out(marks: Iterable[str]) -> None:
    """Warn of each mark that a file goes without."""
    for mark in marks:
        say(f"warning: the file will carry no {mark}; that is recorded in it, and laws may ask for it")


def tell_sidecar(saved: Saved) -> None:
    """Say that the signature lies beside the file."""
    if saved.sidecar:
        say(f"note: {saved.path.suffix} holds no signature; it is in {saved.sidecar}: keep the two together")
