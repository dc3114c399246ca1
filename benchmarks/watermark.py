"""`python -m benchmarks.watermark`: what the watermark survives, what it costs, and whether it is found where
there is none.

Each trial takes another window, key and payload. Windows are of clips in a folder, scaled and cut to one
size, and of scenes of the rendered world, half and half; without a folder all are rendered.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import kineograph
from benchmarks.command import run
from kineograph.errors import RequestError
from kineograph.evaluation import cost
from kineograph.evaluation.figures import share
from kineograph.evaluation.report import table
from kineograph.media.atomic import replacing
from kineograph.media.decode import read_video
from kineograph.provenance.watermark import Watermark, detect, limit_of
from kineograph.provenance.watermark.detection import MOST_CHANCE, average, read
from kineograph.provenance.watermark.evidence import Evidence, Plane, along, weighed
from kineograph.provenance.watermark.pattern import FREQUENCIES, TILE, keyed
from kineograph.video import Frames
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import sample_scenes
from kineograph.worlds.world import FULL

Rng = np.random.Generator
Way = Callable[[Frames, Rng], Frames]

BILINEAR = Image.Resampling.BILINEAR
SUFFIXES = (".gif", ".mkv", ".mov", ".mp4", ".webm")
HEIGHT, WIDTH, FRAMES = 360, 640, 32
SMALL = {(64, 64): 33, (128, 128): 33, (256, 256): 33}  # frames of each size
LONGEST = 160  # frames read of a clip
AT_A_TIME = 6  # windows of a clip or scene
SPAN = 24  # frames from the first window's beginning to the last one's
PART = 0.8  # of each side
KEYS_AT_ONCE = 50
LOOKED = 48  # frames, as many as a file is sampled for
KEPT = 10  # every so many-th window is kept for wrong keys, and looked at without a mark


@dataclass
class Tally:
    """Of one kind of clips: how many trials came out right, by what was done; and the error of marking."""

    trials: int = 0
    right: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    wrong: int = 0  # payloads read that are not those that were laid in
    errors: list[float] = field(default_factory=list)  # mean square, of every eighth frame of each trial
    luma: list[Plane] = field(default_factory=list)  # means of some windows, with and without a mark
    empty: int = 0  # windows without a mark that were looked at
    false: int = 0  # marks found in them

    @property
    def psnr(self) -> float:
        return psnr(statistics.mean(self.errors))


def psnr(error: float) -> float:
    """Decibels of a mean square error of levels of 255."""
    return float(10 * np.log10(255**2 / error))


# What is done to marked frames (T, H, W, 3)


def coded(crf: int) -> Way:
    """H.264 by libx264, preset veryfast, and back."""

    def way(frames: Frames, rng: Rng) -> Frames:
        encoder, decoder = (av.CodecContext.create(*names) for names in (("libx264", "w"), ("h264", "r")))
        assert isinstance(encoder, av.VideoCodecContext)
        assert isinstance(decoder, av.VideoCodecContext)
        encoder.height, encoder.width = frames.shape[1:3]
        encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
        encoder.options = {"crf": str(crf), "preset": "veryfast"}
        encoder.thread_count = decoder.thread_count = 1
        images = [av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24") for pixels in frames]
        for at, image in enumerate(images):
            image.pts = at
        packets = [packet for image in [*images, None] for packet in encoder.encode(image)]
        decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
        return np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])

    return way


def resized(frames: Frames, height: int, width: int) -> Frames:
    """Bilinear, as Pillow does it: smoothed where it shrinks."""
    images = (Image.fromarray(pixels) for pixels in frames)
    return np.stack([np.asarray(image.resize((width, height), BILINEAR)) for image in images])


def cropped(frames: Frames, rng: Rng) -> Frames:
    """PART of each side, at a random place."""
    height, width = (round(PART * side) for side in frames.shape[1:3])
    top, left = rng.integers(frames.shape[1] - height + 1), rng.integers(frames.shape[2] - width + 1)
    return frames[:, top : top + height, left : left + width]


def thinned(frames: Frames, rng: Rng) -> Frames:
    """Half of the frames, chosen at random."""
    return frames[np.sort(rng.permutation(len(frames))[: len(frames) // 2])]


def halved(frames: Frames, rng: Rng) -> Frames:
    return resized(frames, frames.shape[1] // 2, frames.shape[2] // 2)


def untouched(frames: Frames, rng: Rng) -> Frames:
    return frames


def mirrored(frames: Frames, rng: Rng) -> Frames:
    return frames[:, :, ::-1]


def combined(frames: Frames, rng: Rng) -> Frames:
    """Cropped, brought back to its size, coded."""
    return coded(28)(resized(cropped(frames, rng), *frames.shape[1:3]), rng)


WAYS: Mapping[str, Way] = {
    "H.264, CRF 23": coded(23),
    "H.264, CRF 28": coded(28),
    "80% of each side": cropped,
    "half of the frames": thinned,
    "half size": halved,
    "mirrored": mirrored,
    "80%, resized back, CRF 28": combined,
}
SMALL_WAYS = {"untouched": untouched, "H.264, CRF 18": coded(18)} | {
    name: WAYS[name] for name in list(WAYS)[:2]
}
AIMS = {
    "H.264, CRF 23": 0.99,
    "H.264, CRF 28": 0.95,
    "80% of each side": 0.95,
    "half of the frames": 0.95,
    "half size": 0.95,
    "mirrored": 0.95,
    "80%, resized back, CRF 28": 0.85,
}


# Windows (FRAMES, HEIGHT, WIDTH, 3)


def endless(paths: Sequence[Path], rng: Rng) -> Iterator[tuple[str, Frames]]:
    """What windows are of, and windows: some of a clip, some of a scene, and so on; clips in random order."""
    while True:
        for path in [paths[at] for at in rng.permutation(len(paths))] or [None]:
            if path is not None:
                yield from (("clips", frames) for frames in of_clip(path, rng))
            yield from (("rendered world", frames) for frames in of_world(AT_A_TIME, rng))


def of_clip(path: Path, rng: Rng) -> Iterator[Frames]:
    """Some windows of a part of a clip; a clip that is too short begins again."""
    frames = read_video(path, max_frames=LONGEST).frames
    start = rng.integers(max(1, len(frames) - FRAMES - SPAN + 1))
    frames = fitted(frames[start : start + FRAMES + SPAN])
    return (window(frames, FRAMES, rng) for _ in range(AT_A_TIME))


def fitted(frames: Frames) -> Frames:
    """Scaled until they cover a window, and cut around the middle."""
    height, width = frames.shape[1:3]
    scale = max(HEIGHT / height, WIDTH / width)
    if scale != 1:
        frames = resized(frames, max(HEIGHT, round(scale * height)), max(WIDTH, round(scale * width)))
    top, left = (frames.shape[1] - HEIGHT) // 2, (frames.shape[2] - WIDTH) // 2
    return frames[:, top : top + HEIGHT, left : left + WIDTH]


def window(frames: Frames, count: int, rng: Rng) -> Frames:
    """So many frames from a random one on; a clip that is too short begins again."""
    start = rng.integers(max(1, len(frames) - count + 1))
    chosen: Frames = frames[(start + np.arange(count)) % len(frames)]
    return chosen


def of_world(
    count: int, rng: Rng, height: int = HEIGHT, width: int = WIDTH, length: int = FRAMES
) -> Iterator[Frames]:
    """Windows of the rendered world: some of each scene."""
    scenes = sample_scenes(-(-count // AT_A_TIME), seed=int(rng.integers(2**31)), world=FULL)
    for at in range(count):
        if at % AT_A_TIME == 0:
            scene = scenes[at // AT_A_TIME]
            frames = render([scene], length + SPAN, (height, width), truth=False).frames[0].numpy()
        yield window(frames, length, rng)


# Trials


def tried(
    windows: Iterator[tuple[str, Frames]], rng: Rng, ways: Mapping[str, Way], until: float = math.inf
) -> dict[str, Tally]:
    """Mark each window with a key and payload of its own, do everything to it, and look; stop at a time."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for done, (name, frames) in enumerate(windows, start=1):
        key = rng.bytes(16)
        marked = _try(tallies[name], frames, key, rng, ways)
        if done % KEPT == 1:
            _look_at_nothing(tallies[name], frames, marked, key)
            print(f"{done} trials done", file=sys.stderr, flush=True)
        if time.perf_counter() > until:
            break
    return tallies


