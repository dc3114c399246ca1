"""The reading process's side: check the file, start the child, believe none of it blindly.

The file is opened here and handed to the child as its standard input, so the child needs no name and no right
to open anything. The time limit is a timer that kills the child, which ends every read from it.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from threading import Timer
from time import monotonic

from kineograph.errors import MediaError
from kineograph.media.formats import HEAD_BYTES, Format, sniff
from kineograph.media.wire import (
    END,
    ERROR,
    FRAME,
    INFO,
    REPEATS,
    Limits,
    Probe,
    Task,
    Unreadable,
    read_record,
)

WORKER = "kineograph.media.worker"
PACKAGES = Path(__file__).parents[2]
LARGEST_TEXT = 1 << 24  # bytes of a probe or of an error
# Exit statuses: Python's for an exception that the child can't report, the kernel's for exceeding a limit.
FAILED_START, KILLED = 1, (-9, -24)  # SIGKILL, SIGXCPU
PIPE_BYTES = 1 << 20


class Child:
    """A running child: its `probe`, and its frames as they come. Raises Unreadable where it gives up."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float, task: Task) -> None:
        assert process.stdout is not None
        self._process, self._out, self._deadline, self._task = process, process.stdout, deadline, task
        try:
            self.probe = Probe.from_json(self._read(INFO, LARGEST_TEXT) or b"")
        except ValueError:
            raise self._failure() from None
        self._pixels = self.probe.height * self.probe.width
        if self._pixels > task.limits.frame_pixels:
            raise self._failure()

    def runs(self) -> Iterator[tuple[int, bytes]]:
        """Each frame's repeat count, >= 1, and its height * width * 3 bytes."""
        size = REPEATS.size + self._pixels * 3
        allowed = self._task.limits.total_pixels // self._pixels
        frames_left = min(self._task.max_frames or allowed, allowed)
        while (payload := self._read(FRAME, size)) is not None:
            if len(payload) != size:
                raise self._failure()
            repeats = REPEATS.unpack_from(payload)[0]
            frames_left -= repeats
            if repeats < 1 or frames_left < 0:
                raise self._failure()
            yield repeats, payload[REPEATS.size :]

    def _read(self, wanted: bytes, largest: int) -> bytes | None:
        """The next record's payload, which has to be of the kind `wanted`; None at the end."""
        try:
            kind, payload = read_record(self._out, max(largest, LARGEST_TEXT))
        except EOFError:
            raise self._failure() from None
        if kind == ERROR and not self._late():
            raise Unreadable("".join(filter(str.isprintable, payload.decode(errors="replace")[:300])))
        if kind not in (wanted, END):
            raise self._failure()
        return payload if kind == wanted else None

    def _late(self) -> bool:
        """By the clock, as the timer may lag behind on a busy machine."""
        return monotonic() >= self._deadline

    def _failure(self) -> Unreadable:
        if self._late():
            seconds = self._task.limits.wall_seconds
            return Unreadable(f"took more than {seconds:g} s to read: cut it or scale it down.")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        if self._process.returncode in KILLED:
            return Unreadable("took too much processor time or memory to decode: cut it or scale it down.")
        if self._process.returncode == FAILED_START:
            return Unreadable(
                "is not read, the decoding process does not start: reinstall kineograph and av."
            )
        return Unreadable("made its decoder fail: it is damaged, or made to do harm.")


@contextmanager
def decoding(path: str | os.PathLike[str], task: Task) -> Iterator[Child]:
    """A child that carries out `task` on the file `path`, and that does not outlive the with block.

    Raises MediaError with one sentence, whatever is wrong with the file.
    """
    name = Path(path).name or str(path)
    try:
        with opened(path, task.limits) as file:
            form = sniff(file.read(HEAD_BYTES))
            process = start(file, form, task)
        deadline = monotonic() + task.limits.wall_seconds
        timer = Timer(task.limits.wall_seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield Child(process, deadline, task)
        finally:
            timer.cancel()
            process.kill()
            process.communicate()
    except Unreadable as reason:
        raise MediaError(f"{name!r} {reason}") from None
    except MemoryError:
        raise MediaError(f"{name!r} does not fit in memory: read fewer frames, or scale it down.") from None


@contextmanager
def opened(path: str | os.PathLike[str], limits: Limits) -> Iterator[FileIO]:
    """The regular file `path`, not empty and not too large, at its first byte."""
    try:
        file = open(path, "rb", buffering=0, opener=open_at_once)  # noqa: SIM115
    except FileNotFoundError:
        raise Unreadable("does not exist: check its name and folder.") from None
    except IsADirectoryError:
        raise Unreadable("is a folder: name a file in it.") from None
    except PermissionError:
        raise Unreadable("may not be read: change its permissions, or copy it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unreadable(f"can't be opened ({reason}): check its name.") from None
    with file:
        check_file(os.fstat(file.fileno()), limits)
        yield file


def open_at_once(path: str, flags: int) -> int:
    """Opening a named pipe must not wait for its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def check_file(status: os.stat_result, limits: Limits) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("is a device or a pipe: copy what it gives into a file.")
    if not status.st_size:
        raise Unreadable("is empty: copy or download it again.")
    if status.st_size > limits.file_bytes:
        size, most = status.st_size / 1e9, limits.file_bytes / 1e9
        raise Unreadable(f"is too large, {size:.3g} GB: cut it to at most {most:.3g} GB.")


def environment() -> dict[str, str]:
    """What a child is told: where this process's modules are, and to be one thread."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(PACKAGES)]),
        "OPENBLAS_NUM_THREADS": "1",  # threads would take address space
        "OMP_NUM_THREADS": "1",
    }


def start(file: FileIO, form: Format, task: Task) -> subprocess.Popen[bytes]:
    """The child, with this process's modules within reach, but not the working directory's (-P)."""
    try:
        return subprocess.Popen(  # noqa: S603 - a fixed command, no shell
            [sys.executable, "-P", "-s", "-m", WORKER, form.name, task.to_json()],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            pipesize=PIPE_BYTES,
        )
    except OSError as error:
        raise Unreadable(f"is not read, no decoding process can be started ({error.strerror}).") from error
