"""How to sample: the numbers that trade quality against time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """`steps` of the `solver`, pushed along the prompt by `guidance` (1 is none) within an interval of time;
    the more steps near the noise, the larger `shift` (see `schedules.times`).

    `interval` holds the flow times (0 noise, 1 data) between which guidance acts (arXiv 2404.07724).
    """

    steps: int
    guidance: float
    solver: str = "euler"
    interval: tuple[float, float] = (0.0, 1.0)
    shift: float = 1.0

    def __str__(self) -> str:
        shift = f", shift {self.shift:g}" if self.shift != 1 else ""
        return f"{self.steps} {self.solver} steps, guidance {self.guidance:g}{shift}"
