"""Memory that is freed stays with a process that asks for it."""

import os
import platform
import subprocess
import sys

import pytest

HELD = """
import os, sys
import numpy as np
from kineograph.heap import keep_freed
for _ in range(int(sys.argv[1])):
    keep_freed()
block = np.ones(1 << 24)
del block
pages = int(open("/proc/self/statm").read().split()[1])
print(pages * os.sysconf("SC_PAGE_SIZE"), os.environ.get("THP_MEM_ALLOC_ENABLE"))
"""


def held(calls, **variables):
    """Bytes that a process holds after it freed 128 MB, and whether torch is to ask for huge pages."""
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", HELD, str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603
    size, huge = done.stdout.split()
    return int(size), huge


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the C library of GNU")
def test_what_is_freed_is_kept():
    plain, _ = held(0)
    for calls in (1, 2):
        kept, huge = held(calls)
        assert kept > plain + 100e6
        assert huge == "1"


def test_what_a_user_says_of_huge_pages_stands():
    assert held(1, THP_MEM_ALLOC_ENABLE="0")[1] == "0"
