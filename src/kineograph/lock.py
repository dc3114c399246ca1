"""One process at a time in a folder. The system lets go of the lock when a process ends, however it ends.

OUT/.lock   empty; that it is there says nothing
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kineograph.errors import RequestError

LOCK = ".lock"


@contextmanager
def locked(out: Path, work: str) -> Iterator[None]:
    """Hold the folder `out`, which is made if it isn't there, for `work`, such as "training".

    Raises:
        RequestError: somebody else holds it.
        OSError: it can't be made, or written to.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RequestError(
                f"Another {work} is at work in {out}: wait for its end, or give another --out."
            ) from error
        yield
