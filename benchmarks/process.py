"""Run a command in a process of its own and print the most memory that it held, in megabytes.

    python benchmarks/process.py COMMAND …

A child's peak counts from the moment at which it was split off from its parent, whose memory it shares
until then: so the parent has to be as small as this one.
"""

from __future__ import annotations

import resource
import subprocess
import sys

if __name__ == "__main__":
    subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(peak / (1e6 if sys.platform == "darwin" else 1e3))  # bytes there, kilobytes elsewhere
