"""A dataclass as a file of JSON, beside shards or weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from kineograph.config import from_dict
from kineograph.errors import RequestError
from kineograph.media.atomic import explaining, replacing

T = TypeVar("T")


def write(path: Path, values: object) -> None:
    """Write plain values, whole or not at all. Raises OutputError."""
    with replacing(path) as part, explaining(path):
        part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read(path: Path, kind: type[T]) -> T | None:
    """The `kind` that the file holds; None if there is no file.

    Raises:
        RequestError: it is damaged.
    """
    if not path.exists():
        return None
    try:
        return from_dict(kind, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise RequestError(f"'{path}' holds no {kind.__name__}: {error}.") from error
