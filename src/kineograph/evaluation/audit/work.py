"""How far an audit is."""

from __future__ import annotations

from dataclasses import dataclass

from kineograph.evaluation.suite import Progress


@dataclass
class Work:
    """Work in clips made, of which so many are done."""

    total: float
    done: float = 0.0

    def progress(self, part: str, more: float) -> Progress:
        self.done = min(self.total, self.done + more)
        return Progress(part, self.done, self.total)
