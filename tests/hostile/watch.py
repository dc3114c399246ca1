"""What holds whatever came in: one sentence, which gives nothing away, and no file that wasn't asked for."""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kineograph.errors import KineographError

LONGEST = 1000  # letters of a sentence
MOST_SECONDS = 30.0  # of processor time; beyond it something goes round and round
ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
ABSOLUTE = re.compile(r"(?<![\w.~)])/(?:[\w.@+-]+/)+[\w.@+-]*[\w@+-]")
WRITTEN = ("/etc/passwd", "/dev/zero", "/nowhere")  # in the corpora themselves
RAW = re.compile(r"Traceback|Errno|\bException\b|object at|<class")


@dataclass(frozen=True)
class Outcome:
    """`said` is the sentence of a refusal, empty where all went well; `seconds` is what the clock says."""

    name: str
    said: str
    seconds: float


def attempt(name: str, action: Callable[[], object], typed: Iterable[str] = ()) -> Outcome:
    """What comes of an action. A refusal is looked at; any other exception is not caught.

    typed: what the user wrote, which a sentence may repeat.
    """
    start, before, said = time.monotonic(), spent(), ""
    try:
        action()
    except KineographError as error:
        said = str(error)
        assert said, name
        check_sentence(said, typed)
    assert spent() - before < MOST_SECONDS, name
    return Outcome(name, said, time.monotonic() - start)


def spent() -> float:
    """Processor time in seconds, of this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def check_sentence(said: str, typed: Iterable[str] = ()) -> None:
    assert said.endswith((".", "?")), said
    assert said.isprintable(), repr(said)
    assert len(said) <= LONGEST, f"{len(said)} letters: {said[:LONGEST]}"
    known = [words for words in (*typed, *WRITTEN) if words]
    for path in ABSOLUTE.findall(said):
        assert any(path in words or path.startswith(words) for words in known), said
    for pattern in (ADDRESS, RAW):
        assert not pattern.search(said), said


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def told(what: str, outcomes: Sequence[Outcome]) -> str:
    """How many there were, how many were refused, and the slowest."""
    refused = sum(bool(outcome.said) for outcome in outcomes)
    worst = max(outcomes, key=lambda outcome: outcome.seconds)
    return (
        f"{what}: {len(outcomes)}, of which {refused} refused and {len(outcomes) - refused} taken; "
        f"the slowest, {worst.name}, took {worst.seconds:.2f} s"
    )
