"""Where signed manifests are, and how those of strangers are read: by a child process with limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from c2pa import Context

from kineograph.errors import MediaError
from kineograph.media.formats import HEAD_BYTES, sniff
from kineograph.media.sandbox import environment, opened
from kineograph.media.wire import LIMITS, Unreadable

EXAMINER = "kineograph.provenance.examiner"
WATERMARK = "org.kineograph.watermark"
SIDECAR = ".c2pa"
LARGEST = 64 << 20  # bytes of a sidecar
KINDS = {  # of what can hold a manifest
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".gif": "image/gif",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
OTHER_KINDS = {".webm": "video/webm", ".mkv": "video/x-matroska"}


def context(anchors: str = "") -> Context:
    """Settings under which files are signed and read: nothing is fetched, and only `anchors` are trusted."""
    trust = {"trust": {"trust_anchors": anchors}} if anchors else {}
    verify = {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False}
    return Context.from_dict(
        {"version": 1, "verify": verify, "builder": {"thumbnail": {"enabled": False}}, **trust}
    )


def needs_sidecar(path: Path) -> bool:
    """Whether a file of this suffix has no room for a manifest."""
    return path.suffix.lower() in OTHER_KINDS


def sidecar_of(path: Path) -> Path:
    """The manifest beside a file: clip.webm.c2pa."""
    return path.with_name(path.name + SIDECAR)


def has_sidecar(beside: Path) -> bool:
    """Whether there is a manifest of a size that is read.

    Raises:
        MediaError: it may not be read.
    """
    there = os.path.isfile(beside) and os.path.getsize(beside) <= LARGEST  # noqa: PTH113, PTH202 - of any name
    if there and not os.access(beside, os.R_OK):
        raise MediaError(f"{beside.name!r} may not be read: change its permissions, or copy it.")
    return there


def kind_of(file: BinaryIO) -> str:
    """The media type of an opened file, told by its first bytes. Raises Unreadable."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return (KINDS | OTHER_KINDS)[f".{sniff(head).name}"]


def examined(path: Path, roots: str = "") -> dict[str, Any]:
    """What the examiner answers of a file, trusting `roots`. That it dies says as much as that the manifest
    is broken: then, too, there is a `reason`.

    Raises:
        MediaError: the file can't be read.
    """
    try:
        with opened(path, LIMITS) as file, tempfile.TemporaryDirectory() as folder:
            kind, beside = kind_of(file), sidecar_of(path)
            trust = Path(folder) / "roots.pem"
            trust.write_text(roots, encoding="utf-8")
            words = [kind, str(trust) if roots.strip() else "", str(beside) if has_sidecar(beside) else ""]
            done = _run(words, file)
    except Unreadable as reason:
        raise MediaError(f"{path.name or str(path)!r} {reason}") from None
    try:
        answer = json.loads(done)
    except (ValueError, RecursionError):
        return {
            "state": "Invalid",
            "reason": "The manifest can't be read: it is damaged, or made to do harm.",
        }
    return answer if isinstance(answer, dict) else {}


def _run(words: Sequence[str], file: Any) -> bytes:
    command = [sys.executable, "-P", "-s", "-m", EXAMINER, *words]
    try:
        return subprocess.run(  # noqa: S603 - a fixed command, no shell
            command, stdin=file, capture_output=True, env=environment(), timeout=LIMITS.wall_seconds
        ).stdout
    except subprocess.TimeoutExpired:
        return b""
