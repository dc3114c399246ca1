"""What goes into a batch and what comes of it, a row at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from kineograph.provenance.marking import MARKED, Marking
from kineograph.request import Request

Status = Literal["made", "made again", "skipped", "failed", "not reached"]


@dataclass(frozen=True)
class Order:
    """A clip that is to be made: `request` as the file `name` + `suffix`.

    `row` is a number of its own. Paths in the request are absolute. `marking` and `consent` are for the file,
    as a `Job` has them. `hash` stands for all that the clip depends on, see
    `kineograph.batch.folder.fingerprint`.
    """

    row: int
    name: str
    suffix: str
    request: Request
    hash: str = ""
    marking: Marking = MARKED
    consent: str | None = None

    @property
    def file(self) -> str:
        return self.name + self.suffix

    def to_json(self) -> str:
        """A JSON object."""
        return json.dumps(vars(self) | {"request": self.request.to_json(), "marking": asdict(self.marking)})

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        request, marking = Request.from_json(values["request"]), Marking(**values["marking"])
        return cls(**values | {"request": request, "marking": marking})


@dataclass(frozen=True)
class Outcome:
    """What came of a row: its file if there is one, or the `reason` in one sentence if it failed.

    `seconds` and `evaluations` of the network are what it took now: 0 if nothing was made.
    """

    row: int
    name: str
    status: Status
    file: str = ""
    reason: str = ""
    seconds: float = 0.0
    evaluations: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """How many rows were made and so on, in how many seconds, with all of them in their order.

    `made` counts those made again too. `others` are clips in the folder that no row asks for.
    """

    made: int
    made_again: int
    skipped: int
    failed: int
    not_reached: int
    seconds: float
    evaluations: int
    others: tuple[str, ...]
    rows: tuple[Outcome, ...]

    @classmethod
    def of(
        cls,
        rows: Sequence[Order | Outcome],
        outcomes: Iterable[Outcome],
        seconds: float,
        others: tuple[str, ...],
    ) -> Summary:
        """The summary of `rows`, of which some have come to `outcomes`."""
        came = {outcome.row: outcome for outcome in outcomes}
        every = tuple(came.get(row.row) or Outcome(row.row, row.name, "not reached") for row in rows)
        statuses = [outcome.status for outcome in every]
        return cls(
            made=statuses.count("made") + statuses.count("made again"),
            made_again=statuses.count("made again"),
            skipped=statuses.count("skipped"),
            failed=statuses.count("failed"),
            not_reached=statuses.count("not reached"),
            seconds=round(seconds, 3),
            evaluations=sum(outcome.evaluations for outcome in every),
            others=others,
            rows=every,
        )
