"""A terminal as a screen and a controller: half blocks in 24-bit colour, keys as they are pressed."""

from __future__ import annotations

import os
import re
import select
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TextIO

from kineograph.fitting import fit
from kineograph.provenance import mark
from kineograph.provenance.claim import Claim
from kineograph.video import Frames

QUIT = "quit"
KEYS = {
    **dict.fromkeys((b"\x1b[D", b"\x1bOD", b"a"), "left"),
    **dict.fromkeys((b"\x1b[C", b"\x1bOC", b"d"), "right"),
    **dict.fromkeys((b"\x1b[A", b"\x1bOA", b"w", b" "), "jump"),
    **dict.fromkeys((b"\x1b[B", b"\x1bOB", b"s"), "none"),
    b"q": QUIT,
}
UNKNOWN = os.terminal_size((80, 24))  # of terminals that do not tell their size
HOLD = 4  # ticks: half a second, after which terminals begin to repeat a key

# Pictures


def half_blocks(frame: Frames) -> str:
    """A frame (H, W, 3) of even height as H / 2 lines of W blocks, their upper halves in the foreground."""
    lines = []
    for upper, lower in zip(frame[::2].tolist(), frame[1::2].tolist(), strict=True):
        runs = [(colors, len(list(run))) for colors, run in groupby(zip(upper, lower, strict=True))]
        blocks = (f"{_colored(*upon)}{_colored(*below, ground=True)}{'▀' * n}" for (upon, below), n in runs)
        lines.append("".join(blocks) + "\x1b[0m")
    return "\r\n".join(lines)


def _colored(red: int, green: int, blue: int, *, ground: bool = False) -> str:
    return f"\x1b[{48 if ground else 38};2;{red};{green};{blue}m"


def fitted(frame: Frames, columns: int, lines: int) -> Frames:
    """The frame made smaller, in its own shape, until so many columns and lines hold it."""
    height, width, _ = frame.shape
    scale = min(1.0, columns / width, 2 * lines / height)
    return fit(frame, max(1, int(width * scale)), max(1, int(height * scale) // 2) * 2)


@contextmanager
def screen(stream: TextIO, line: str, claim: Claim) -> Iterator[Callable[[Frames], None]]:
    """A function that shows a frame (H, W, 3), of which `claim` holds, above a line; at the end all is as it
    was."""

    def show(frame: Frames) -> None:
        size = os.get_terminal_size(stream.fileno())
        columns, lines = size.columns or UNKNOWN.columns, size.lines or UNKNOWN.lines
        (marked,) = mark.frames(frame[None], claim)
        picture = half_blocks(fitted(marked, columns, max(1, lines - 1)))
        stream.write(f"\x1b[H{picture}\r\n{line[: columns - 1]}\x1b[J")
        stream.flush()

    try:
        stream.write("\x1b[?1049h\x1b[?25l\x1b[2J")
        yield show
    finally:
        stream.write("\x1b[0m\x1b[?25h\x1b[?1049l")
        stream.flush()


# Keys


def keys_in(data: bytes) -> list[str]:
    """The actions of the keys that sent `data`, and QUIT; other keys are passed over."""
    return [KEYS[key] for key in re.findall(rb"\x1b[\[O].|.", data, re.DOTALL) if key in KEYS]


@dataclass
class Held:
    """What keys come to, tick by tick. No terminal tells that a key is let go: a run goes on for HOLD ticks
    after each press, unless another key ends it."""

    run: str = "none"
    ticks: int = 0

    def action(self, keys: Sequence[str]) -> str:
        """The action of a tick in which these keys were pressed."""
        for key in keys:
            if key != "jump":
                self.run, self.ticks = key, HOLD
        self.ticks -= 1
        if "jump" in keys:
            return "jump"
        return self.run if self.ticks >= 0 else "none"


@contextmanager
def unbuffered(terminal: int) -> Iterator[None]:
    """Keys come at once and unseen, Ctrl-C as ever; at the end all is as it was."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


def actions_from(terminal: int, fps: float) -> Iterator[str]:
    """The action of each tick as its time comes, until QUIT or the end of the terminal."""
    held = Held()
    for due in ticks(fps):
        keys = keys_in(_read_until(terminal, due))
        if QUIT in keys:
            return
        yield held.action(keys)


def _read_until(terminal: int, due: float) -> bytes:
    """What is typed until `due`; the key of QUIT at the end if the terminal is gone."""
    data = b""
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0.0, due - time.monotonic()))
        if not ready:
            return data
        more = os.read(terminal, 1024)
        if not more:
            return data + b"q"
        data += more


def ticks(fps: float) -> Iterator[float]:
    """When each tick is due, on the clock `time.monotonic`; those that come late delay the others."""
    due = time.monotonic()
    while True:
        due = max(due + 1 / fps, time.monotonic())
        yield due


def paced(actions: Sequence[str], fps: float) -> Iterator[str]:
    """Each action when its time comes."""
    for action, due in zip(actions, ticks(fps), strict=False):
        time.sleep(max(0.0, due - time.monotonic()))
        yield action
