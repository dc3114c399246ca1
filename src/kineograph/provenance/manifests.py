"""Where signed manifests are, and how those of strangers are read: by a child process with limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from c2pa import Context

from kineograph.errors import MediaError
from kineograph.media.formats import HEAD_BYTES, sniff
from kineograph.media.sandbox import KILLED, environment, opened
from kineograph.media.wire import LIMITS, Unreadable

EXAMINER = "kineograph.provenance.examiner"
WATERMARK = "org.kineograph.watermark"
SIDECAR = ".c2pa"
LARGEST = 64 << 20  # bytes of a sidecar
DAMAGED = "The manifest can't be read: it is damaged, or made to do harm."
TOO_MUCH = "The manifest takes too much time or memory to read."
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


def kind_of(file: BinaryIO) -> str:
    """The media type of an opened file, told by its first bytes. Raises Unreadable."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return (KINDS | OTHER_KINDS)[f".{sniff(head).name}"]


class SidecarError(MediaError):
    """What lies beside a file can't be read."""


@dataclass(frozen=True)
class Examined:
    """The media type of a file, what the examiner answers, and the manifest that lies beside the file, if it
    is that which was read."""

    kind: str
    answer: dict[str, Any]
    beside: bytes | None = None


def examined(path: Path, roots: str = "") -> Examined:
    """Have the manifest in a file or beside it read, trusting `roots`. If that fails, which happens to those
    that are damaged or made to do harm, the answer has a `reason`.

    Raises:
        MediaError: the file can't be read; a SidecarError: the manifest beside it can't.
    """
    try:
        with opened(path, LIMITS) as file, tempfile.TemporaryDirectory() as folder:
            kind, manifest = kind_of(file), _beside(sidecar_of(path))
            trust, copy = Path(folder) / "roots.pem", Path(folder) / "manifest.c2pa"
            trust.write_text(roots, encoding="utf-8")
            copy.write_bytes(manifest or b"")
            words = [kind, str(trust) if roots.strip() else "", str(copy) if manifest else ""]
            answer = _answer(*_run(words, file))
    except Unreadable as reason:
        raise MediaError(f"{path.name or str(path)!r} {reason}") from None
    return Examined(kind, answer, manifest if answer.get("beside") else None)


def _beside(path: Path) -> bytes | None:
    """The manifest beside a file; None if there is none, or none of a size that is read.

    Raises:
        SidecarError: it may not be read.
    """
    if not os.path.isfile(path) or not os.path.getsize(path):  # noqa: PTH113, PTH202 - of any name
        return None
    try:
        with opened(path, LIMITS) as file:
            manifest = file.read(LARGEST + 1)
    except Unreadable as reason:
        raise SidecarError(f"{path.name!r} {reason}") from None
    return manifest if len(manifest) <= LARGEST else None


def _answer(told: bytes, status: int) -> dict[str, Any]:
    try:
        answer = json.loads(told)
    except (ValueError, RecursionError):
        return {"state": "Invalid", "reason": TOO_MUCH if status in KILLED else DAMAGED}
    return answer if isinstance(answer, dict) else {}


def _run(words: Sequence[str], file: Any) -> tuple[bytes, int]:
    """What the child says, and its exit status."""
    command = [sys.executable, "-P", "-s", "-m", EXAMINER, *words]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, no shell
            command, stdin=file, capture_output=True, env=environment(), timeout=LIMITS.wall_seconds
        )
    except subprocess.TimeoutExpired:
        return b"", KILLED[0]
    return done.stdout, done.returncode
