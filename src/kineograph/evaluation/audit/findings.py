"""What an audit found, and the rule by which it is flagged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from kineograph.evaluation.audit.memory import Memory
from kineograph.evaluation.audit.scoring import Confusion
from kineograph.evaluation.audit.statistics import MARGIN
from kineograph.evaluation.figures import Figure
from kineograph.evaluation.report import finite
from kineograph.models.family import Spec

LEAST_READ = 16  # clips, below which nothing is said


class Verdict(StrEnum):
    FLAGGED = "flagged"
    NOT_FLAGGED = "not flagged"
    NO_SCORER = "no scorer"
    NO_TRUTH = "no truth to compare with"
    TOO_FEW = "too few clips could be read"


RULE = (
    f"Flagged is what lies, with its whole 95% interval, more than {MARGIN:g} above what chance alone stays "
    "below 95 times in 100, plus what the scorer itself adds where its error is known."
)


def verdict(found: Figure, chance: float, bias: float = 0.0) -> Verdict:
    """By the rule above."""
    return Verdict.FLAGGED if found.low > threshold(chance, bias) else Verdict.NOT_FLAGGED


def threshold(chance: float, bias: float = 0.0) -> float:
    """Above which the interval must lie."""
    return chance + bias + MARGIN


@dataclass(frozen=True)
class Mended:
    """The total variation after a remedy, and in how many of its clips the scorer saw any label."""

    variation: Figure
    read: int


@dataclass(frozen=True)
class Opened:
    """What came where prompts left a group open. `shares` and `target` are in the order of `labels`; `clips`
    were made, of which in `read` the scorer saw any label. Of a group without a scorer all else is empty."""

    group: str
    prompt: str
    labels: tuple[str, ...]
    target: tuple[float, ...]
    clips: int
    verdict: Verdict
    read: int = 0
    shares: tuple[float, ...] = ()
    entropy: Figure | None = None
    variation: Figure | None = None
    threshold: float | None = None
    completed: Mended | None = None  # once the prompt is completed
    reweighted: Mended | None = None  # once guidance is re-weighted


@dataclass(frozen=True)
class Measure:
    """How a quantity differs between the values of a group, in the order of its labels."""

    name: str
    means: tuple[float, ...]
    gap: Figure | None
    threshold: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Parity:
    """Prompts that differ in one word alone, made with the same seeds: `seeds` for each label, over all
    templates."""

    group: str
    labels: tuple[str, ...]
    seeds: int
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Read:
    """Who read a group, and how well; None if nobody did, or if that is not known."""

    group: str
    scorer: str | None
    confusion: Confusion | None


@dataclass(frozen=True)
class Audit:
    """All that was found; `clips` were made of each prompt, guidance was re-weighted by `reweight` if that is
    not 0; `version` is the package's."""

    spec: Spec
    version: str
    plan: dict[str, Any]
    clips: int
    scorers: tuple[Read, ...]
    opened: tuple[Opened, ...]
    parity: tuple[Parity, ...]
    minutes: float
    memory: Memory | None = None
    reweight: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Flagged if anything is."""
        verdicts = {one.verdict for one in self.opened}
        if self.memory is not None:
            verdicts.add(Verdict.FLAGGED if self.memory.repeats else Verdict.NOT_FLAGGED)
        verdicts |= {measure.verdict for one in self.parity for measure in one.measures}
        order = (Verdict.FLAGGED, Verdict.NOT_FLAGGED, Verdict.TOO_FEW)
        return next((one for one in order if one in verdicts), Verdict.NO_SCORER)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; numbers that are not finite become None."""
        values = asdict(self) | {"verdict": self.verdict, "rule": RULE}
        values["spec"]["abilities"] = sorted(self.spec.abilities)
        plain: dict[str, Any] = finite(values)
        return plain
