"""The child that decodes: the file on standard input, a task in the arguments, records on standard output.

It gives up what it doesn't need before it looks at the file: memory, processor time, writing to disk, and,
once everything is imported, opening anything at all. A decoder that a hostile file takes over has only its
pipes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from math import ceil
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, BinaryIO, Protocol

import numpy as np

from kineograph.media.formats import FORMATS, Format
from kineograph.media.timing import Picture, resample
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
    write_record,
)
from kineograph.video import Frames


class Source(Protocol):
    """A file that is being read. `native` is its frame rate; images are painted only where they are shown."""

    probe: Probe
    native: float

    def pictures(self, start: float) -> Iterator[Picture[Any]]: ...

    def paint(self, image: Any) -> Frames: ...


def main() -> None:
    form, task = FORMATS[sys.argv[1]], Task.from_json(sys.argv[2])
    out = sys.stdout.buffer
    confine(task.limits)
    breathe(task.limits)
    source_of = reader_of(form)
    shut()
    try:
        answer(source_of(sys.stdin.buffer, form, task.limits), task, out)
        write_record(out, END)
    except Unreadable as error:
        write_record(out, ERROR, str(error).encode())
    except MemoryError:
        write_record(out, ERROR, b"needs more memory to decode than allowed: scale it down.")
    except Exception as error:
        reason = (
            f"can't be decoded, it is damaged ({type(error).__name__}): repair it or choose another file."
        )
        write_record(out, ERROR, reason.encode())
    out.flush()


def confine(limits: Limits) -> None:
    """Lower this process's limits for good; on systems without `resource` nothing is lowered."""
    with suppress(ImportError):
        import resource

        lower(resource.RLIMIT_AS, limits.memory_bytes)
        lower(resource.RLIMIT_CPU, limits.cpu_seconds)
        lower(resource.RLIMIT_FSIZE, 0)
        lower(resource.RLIMIT_CORE, 0)


def shut() -> None:
    """No more files, sockets, threads or processes (processes: unless this is root)."""
    with suppress(ImportError):
        import resource

        lower(resource.RLIMIT_NOFILE, 3)
        lower(resource.RLIMIT_NPROC, 0)


def breathe(limits: Limits) -> None:
    """Processor time for the next picture, as far as there is any left. Beyond it the system ends us."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        used, hard = resource.getrusage(resource.RUSAGE_SELF), resource.getrlimit(resource.RLIMIT_CPU)[1]
        soft = ceil(used.ru_utime + used.ru_stime) + limits.stuck_seconds
        allowed = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))


def lower(limit: int, value: int) -> None:
    import resource

    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with suppress(ValueError, OSError):  # macOS knows some limits by name only
        resource.setrlimit(limit, (value, value))


def reader_of(form: Format) -> Callable[[BinaryIO, Format, Limits], Source]:
    """The class that reads files of this format, with all that it will need imported."""
    if form.demuxer:
        import av

        from kineograph.media.containers import ContainerSource

        import_whole(av)
        return ContainerSource
    from PIL import Image

    from kineograph.media.images import ImageSource

    Image.preinit()
    return ImageSource


def import_whole(package: ModuleType) -> None:
    """Import every module of the package now, as it could import none later."""
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(("__main__", "datasets")):
            import_module(module.name)


def answer(source: Source, task: Task, out: BinaryIO) -> None:
    """The probe, then the frames."""
    write_record(out, INFO, source.probe.to_json())
    if task.frames:
        shown = send_frames(source, task, out)
        if not shown:
            raise Unreadable(
                f"lasts {source.probe.seconds:.3f} s: start before that, not at {task.start:g} s."
            )


def send_frames(source: Source, task: Task, out: BinaryIO) -> int:
    """Each frame as it is decoded; how many there were."""
    fps, shown = task.fps or source.native, 0
    wanted = 1 if source.probe.frames == 1 else task.max_frames  # a still stays one frame at any rate
    check_length(source.probe, task.start, fps, wanted, task.limits)
    runs = resample(counted(source, task), fps=fps, native=source.native, start=task.start)
    try:
        for image, repeats in runs:
            repeats = min(repeats, (wanted or shown + repeats) - shown)
            shown += repeats
            check_total(shown, source.probe, task.limits)
            pixels = np.ascontiguousarray(source.paint(image))
            write_record(out, FRAME, REPEATS.pack(repeats), pixels.data.cast("B"))
            if shown == wanted:
                break
    except (Unreadable, MemoryError):
        raise
    except Exception as error:
        raise Unreadable(f"is damaged after frame {shown}: repair it or read {shown} frames.") from error
    return shown


def counted(source: Source, task: Task) -> Iterator[Picture[Any]]:
    """The source's pictures, as many as may be decoded, and one more, which tells how long the last is."""
    for count, picture in enumerate(source.pictures(task.start)):
        check_total(count, source.probe, task.limits)
        breathe(task.limits)
        yield picture


def check_length(probe: Probe, start: float, fps: float, wanted: int | None, limits: Limits) -> None:
    """Refuse at once what would be refused after minutes."""
    expected = max(0.0, probe.seconds - start) * fps
    check_total(min(expected, wanted or expected), probe, limits)


def check_total(frames: float, probe: Probe, limits: Limits) -> None:
    allowed = limits.total_pixels // (probe.width * probe.height)
    if frames > allowed:
        raise Unreadable(
            f"is too long to read at once, {probe.seconds:.1f} s of {probe.width}x{probe.height}: "
            f"read at most {allowed} frames, or scale it down."
        )


if __name__ == "__main__":
    main()
