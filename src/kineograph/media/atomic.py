"""A file or folder appears whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kineograph.errors import OutputError

_REASONS = {
    errno.ENOSPC: "the disk is full: free some space and run again",
    errno.EDQUOT: "your disk quota is used up: free some space and run again",
    errno.EFBIG: "it grew larger than a file may be: shorten the clip",
    errno.EACCES: "you have no permission to write there: choose another folder",
    errno.EPERM: "you have no permission to write there: choose another folder",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.ENOENT: "its folder does not exist: create it first",
    errno.ENOTDIR: "its folder is a file: choose another folder",
    errno.EISDIR: "a folder stands there: choose another name",
    errno.ENOTEMPTY: "a folder with something in it stands there: choose another name",
    errno.ENAMETOOLONG: "its name is too long: choose a shorter one",
}


@contextmanager
def replacing(path: str | os.PathLike[str], *, folder: bool = False) -> Iterator[Path]:
    """A new empty file (or `folder`) beside `path`, hidden and of the same suffix, to write to.

    When the with block ends well, it is brought to disk and renamed to `path`, over a file or an empty folder
    that is there already. When it ends by any exception, nothing is left. Raises OutputError.
    """
    path = Path(path)
    if path.name in ("", ".."):
        raise OutputError(f"{str(path)!r} names no file to write: give a name.")
    part = path.with_name(f".kineograph-{secrets.token_hex(6)}{path.suffix}")
    try:
        with explaining(path):
            _check_vacant(path, folder)
            part.mkdir() if folder else part.touch(exist_ok=False)
        yield part
        with explaining(path):
            _sync(part)
            part.replace(path)
    finally:
        _remove(part)


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turns what the system or libav raises while `path` is written into an OutputError of one sentence."""
    try:
        yield
    except _failures() as error:
        strerror, number = getattr(error, "strerror", None), getattr(error, "errno", None)
        detail = f"{strerror or error}: choose another name or format"
        raise OutputError(f"{path.name!r} can't be written, {_REASONS.get(number or 0, detail)}.") from error


def _failures() -> tuple[type[Exception], ...]:
    """What may be raised: libav's own errors too, where it is in use; who writes other files needs it not."""
    libav = sys.modules.get("av")
    return (OSError, libav.FFmpegError) if libav else (OSError,)


def _check_vacant(path: Path, folder: bool) -> None:
    """Find before the work what the renaming would find after it."""
    with suppress(FileNotFoundError):
        path.lstat()  # a name that no file may have raises
    if path.is_dir() and not folder:
        raise IsADirectoryError(errno.EISDIR, "folder")
    if path.is_dir() and any(path.iterdir()):
        raise OSError(errno.ENOTEMPTY, "folder")
    if folder and path.exists() and not path.is_dir():
        raise OutputError(f"{path.name!r} can't be written, a file stands there: choose another name.")


def _sync(part: Path) -> None:
    for file in part.iterdir() if part.is_dir() else (part,):
        with file.open("r+b") as opened:
            os.fsync(opened.fileno())


def _remove(part: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(part) if part.is_dir() else part.unlink()
