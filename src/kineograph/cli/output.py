"""What commands share in saying and writing: progress, notes, names of files, JSON."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kineograph.errors import OutputError, RequestError

if TYPE_CHECKING:
    from kineograph.models.family import Step
    from kineograph.video import Chunk

LARGEST_TEXT = 1 << 27  # bytes

# Control characters, those that turn the order of what follows, and halves of letters.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def say(line: str) -> None:
    """A line for whoever watches; results go to stdout instead."""
    print(harmless(line), file=sys.stderr, flush=True)


def harmless(text: str) -> str:
    """The text with what steers a terminal written out: names of files may come from elsewhere."""
    return _STEERING.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def print_json(value: object) -> None:
    """One JSON object on one line of stdout."""
    print(json.dumps(value), flush=True)


def with_progress(items: Iterable[Step | Chunk], title: str) -> Iterator[Step | Chunk]:
    """Pass items on and show how far they are: a bar on a terminal, a line at each quarter elsewhere."""
    show = _bar if sys.stderr.isatty() else _lines
    return show(items, title)


def _bar(items: Iterable[Step | Chunk], title: str) -> Iterator[Step | Chunk]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(title, total=None)
        for item in items:
            if step := _step(item):
                progress.update(bar, completed=step.done, total=step.total)
            yield item


def _lines(items: Iterable[Step | Chunk], title: str) -> Iterator[Step | Chunk]:
    shown = 0
    for item in items:
        if (step := _step(item)) and (quarter := 4 * step.done // step.total) > shown:
            shown = quarter
            say(f"{title}: {25 * quarter}% ({step.done} of {step.total} evaluations)")
        yield item


def _step(item: Step | Chunk) -> Step | None:
    from kineograph.models.family import Step

    return item if isinstance(item, Step) else None


def slug(text: str, longest: int = 40) -> str:
    """A file name from a prompt: lower-case ASCII words joined by hyphens; "clip" if there are none."""
    plain = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    words = "-".join(re.findall(r"[a-z0-9]+", plain))
    return words[:longest].strip("-") or "clip"


def numbered(path: Path, count: int) -> list[Path]:
    """`path` itself for one file, NAME-0001.EXT and so on for several.

    Raises:
        OutputError: `path` has no name to number.
    """
    if count == 1:
        return [path]
    if path.name in ("", ".."):
        raise OutputError(f"{str(path)!r} names no file to write: give a name.")
    return [path.with_name(f"{path.stem}-{number:04d}{path.suffix}") for number in range(1, count + 1)]


def unused(path: Path, count: int) -> list[Path]:
    """The names of `numbered`, under the first of NAME, NAME-2, NAME-3 … of which there is no clip or job."""
    stem = path.stem
    for number in itertools.count(2):
        paths = numbered(path, count)
        if not any(os.path.lexists(name) for clip in paths for name in (clip, job_path(clip))):
            return paths
        path = path.with_name(f"{stem}-{number}{path.suffix}")
    raise AssertionError("unreachable: there are always names left")


def job_path(path: Path) -> Path:
    """The private record that stands beside a clip."""
    return path.with_suffix(".job.json")


def read_text(path: Path) -> str:
    """Read a small text file that the user named.

    Raises:
        RequestError: it can't be read as text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_TEXT + 1)
        if len(data) > LARGEST_TEXT:  # a device may never end
            raise RequestError(f"{path} is too large: give a text of at most {LARGEST_TEXT} bytes.")
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8").read()
    except OSError as error:
        raise RequestError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not a text file.") from error
