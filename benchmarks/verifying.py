"""`python -m benchmarks.verifying`: does a signature notice every change and no other, and at what cost?"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from c2pa import C2paError, Reader

import kineograph
from benchmarks.command import run
from kineograph.evaluation import cost
from kineograph.evaluation.report import table
from kineograph.media.atomic import replacing
from kineograph.media.encode import save_image
from kineograph.provenance import mark
from kineograph.provenance.claim import RENDERED, Claim
from kineograph.provenance.identity import anchors, identity
from kineograph.provenance.manifests import KINDS, OTHER_KINDS, context, sidecar_of
from kineograph.provenance.signing import sign
from kineograph.video import Chunk, Frames

KINEO = Path(sys.executable).with_name("kineo")
CLAIM = Claim("kineograph benchmark", RENDERED, seed=0)
SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".gif")
RUNS = 5


@dataclass(frozen=True)
class Alarms:
    """Of so many files, so many were found to be tampered with."""

    files: int
    noticed: int


def picture(chance: np.random.Generator, count: int, height: int, width: int) -> Iterator[Frames]:
    """A moving pattern with noise, a frame (1, H, W, 3) at a time."""
    noise = chance.normal(0, 8, (height, width, 1))
    for step in range(count):
        waves = 120 + 60 * np.sin((np.arange(width) + 3 * step) / 25)[None, :, None]
        yield np.broadcast_to((waves + noise).clip(0, 255).astype(np.uint8), (height, width, 3))[None]


def trusted(path: Path, data: bytes) -> bool:
    """Whether the bytes read as what was signed."""
    kind, beside = (KINDS | OTHER_KINDS)[path.suffix], sidecar_of(path)
    manifest = beside.read_bytes() if beside.exists() else None
    with context(anchors()) as trusting:
        try:
            with Reader(kind, BytesIO(data), manifest, context=trusting) as reader:
                return bool(reader.get_validation_state() == "Trusted")
        except C2paError:
            return False


def flips(folder: Path, count: int, seed: int) -> Alarms:
    """Single bits flipped in the media, the same number in files of each kind."""
    chance, noticed = random.Random(seed), 0
    each = count // len(SUFFIXES)
    for suffix in SUFFIXES:
        path = folder / f"clip{suffix}"
        frames = picture(np.random.default_rng(seed), 8, 96, 128)
        mark.save((Chunk(frame, 0) for frame in frames), CLAIM, path, 8)
        data = path.read_bytes()
        for at in chance.sample(media_bytes(suffix, data), each):
            flipped = bytearray(data)
            flipped[at] ^= 1 << chance.randrange(8)
            noticed += not trusted(path, bytes(flipped))
    return Alarms(each * len(SUFFIXES), noticed)


def media_bytes(suffix: str, data: bytes) -> range:
    """Where the pictures are: the box mdat, else the second half of the file."""
    if suffix not in (".mp4", ".mov"):
        return range(len(data) // 2, len(data) - 1)
    start = data.index(b"mdat") + 4
    return range(start, start - 8 + int.from_bytes(data[start - 8 : start - 4], "big"))


def untouched(folder: Path, count: int) -> tuple[Alarms, float]:
    """Pictures signed one after another, and the median seconds of a signature."""
    who, noticed, took = identity(), 0, []
    for number in range(count):
        path = folder / "picture.png"
        save_image(path, next(picture(np.random.default_rng(number), 1, 32, 32))[0])
        start = time.perf_counter()
        sign(path, CLAIM, (), who)
        took.append(time.perf_counter() - start)
        noticed += not trusted(path, path.read_bytes())
    return Alarms(count, noticed), statistics.median(took)


def seconds_of_a_clip(folder: Path) -> float:
    """The median of `kineo verify` as a whole process, for ten seconds of 1280x720 at 30 frames a second."""
    path, took = folder / "clip.mp4", []
    frames = picture(np.random.default_rng(0), 300, 720, 1280)
    mark.save((Chunk(frame, 0) for frame in frames), CLAIM, path, 30)
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([KINEO, "verify", path], check=True, capture_output=True)  # noqa: S603
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def page(flipped: Alarms, whole: Alarms, signing: float, verifying: float) -> str:
    """The figures as a page in Markdown."""
    machine = cost.machine()
    kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
    rows = [
        [f"single bits flipped in the media of {kinds}", f"{flipped.noticed} of {flipped.files}"],
        ["untouched files", f"{whole.noticed} of {whole.files}"],
    ]
    return f"""# Signing and verifying

    python -m benchmarks.verifying --report docs/verifying.md

printed this page with kineograph {kineograph.__version__} on {machine.processor}, {machine.cores} cores.

{table(("what", "called tampered"), rows)}

To sign a small picture takes {1000 * signing:.0f} ms, the check of what was signed included (median of
{whole.files}). `kineo verify` takes {verifying:.1f} s as a whole process for 10 seconds of 1280x720 at 30
frames a second (median of {RUNS}; aim: 3 s).
"""


def main(*, files: int = 1000, seed: int = 0, report: Path | None = None) -> None:
    """Flip bits in signed files, sign and read untouched ones, and time both.

    Parameters
    ----------
    files
        How many of each.
    seed
        Which bits.
    report
        Write the page into this file too.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flipped = flips(folder, files, seed)
        whole, signing = untouched(folder, files)
        text = page(flipped, whole, signing, seconds_of_a_clip(folder))
    if report is not None:
        with replacing(report) as part:
            part.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run(main)