def _try(tally: Tally, frames: Frames, key: bytes, rng: Rng, ways: Mapping[str, Way]) -> Frames:
    payload = int(rng.integers(2**32))
    marked = Watermark(key, payload, *frames.shape[1:3]).embed(frames)
    tally.errors.append(float(np.mean((marked[::8].astype(np.float32) - frames[::8]) ** 2)))
    for name, way in ways.items():
        found = detect([way(marked, rng)], [key])
        tally.right[name] += found is not None and found.payload == payload
        tally.wrong += found is not None and found.payload != payload
    tally.trials += 1
    return marked


def _look_at_nothing(tally: Tally, frames: Frames, marked: Frames, key: bytes) -> None:
    """Look at a window without a mark, and keep the mean frame, with and without one."""
    tally.empty += 1
    tally.false += detect([frames], [key]) is not None
    tally.luma += [plane for clip in (frames, marked) if (plane := average([clip])) is not None]


# Keys that are not those of the mark


def wrong_keys(luma: list[Plane], count: int, rng: Rng) -> tuple[int, float]:
    """How many of so many random keys are found in the mean frames, and the least chance of all readings.

    Each key is looked for at one scale, all places, and read where its pilot fits best.
    """
    false, least = 0, 1.0
    evidence = [Evidence(plane) for plane in luma]
    for begin in range(0, count, KEYS_AT_ONCE):
        keys = [rng.bytes(16) for _ in range(min(KEYS_AT_ONCE, count - begin))]
        chances = chances_of(evidence[begin // KEYS_AT_ONCE % len(evidence)], keys)
        false += int((chances <= MOST_CHANCE).sum())
        least = min(least, float(chances.min()))
    return false, least


def chances_of(evidence: Evidence, keys: list[bytes]) -> NDArray[np.float64]:
    """(K,) of what is read under each key, as in `detect`, for many keys at once."""
    known = [keyed(key) for key in keys]
    pilots = np.stack([key.pilot for key in known])
    phases = np.stack([key.phases for key in known])
    waves = evidence.waves(np.arange(len(FREQUENCIES)), np.ones(1), False)[0]
    plane = np.zeros((len(keys), TILE, TILE), np.complex64)
    rows, columns = FREQUENCIES.T
    fits = waves[pilots] * np.take_along_axis(phases, pilots, 1).conj()
    plane[np.arange(len(keys))[:, None], rows[pilots], columns[pilots]] = fits
    best = np.fft.fft2(plane).real.reshape(len(keys), -1).argmax(1)[:, None]
    turns = np.exp(-2j * np.pi / TILE * np.arange(TILE)).astype(np.complex64)
    turned = waves * turns[rows * (best // TILE) % TILE] * turns[columns * (best % TILE) % TILE]
    found = along(turned, phases)
    pairs = zip(found, known, strict=True)
    return read(np.concatenate([weighed(one[None], key.pilot)[:, key.data] for one, key in pairs]))[1]


# What it takes


@dataclass(frozen=True)
class Speed:
    """Median seconds: to mark a frame of `HEIGHT` x `WIDTH`; to look at `LOOKED` frames of 720p, marked or
    not."""

    frame: float
    marked: float
    unmarked: float


def speed(rng: Rng) -> Speed:
    """On a rendered clip, scaled to 720p for looking."""
    frames = next(of_world(1, rng))
    mark = Watermark(b"speed", 1, HEIGHT, WIDTH)
    large = np.concatenate([resized(frames[:1], 720, 1280)] * LOOKED)
    marked = Watermark(b"speed", 1, 720, 1280).embed(large)
    return Speed(
        median_of(lambda: mark.embed(frames)) / len(frames),
        median_of(lambda: detect([marked], [b"speed"])),
        median_of(lambda: detect([large], [b"speed"])),
    )


def median_of(job: Callable[[], object], runs: int = 5) -> float:
    spent = []
    for _ in range(runs):
        begin = time.perf_counter()
        job()
        spent.append(time.perf_counter() - begin)
    return statistics.median(spent)


# The page


@dataclass(frozen=True)
class Measured:
    """All figures. `large` by what the windows are of, `small` by height and width."""

    large: Mapping[str, Tally]
    small: Mapping[tuple[int, int], Tally]
    keys: int
    false_keys: int
    least: float
    speed: Speed
    seed: int
    minutes: float


def page(found: Measured, command: str) -> str:
    """The figures as a page in Markdown."""
    parts = [_head(found, command), _large(found), _nothing(found), _small(found), limits(), _speed(found)]
    return "\n\n".join(parts) + "\n"


def _head(found: Measured, command: str) -> str:
    machine = cost.machine()
    return f"""# The invisible watermark

    {command}

printed this page in {found.minutes:.0f} minutes with kineograph {kineograph.__version__} on \
{machine.processor}, one thread, seed {found.seed}.

Every trial takes a random window of {FRAMES} frames of {HEIGHT}x{WIDTH} (height x width), a random key and \
a random payload of 32 bits.
It counts as read if `detect` returns that very payload. In brackets are 95% intervals (Wilson).
Windows of clips that have another size are scaled until they cover it and cut around the middle; the world is
rendered at that size, {AT_A_TIME} windows of each scene. H.264 is libx264, preset veryfast, from and to \
RGB; other processing happens without
a codec unless one is named."""


def _large(found: Measured) -> str:
    names = list(found.large)
    rows = [
        [way, *(_share(found.large[name], way) for name in names), f"{AIMS[way]:.0%}" if way in AIMS else ""]
        for way in WAYS
    ]
    psnrs = ", ".join(f"{tally.psnr:.2f} dB ({name})" for name, tally in found.large.items())
    heads = [f"{name}, {tally.trials} trials" for name, tally in found.large.items()]
    return f"""## What it survives

{table(["what was done", *heads, "aim"], rows)}

PSNR of marked against unmarked frames, all trials pooled: {psnrs}."""


def _share(tally: Tally, way: str) -> str:
    figure = share(tally.right[way], tally.trials)
    low, high = (f"{100 * bound:.1f}" for bound in (figure.low, figure.high))
    return f"{100 * figure.value:.1f}% ({low}-{high})"


def _nothing(found: Measured) -> str:
    every = [*found.large.values(), *found.small.values()]
    empty, false, wrong = (
        sum(getattr(tally, name) for tally in every) for name in ("empty", "false", "wrong")
    )
    looks = sum(tally.trials for tally in found.large.values()) * len(WAYS)
    return f"""## Where there is none

A reading counts only if a bound on its chance without a mark is at most {MOST_CHANCE:g}.

- Windows without a mark, looked at at every scale: {empty}; marks found: {false}.
- Random keys that are not that of the mark, on mean frames of windows with and without a mark: \
{found.keys:,}; marks found: {found.false_keys}; the least bound of all was {found.least:.2g}.
- Readings of a payload other than the one laid in, in all trials of this page: {wrong} (of {looks:,} and \
those of small clips)."""


def _small(found: Measured) -> str:
    rows = [
        [f"{height}x{width}", str(SMALL[height, width]), str(tally.trials), f"{tally.psnr:.1f} dB"]
        + [_share(tally, way) for way in SMALL_WAYS]
        for (height, width), tally in found.small.items()
    ]
    return f"""## Small clips

Rendered at their size.

{table(["size", "frames", "trials", "PSNR", *SMALL_WAYS], rows)}"""


def limits() -> str:
    """What `limit_of` says of clips of some sizes, and what holds for all."""
    clips = [(48, 48, 33), (64, 64, 33), (128, 128, 33), (256, 256, 33), (360, 640, 17), (360, 640, 33)]
    rows = [
        [f"{height}x{width}", str(frames), limit_of(height, width, frames) or ""]
        for height, width, frames in clips
    ]
    return f"""## Limits

It survives ordinary processing, no more. Whoever makes the picture anew, with a model or by heavy filters,
takes the mark away; so does whoever has the key. Turned or sheared frames are not looked for.
In flat areas, beside the unmarked frame, it shows as faint fine grain.

{table(["size", "frames", "what `limit_of` says"], rows)}"""


def _speed(found: Measured) -> str:
    taken = found.speed
    return f"""## What it takes

Medians, numpy, one thread.

- Marking a frame of {HEIGHT}x{WIDTH}: {1000 * taken.frame:.1f} ms.
- Looking at {LOOKED} frames of 720x1280 in memory: {taken.marked:.2f} s if marked, {taken.unmarked:.2f} s \
if not, when every scale is tried."""


def main(
    *,
    clips: Path | None = None,
    trials: int = 1000,
    small: int = 100,
    keys: int = 1_000_000,
    seed: int = 0,
    most: float = 60.0,
    report: Path | None = None,
) -> None:
    """Mark windows, do to them what happens to clips, and look for the mark.

    Parameters
    ----------
    clips
        A folder of clips; half of the trials are on windows of them. Without it, all are rendered.
    trials
        How many windows.
    small
        How many clips of each small size.
    keys
        How many wrong keys.
    most
        Minutes after which no more windows are tried; the page says how many were.
    seed
        Of everything that is drawn.
    report
        Write the page into this file too.
    """
    begin = time.perf_counter()
    rng = np.random.default_rng(seed)
    spent = speed(rng)
    paths = [] if clips is None else sorted(path for path in clips.iterdir() if path.suffix in SUFFIXES)
    if clips is not None and not paths:
        raise RequestError(f"{clips} holds no clips: give a folder with files in {', '.join(SUFFIXES)}.")
    large = tried(islice(endless(paths, rng), trials), rng, WAYS, begin + 60 * most)
    little = {}
    for size, length in SMALL.items():
        drawn = (("", frames) for frames in of_world(small, rng, *size, length))
        little[size] = tried(drawn, rng, SMALL_WAYS)[""]
    luma = [plane for tally in large.values() for plane in tally.luma]
    false, least = wrong_keys(luma, keys, rng)
    minutes = (time.perf_counter() - begin) / 60
    command = f"python -m benchmarks.watermark{' --clips FOLDER' * bool(clips)} --trials {trials} "
    command += f"--small {small} --keys {keys} --seed {seed} --most {most:g} --report docs/watermark.md"
    text = page(Measured(large, little, keys, false, least, spent, seed, minutes), command)
    if report is not None:
        with replacing(report) as part:
            part.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run(main)
