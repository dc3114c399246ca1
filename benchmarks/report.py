"""Rows of figures, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import kineograph
from benchmarks.timing import Measured


@dataclass(frozen=True)
class Row:
    """One figure: `measured` is a run that makes `count` of `unit`; None if it could not be run, and why."""

    name: str
    measured: Measured | None
    count: float = 1
    unit: str = ""
    note: str = ""

    @property
    def rate(self) -> float | None:
        return None if self.measured is None else self.count / self.measured.seconds

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "name": self.name,
            "unit": f"{self.unit}/s",
            "rate": self.rate,
            "note": self.note,
        }
        if self.measured is not None:
            found |= asdict(self.measured) | {"gflops": self.measured.gflops}
        return found


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": _processor(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kineograph": kineograph.__version__,
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(rows: Sequence[Row], facts: dict[str, Any]) -> None:
    """Print the rows for people."""
    shown = Table(title=", ".join(f"{name} {value}" for name, value in facts.items()), title_justify="left")
    shown.add_column("what")
    for title in ("ms", "rate", "GFLOP/s", "of GEMM"):
        shown.add_column(title, justify="right")
    shown.add_column("note")
    for row in rows:
        shown.add_row(row.name, *_cells(row), row.note)
    Console(width=None if os.isatty(1) else 140).print(shown)


def _cells(row: Row) -> tuple[str, ...]:
    if row.measured is None:
        return ("–",) * 4
    found = row.measured
    gflops = "" if found.gflops is None else f"{found.gflops:,.1f}"
    share = "" if found.share is None else f"{found.share:.0%}"
    return f"{1000 * found.seconds:,.1f}", f"{row.rate:.3g} {row.unit}/s", gflops, share


def as_json(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """All figures for machines."""
    return json.dumps({"machine": facts, "rows": [row.to_dict() for row in rows]}, indent=1)
