"""Where somebody's own clips come from: `sources.json` in their folder names licence and consent.

[{"files": "*.mkv", "licence": "CC-BY-4.0", "consent": "the signers agreed in writing", "url": "https://…"},
 {"files": "garden-*", "licence": "my own", "consent": "nobody is shown"}]

`files` is a pattern of names, as shells have it; of several that fit, the first counts. The url may be left
out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kineograph.config import from_dict
from kineograph.errors import DataError, RequestError

FILE = "sources.json"
NAMED = 3  # files in one sentence
ALLOW = "--allow-unlicensed"


@dataclass(frozen=True)
class Source:
    """One entry: the licence and the consent of those shown, in words."""

    files: str
    licence: str
    consent: str
    url: str = ""


def read(folder: Path) -> tuple[Source, ...]:
    """The sources that a folder names, () if it names none.

    Raises:
        DataError: the file can't be read, or says something else than above.
    """
    path = folder / FILE
    if not path.exists():
        return ()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, list):
            raise RequestError("it must be a list of sources.")
        return tuple(_source(value) for value in values)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} can't be read as JSON: mend it.") from error
    except RequestError as error:
        raise DataError(f"{path} is not as it must be: {error}") from error


def _source(values: Any) -> Source:
    if not isinstance(values, dict):
        raise RequestError("each source must be an object.")
    source = from_dict(Source, values)
    for field in fields(source):
        if field.name != "url" and not getattr(source, field.name).strip():
            raise RequestError(f"{field.name} must say something.")
    return source


def source_of(name: str, sources: Sequence[Source]) -> Source | None:
    """The first source whose pattern fits a file's name."""
    return next((source for source in sources if fnmatchcase(name, source.files)), None)


def unlicensed(names: Sequence[str], sources: Sequence[Source]) -> list[str]:
    """The names of files that no source speaks of."""
    return [name for name in names if source_of(name, sources) is None]


def check(folder: Path, names: Sequence[str]) -> None:
    """Refuse to learn from files whose licence nobody has told.

    Raises:
        DataError: there are such files.
    """
    missing = unlicensed(names, read(folder))
    if missing:
        such = ", ".join(missing[:NAMED]) + (" and others" if len(missing) > NAMED else "")
        raise DataError(
            f"Of {len(missing)} of {len(names)} clips in {folder} no licence is known ({such}): name licence "
            f"and consent in {folder / FILE}, or add {ALLOW}."
        )
