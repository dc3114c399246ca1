"""`python -m benchmarks.streaming`: does a frame, or a code, cost the same however many there have been?

A recurrent model keeps a state of fixed size, a transformer that makes codes one after another its keys and
values: neither does again what it has done.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import kineograph
from benchmarks.command import run
from benchmarks.long import Long, made
from benchmarks.timing import Effort, flops_of, in_turn
from kineograph import catalog
from kineograph.errors import RequestError
from kineograph.evaluation import cost
from kineograph.evaluation.report import table
from kineograph.media.atomic import replacing
from kineograph.models.predictor import Led, TransformerNetworks
from kineograph.training.family_presets import raster

PICTURE = "streaming.png"
RECURRENT = "rnn"
FRAMES = (125, 500, 2000)
RATE = 24.0  # frames a second: the aim
EFFORT = Effort(least=3, most=5, seconds=30.0, matrix=256)


@dataclass(frozen=True)
class Work:
    """What the first `codes` codes of a clip cost: the operations of the network and median seconds, with
    the past kept and with all of it read again for each cell."""

    codes: int
    kept: tuple[float, float]
    again: tuple[float, float]


@torch.inference_mode()
def works(cells: Sequence[int], effort: Effort = EFFORT) -> list[Work]:
    """Of codes in raster order, for so many cells each; what the weights are makes no difference."""
    networks = TransformerNetworks(replace(raster().network, words=("a",))).eval()
    text = networks.text(torch.zeros(1, networks.config.text_length, dtype=torch.long))
    led = Led(networks.predictor, text, text)
    jobs = {
        (way, count): partial(decoded, led, count, keep=way == "kept")
        for count in cells
        for way in ("kept", "again")
    }
    spent = in_turn({f"{way} {count}": job for (way, count), job in jobs.items()}, effort)
    figures = {
        (way, count): (flops_of(job), statistics.median(spent[f"{way} {count}"]))
        for (way, count), job in jobs.items()
    }
    groups = networks.config.codes.groups
    return [Work(count * groups, figures["kept", count], figures["again", count]) for count in cells]


def decoded(led: Led, cells: int, *, keep: bool) -> None:
    """Go through the first cells, one after another, as `raster.decode` does."""
    groups = led.predictor.config.codes.groups
    codes, past = torch.zeros(1, cells, groups, dtype=torch.long), led.begin()
    for cell in range(cells):
        found, past = led.reach(codes[:, : cell + 1], past if keep else led.begin())
        for group in range(groups):
            led.next_logits(found[:, -1:], codes[:, cell : cell + 1, :group])


def page(clips: Sequence[Long], work: Sequence[Work], model: str) -> str:
    """The figures as a page in Markdown."""
    machine = cost.machine()
    frames = [
        [str(frames_of(c)), f"{c.megabytes:.0f} MB", f"{c.took:.1f} s", f"{frames_of(c) / c.took:.1f}"]
        for c in clips
    ]
    codes = [
        [str(w.codes), *(f"{flops / 1e9:.2f} GFLOP, {s * 1000:.0f} ms" for flops, s in (w.kept, w.again))]
        for w in work
    ]
    return f"""# Without end

    python -m benchmarks.streaming --report docs/streaming.md

printed this page with kineograph {kineograph.__version__} on {machine.processor}, {machine.cores} cores, \
{machine.precision}, and drew the picture.

A recurrent model keeps a state of fixed size, and from one window to the next the last nine frames: a long
clip takes no more memory than a short one. `{model}` makes clips of growing length, by
`kineo generate "{cost.PROMPT}" --seconds …`,
a process of its own: its start, the decoder and the file are counted in (aim: {RATE:g} frames a second at
64x64; these are of the model's own size, which is larger).

{table(("frames", "peak memory", "took", "frames a second"), frames)}

A transformer that makes one code after another, `raster`, keeps the keys and values of those it has made.
What the network does for the first codes of a clip, beside the same without keeping them:

{table(("codes", "kept", "read again for each cell"), codes)}

![Memory by length, and the work of codes by their number](images/{PICTURE})
"""


def frames_of(clip: Long) -> int:
    return len(clip.sharpness)


def plot(clips: Sequence[Long], work: Sequence[Work], path: Path) -> None:
    """Memory against frames, and the network's operations and seconds against codes."""
    figure = Figure(figsize=(12, 3), layout="constrained")
    memory, operations, seconds = figure.subplots(1, 3)
    memory.plot([frames_of(clip) for clip in clips], [clip.megabytes for clip in clips], "o-")
    memory.set(xlabel="frames of the clip", ylabel="peak memory, MB", ylim=(0, None))
    _against(operations, work, 0, 1e-9, "GFLOP")
    _against(seconds, work, 1, 1.0, "seconds")
    figure.savefig(path, dpi=100, format="png")


def _against(axes: Axes, work: Sequence[Work], which: int, scale: float, name: str) -> None:
    codes = [w.codes for w in work]
    axes.plot(codes, [scale * w.kept[which] for w in work], "o-", label="kept")
    axes.plot(codes, [scale * w.again[which] for w in work], "o-", label="read again")
    axes.set(xlabel="codes", ylabel=name, ylim=(0, None))
    axes.legend()


def main(
    *,
    model: str = "convlstm",
    frames: tuple[int, ...] = FRAMES,
    cells: tuple[int, ...] = (8, 16, 32, 48, 64, 80),
    report: Path | None = None,
) -> None:
    """Make clips of growing length with a recurrent model, and codes in growing number.

    Parameters
    ----------
    model
        The recurrent model, a name or a folder.
    frames
        The lengths of the clips.
    cells
        How many cells of codes.
    report
        Write the page into this file too, and the picture into images/ beside it.
    """
    found = catalog.describe(model)
    if found.family != RECURRENT:
        raise RequestError(
            f"{model} is of the family {found.family}: give a model of the family {RECURRENT}."
        )
    most = math.prod(raster().network.cells)
    if not all(1 <= count <= most for count in cells):
        raise RequestError(f"cells must be from 1 to {most}.")
    clips = []
    with tempfile.TemporaryDirectory() as folder:
        for length in frames:
            clips.append(made(cost.PROMPT, length / found.fps, model, Path(folder)))
            print(f"{length} frames done", file=sys.stderr, flush=True)
    work = works(cells)
    text = page(clips, work, model)
    if report is not None:
        picture = report.parent / "images" / PICTURE
        picture.parent.mkdir(parents=True, exist_ok=True)
        with replacing(report) as part, replacing(picture) as drawn:
            plot(clips, work, drawn)
            part.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run(main)
