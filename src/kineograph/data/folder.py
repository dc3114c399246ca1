"""A folder of somebody's own clips, read once: windows of frames with captions, ready for shards.

A caption is what NAME.txt beside NAME.mkv says, else it is made from the name: `asl_thanks-02.mkv` is
"asl thanks". Frames are taken by their time stamps, scaled to cover a square and cut to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kineograph.errors import DataError, MediaError
from kineograph.fitting import fit
from kineograph.media.probe import probe
from kineograph.media.sandbox import decoding
from kineograph.media.wire import Limits, Task
from kineograph.text.vocabulary import split
from kineograph.video import Frames

# Frames are fitted one by one as they come, so that a file may be long.
LIMITS = Limits(total_pixels=100_000_000_000, cpu_seconds=1800, wall_seconds=3600)
LEAST_STRIDE = 2  # frames between the windows of a short clip
WINDOWS = 8  # about so many of a clip of a few seconds
PHASES = 3  # a short clip is sampled anew from so many moments within its first frame
SHORT = 2  # windows
NAMED = 8  # files in one note
BESIDE = (".txt", ".json", ".c2pa")  # captions; licences and records of how clips were made; their manifests


class Folder:
    """The clips in `folder`, in windows of `frames` frames of `size` x `size` pixels at `fps` a second.

    After `parts` has been gone through, `skipped` says which files are left out and why, `held` names those
    that were too short and hold their last frame, and `origins` the file of each window.

    Raises:
        DataError: there is no such folder, it can't be read, or there is no file in it.
    """

    def __init__(self, folder: Path, frames: int, size: int, fps: float) -> None:
        self.folder, self.frames, self.size, self.fps = folder, frames, size, fps
        self.skipped: list[str] = []
        self.held: list[str] = []
        self.origins: list[str] = []
        try:
            if not folder.is_dir():
                raise DataError(f"There is no folder {folder}: name one that holds your clips.")
            self.files = sorted(path for path in folder.iterdir() if _may_be_clip(path))
        except OSError as error:
            raise DataError(f"The folder {folder} can't be read: {error.strerror}.") from error
        if not self.files:
            raise DataError(f"There are no clips in {folder}: put some there, or name another folder.")

    def parts(self, most: int = 64) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
        """At most `most` windows at a time: frames (N, T, H, W, 3) uint8, and a caption for each.

        Raises:
            DataError: no file can be read.
        """
        waiting: list[tuple[Frames, str]] = []
        for path in self.files:
            waiting += self._captioned(path)
            while len(waiting) >= most:
                yield _part(waiting[:most])
                waiting = waiting[most:]
        if len(self.skipped) == len(self.files):
            raise DataError(f"No clip in {self.folder} can be read: {self.skipped[0]}")
        if waiting:
            yield _part(waiting)

    def notes(self) -> list[str]:
        """What was left out or altered, in sentences."""
        notes = [f"Skipped: {reason}" for reason in self.skipped]
        if self.held:
            names = ", ".join(self.held[:NAMED]) + (" and others" if len(self.held) > NAMED else "")
            notes.append(
                f"{len(self.held)} of {len(self.files)} clips are shorter than {self.frames} frames "
                f"at {self.fps:g} a second and hold their last: {names}."
            )
        return notes

    def _captioned(self, path: Path) -> list[tuple[Frames, str]]:
        """The windows of a file with its caption, none if it can't be read."""
        try:
            caption = caption_of(path)
            takes = takes_of(path, self.frames, self.size, self.fps)
        except (MediaError, DataError) as error:
            self.skipped.append(str(error))
            return []
        if len(takes[0]) < self.frames:
            self.held.append(path.name)
        windows = [window for take in takes for window in windows_of(take, self.frames)]
        self.origins += [path.name] * len(windows)
        return [(window, caption) for window in windows]


def takes_of(path: Path, length: int, size: int, fps: float) -> list[Frames]:
    """The clip (T, size, size, 3) at `fps` frames per second, each cut to the square in its middle.

    One that is shorter than two windows of `length` frames comes several times, from moments that lie less
    than a frame apart, if it has a frame for each of them.

    Raises:
        MediaError: it can't be read, or is a still image.
    """
    found = probe(path, limits=LIMITS)
    if found.frames == 1:
        raise MediaError(f"{path.name!r} is a still image: give clips.")
    rich = found.fps >= PHASES * fps and found.seconds < SHORT * length / fps
    phases = PHASES if rich else 1
    frames = _read(path, size, fps * phases)
    return [frames[phase::phases] for phase in range(min(phases, len(frames)))]


def _read(path: Path, size: int, fps: float) -> Frames:
    frames: list[Frames] = []
    with decoding(path, Task(frames=True, fps=fps, limits=LIMITS)) as child:
        shape = (child.probe.height, child.probe.width, 3)
        for repeats, pixels in child.runs():
            frames += [fit(np.frombuffer(pixels, np.uint8).reshape(shape), size, size)] * repeats
    if not frames:
        raise MediaError(f"{path.name!r} is over before its first frame is due: give a longer clip.")
    return np.stack(frames)


def windows_of(frames: Frames, length: int) -> list[Frames]:
    """Windows of `length` frames that cover all of a clip; too short a clip holds its last frame.

    They begin `LEAST_STRIDE` frames apart in a short clip, up to half a window in a long one.
    """
    missing = max(0, length - len(frames))
    held = np.pad(frames, ((0, missing), (0, 0), (0, 0), (0, 0)), mode="edge")
    last = len(held) - length
    stride = max(LEAST_STRIDE, min(last // WINDOWS, length // 2))
    return [held[start : start + length] for start in sorted({*range(0, last, stride), last})]


def caption_of(path: Path) -> str:
    """The caption of a clip: the text beside it, else words from its name without numbers at the end.

    Raises:
        DataError: the text can't be read, or there is no word.
    """
    beside = path.with_suffix(".txt")
    try:
        written = " ".join(beside.read_text(encoding="utf-8-sig").split()) if beside.exists() else ""
    except OSError as error:
        raise DataError(f"{beside.name!r} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{beside.name!r} is no text: save it as UTF-8.") from error
    words = " ".join(re.split(r"[\s_-]+", path.stem)).strip()
    caption = written or re.sub(r"[\s\d]+$", "", words) or words
    if not split(caption):
        raise DataError(f"{path.name!r} has no caption: write one into {beside.name!r}.")
    return caption


def _may_be_clip(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in BESIDE and not path.name.startswith(".")


def _part(windows: list[tuple[Frames, str]]) -> tuple[dict[str, Tensor], list[str]]:
    frames, captions = zip(*windows, strict=True)
    return {"frames": torch.from_numpy(np.stack(frames))}, list(captions)
