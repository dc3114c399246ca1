"""How memory is asked for. What a step frees, the next one needs again: given back to the system in between,
it is handed out anew a page of 4 KB at a time, which costs a training on a processor much of its time."""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of mallopt(3)


def keep_freed() -> None:
    """Let this process keep what it frees, and ask for it in huge pages; without glibc only the latter. To be
    called before torch is imported."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, 1 << 26)):
        mallopt(parameter, value)
