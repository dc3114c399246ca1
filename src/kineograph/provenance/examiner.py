"""The child that reads a stranger's manifest: the file on standard input, roots and sidecar in the arguments.

It answers with one JSON object on standard output and has the limits of a decoder, so that a hostile file can
at most make it fail.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from c2pa import C2paError, Reader

from kineograph.media.wire import LIMITS
from kineograph.media.worker import confine
from kineograph.provenance.manifests import context

NO_MANIFEST = ("ManifestNotFound", "NotSupported", "JumbfNotFound")
ELSEWHERE = "Remote"  # the file names an address of its manifest, from which nothing is fetched


def main() -> None:
    kind, anchors, sidecar = sys.argv[1:]
    roots = Path(anchors).read_text(encoding="utf-8") if anchors else ""
    manifest = Path(sidecar).read_bytes() if sidecar else None
    confine(LIMITS)
    answer = examine(kind, roots)
    if manifest is not None and "state" not in answer:  # what lies beside a file is second to what is in it
        answer = examine(kind, roots, manifest)
        answer["beside"] = "state" in answer
    print(json.dumps(answer))


def examine(kind: str, roots: str, manifest: bytes | None = None) -> dict[str, Any]:
    """The manifest store and, as `state`, its worth; or where it is instead; or nothing."""
    sys.stdin.buffer.seek(0)
    try:
        with context(roots) as settings, Reader(kind, sys.stdin.buffer, manifest, context=settings) as reader:
            return {"state": reader.get_validation_state(), "store": json.loads(reader.json())}
    except C2paError as error:
        cause = str(error).partition(" ")[0].rstrip(":")
        if cause in NO_MANIFEST:
            return {}
        if cause == ELSEWHERE:
            return {"elsewhere": str(error).rpartition(" ")[2]}
        return {"state": "Invalid", "store": {}, "reason": str(error)[:300]}


if __name__ == "__main__":
    main()
