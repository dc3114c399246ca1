"""A benchmark as a command: what is asked wrongly ends it with one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable

import cyclopts

from kineograph.errors import KineographError


def run(main: Callable[..., None]) -> None:
    """Call `main` with the arguments of the command line."""
    try:
        cyclopts.run(main)
    except KineographError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
