"""`python -m benchmarks.long`: do long clips stay as cheap in memory and as sharp as they begin?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import kineograph
from benchmarks import process
from benchmarks.command import run
from benchmarks.generating import KINEO
from kineograph.evaluation import cost
from kineograph.evaluation.report import table
from kineograph.media.atomic import replacing
from kineograph.media.decode import reading
from kineograph.video import Frames

LENGTHS = (10.0, 60.0, 600.0)
ENDS = 5.0  # seconds at either end that are compared
PICTURE = "long.png"

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Long:
    """A clip of so many seconds: the most memory of its process, how long it took, and what it looks like.

    sharpness (T,): the mean difference of neighbouring pixels of each frame; colors (T, 3): its mean colour.
    """

    seconds: float
    megabytes: float
    took: float
    fps: float
    sharpness: Curve
    colors: Curve

    @property
    def ends(self) -> tuple[slice, slice]:
        """The first and the last frames that are compared: a fourth of the clip at most."""
        count = max(1, round(min(ENDS, self.seconds / 4) * self.fps))
        return slice(count), slice(-count, None)

    @property
    def sharpness_kept(self) -> float:
        """The sharpness at the end over that at the start."""
        first, last = (float(np.median(self.sharpness[end])) for end in self.ends)
        return last / first

    @property
    def color_drift(self) -> float:
        """How far the mean colour at the end is from that at the start, of the whole range."""
        first, last = (np.median(self.colors[end], axis=0) for end in self.ends)
        return float(np.abs(last - first).max() / 255)


def made(prompt: str, seconds: float, model: str, folder: Path) -> Long:
    """Make a clip in a process of its own and read it back."""
    clip = folder / "clip.mp4"
    command = [sys.executable, "-c", KINEO, "generate", prompt, "--seconds", f"{seconds:g}"]
    call = [sys.executable, process.__file__, *command, "--model", model, "-o", str(clip)]
    began = time.monotonic()
    done = subprocess.run(call, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"kineo generate failed:\n{done.stderr}")
    took = time.monotonic() - began
    with reading(clip) as (found, frames):
        seen = [(sharpness(frame), frame.mean(axis=(0, 1))) for frame in frames]
    sharp, colors = (np.array(values) for values in zip(*seen, strict=True))
    return Long(seconds, float(done.stdout), took, found.fps, sharp, colors)


def sharpness(frame: Frames) -> float:
    """The mean absolute difference of neighbouring pixels of a frame (H, W, 3)."""
    levels = frame.astype(np.float32)
    return float(np.abs(np.diff(levels, axis=0)).mean() + np.abs(np.diff(levels, axis=1)).mean())


def page(prompt: str, clips: Sequence[Long]) -> str:
    """The figures as a page in Markdown."""
    machine = cost.machine()
    rows = [
        [
            f"{clip.seconds:g} s",
            f"{clip.megabytes:.0f} MB",
            f"{clip.took:.1f} s",
            f"{clip.sharpness_kept:.0%}",
            f"{clip.color_drift:.1%}",
        ]
        for clip in clips
    ]
    head = ("length", "peak memory", "took", "sharpness kept", "colour drift")
    return f"""# Long clips

    python -m benchmarks.long --report docs/long.md

printed this page with kineograph {kineograph.__version__} on {machine.processor}, {machine.cores} cores, \
{machine.precision}, and drew the picture.

Each clip is made by `kineo generate "{prompt}" --seconds …`,
a process of its own, and read back from its file. `sharpness kept` compares the mean difference of
neighbouring pixels in the last {ENDS:g} seconds with the first (a fourth of the clip at most),
`colour drift` the mean colour, as a share of the whole range.
Both are of whole frames: a thing that loses its shape on the way, as small ones do, hardly shows in them.

{table(head, rows)}

![Memory by length, and sharpness and colour along the longest clip](images/{PICTURE})
"""


def plot(clips: Sequence[Long], path: Path) -> None:
    """Memory against length, and along the longest clip its sharpness and mean colour."""
    longest = max(clips, key=lambda clip: clip.seconds)
    at = np.arange(len(longest.sharpness)) / longest.fps
    figure = Figure(figsize=(12, 3), layout="constrained")
    memory, sharp, color = figure.subplots(1, 3)
    memory.plot([clip.seconds for clip in clips], [clip.megabytes for clip in clips], "o-")
    memory.set(xscale="log", xlabel="seconds of the clip", ylabel="peak memory, MB", ylim=(0, None))
    sharp.plot(at, longest.sharpness, linewidth=0.5)
    sharp.set(xlabel="seconds", ylabel="sharpness", ylim=(0, None))
    for channel, name in enumerate(("red", "green", "blue")):
        color.plot(at, longest.colors[:, channel], color=name, linewidth=0.5)
    color.set(xlabel="seconds", ylabel="mean colour", ylim=(0, 255))
    figure.savefig(path, dpi=100, format="png")


def main(
    *,
    seconds: tuple[float, ...] = LENGTHS,
    prompt: str = cost.PROMPT,
    model: str = "playground",
    report: Path | None = None,
) -> None:
    """Make clips of growing length and tell of their memory and drift.

    Parameters
    ----------
    seconds
        The lengths.
    prompt
        What to show.
    model
        The model, a name or a folder.
    report
        Write the page into this file too, and the picture into images/ beside it.
    """
    clips = []
    with tempfile.TemporaryDirectory() as folder:
        for length in seconds:
            clips.append(made(prompt, length, model, Path(folder)))
            print(f"{length:g} s done", file=sys.stderr, flush=True)
    text = page(prompt, clips)
    if report is not None:
        picture = report.parent / "images" / PICTURE
        picture.parent.mkdir(parents=True, exist_ok=True)
        with replacing(report) as part, replacing(picture) as drawn:
            plot(clips, drawn)
            part.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run(main)
