"""The log of a stage: a line of JSON for each step, with its loss, rate, seconds and other figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO

LOG = "log.jsonl"

Line = dict[str, float]


def read(folder: Path) -> list[Line]:
    """The whole lines of the log in `folder`; what a kill cut short is passed over."""
    path = folder / LOG
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return [line for line in map(_parsed, text.splitlines()) if line is not None]


def open_at(folder: Path, step: int) -> IO[str]:
    """Open the log to write of `step` and what follows; lines of steps that a kill undid are dropped."""
    aside = folder / f".{LOG}.part"
    aside.write_text("".join(_line(values) for values in read(folder) if values["step"] < step))
    aside.replace(folder / LOG)
    return (folder / LOG).open("a")


def write(log: IO[str], values: Mapping[str, float]) -> None:
    """Append a line and hand it to the system, so that it outlives this process."""
    log.write(_line(values))
    log.flush()


def _line(values: Mapping[str, float]) -> str:
    return json.dumps(values) + "\n"


def _parsed(line: str) -> Line | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) and isinstance(values.get("step"), int) else None
