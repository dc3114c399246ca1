"""Canvas: a video of which some pixels are known. Every task is one, and a model fills in the rest.

Shapes: T frames, H x W pixels. There is one pure builder for each task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineograph.video import Chunk, Frames, Video

Mask = NDArray[np.bool_]

TASKS: Mapping[str, str] = MappingProxyType(
    {
        "text": "nothing is known; the prompt guides",
        "image": "the first frame is known",
        "keyframes": "some frames are known",
        "prediction": "the past is known, and is continued",
        "precede": "the future is known, and is preceded",
        "interpolation": "every N-th frame is known",
        "inpainting": "all is known outside a mask",
        "edit": "a clip is given to be changed; the prompt says what it is to show",
        "removal": "a clip is given that things are to be taken out of",
        "insertion": "a clip is given that a thing is to be put into",
        "outpainting": "the middle is known, and the frame is made wider or higher",
    }
)

CHANGES = ("edit", "removal", "insertion")  # tasks that have a clip to be changed

GUIDES: Mapping[str, str] = MappingProxyType(
    {
        "travel": "the prompt changes on the way",
        "walk": "the clip stands between two others",
        "style": "a clip is given whose style is wanted",
        "tracks": "the paths of things are given",
        "boxes": "the boxes of things are given",
        "pose": "the joints of a robot are given",
        "depth": "how near everything is, is given",
        "edges": "the outlines of things are given",
        "camera": "the path of the camera is given",
        "actions": "what somebody does who controls a thing is given",
    }
)


@dataclass(frozen=True, eq=False)
class Source:
    """A clip (T, H, W, 3) uint8 to be changed, and how strongly, from 0 (not at all) to 1."""

    frames: Frames
    strength: float = 1.0


@dataclass(frozen=True, eq=False)
class Canvas:
    """A video to be filled in.

    Args:
        frames: (T, H, W, 3) uint8; 0 where unknown.
        known: (T, H, W) bool.
        fps: frames per second.
        prompt: what to show.
        task: a name in `TASKS`.
        guides: what else guides the filling, by the names in `GUIDES`. "travel" holds pairs of a prompt and
            the frame, a number that need not be whole, at which the clip has come to it;
            "walk" the prompt of another clip and how far on the way to it this one is, from 0 to 1;
            "style" clips (T', H', W', 3) uint8; "tracks" x, y (T, K, 2) of K things in fractions of the
            frame, "boxes" x0, y0, x1, y1 (T, K, 4), "pose" (T, K, J, 2), "camera" shift and zoom (T, 2), all
            NaN where nothing is said; "depth" and "edges" (T', H, W) in [0, 1] of the first T' frames;
            "actions" the names (T,) of what leads to each frame.
        source: a clip to be changed, where the task is one of `CHANGES`.
        notes: sentences for whoever asked, on how pictures and footage were fitted.
    """

    frames: Frames
    known: Mask
    fps: float
    prompt: str
    task: str
    guides: Mapping[str, Any] = field(default_factory=dict)
    source: Source | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.frames.dtype == np.uint8, self.frames.dtype
        assert self.known.dtype == np.bool_, self.known.dtype
        assert self.frames.shape == (*self.known.shape, 3), (self.frames.shape, self.known.shape)
        assert self.task in TASKS, self.task
        assert (self.task in CHANGES) == (self.source is not None), self.task
        assert self.guides.keys() <= GUIDES.keys(), self.guides.keys()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def height(self) -> int:
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        return int(self.frames.shape[2])

    @property
    def known_frames(self) -> Mask:
        """(T,) bool: which frames are wholly known."""
        return np.asarray(self.known.all(axis=(1, 2)))

    @property
    def past(self) -> int:
        """The number of wholly known frames at the start."""
        known = self.known_frames
        return len(known) if known.all() else int(known.argmin())

    def composite(self, chunk: Chunk) -> Chunk:
        """Put the known pixels back, so that the chunk equals the canvas wherever that is known; the same
        chunk where nothing is."""
        span = slice(chunk.start, chunk.start + len(chunk.frames))
        assert chunk.frames.shape == self.frames[span].shape, (chunk.frames.shape, self.frames.shape)
        known = self.known[span, ..., None]
        if not known.any():
            return chunk
        return Chunk(np.where(known, self.frames[span], chunk.frames), chunk.start)


# One builder per task


def text_canvas(prompt: str, *, frames: int, width: int, height: int, fps: float) -> Canvas:
    """Nothing is known."""
    empty = np.zeros((frames, height, width, 3), np.uint8)
    return Canvas(empty, np.zeros(empty.shape[:3], bool), fps, prompt, "text")


def keyframes_canvas(prompt: str, pictures: Mapping[int, Frames], *, frames: int, fps: float) -> Canvas:
    """`pictures` (H, W, 3) are known, by the index of their frame; the first frame alone is "image"."""
    assert pictures, "a canvas without pictures is a text_canvas"
    height, width, _ = next(iter(pictures.values())).shape
    canvas = text_canvas(prompt, frames=frames, width=width, height=height, fps=fps)
    for index, picture in pictures.items():
        canvas.frames[index] = picture
        canvas.known[index] = True
    return replace(canvas, task="image" if set(pictures) == {0} else "keyframes")


def continue_canvas(prompt: str, footage: Video, added: int) -> Canvas:
    """`added` unknown frames come after the footage."""
    return _extended(prompt, footage, (0, added), "prediction")


def precede_canvas(prompt: str, footage: Video, added: int) -> Canvas:
    """`added` unknown frames come before the footage."""
    return _extended(prompt, footage, (added, 0), "precede")


def _extended(prompt: str, footage: Video, added: tuple[int, int], task: str) -> Canvas:
    frames = np.pad(footage.frames, (added, (0, 0), (0, 0), (0, 0)))
    known = np.pad(np.ones(footage.frames.shape[:3], bool), (added, (0, 0), (0, 0)))
    return Canvas(frames, known, footage.fps, prompt, task)


def interpolation_canvas(prompt: str, footage: Video, factor: int) -> Canvas:
    """The footage's T frames stand `factor` apart: (T - 1) * factor + 1 frames at `factor` times the rate."""
    length = (len(footage) - 1) * factor + 1
    frames = np.zeros((length, *footage.frames.shape[1:]), np.uint8)
    frames[::factor] = footage.frames
    known = np.zeros(frames.shape[:3], bool)
    known[::factor] = True
    return Canvas(frames, known, footage.fps * factor, prompt, "interpolation")


def inpainting_canvas(prompt: str, footage: Video, fill: Mask) -> Canvas:
    """All is known except where `fill` (T, H, W) is true."""
    frames = np.where(fill[..., None], np.uint8(0), footage.frames)
    return Canvas(frames, ~fill, footage.fps, prompt, "inpainting")


def outpainting_canvas(prompt: str, footage: Video, *, width: int, height: int) -> Canvas:
    """The footage is known in the middle of frames that are larger than its own."""
    spare = height - footage.height, width - footage.width
    assert min(spare) >= 0, (height, width)
    around = ((0, 0), *((side // 2, side - side // 2) for side in spare))
    frames = np.pad(footage.frames, (*around, (0, 0)))
    known = np.pad(np.ones(footage.frames.shape[:3], bool), around)
    return Canvas(frames, known, footage.fps, prompt, "outpainting")


def guided_canvas(canvas: Canvas, **guides: Any) -> Canvas:
    """The canvas with more guides, by the names in `GUIDES`; see `Canvas` for what each holds."""
    return replace(canvas, guides={**canvas.guides, **guides})


def edit_canvas(prompt: str, source: Source, fps: float, task: str = "edit") -> Canvas:
    """Nothing is known, but there is a clip to be changed; `task` is one of `CHANGES`."""
    length, height, width, _ = source.frames.shape
    canvas = text_canvas(prompt, frames=length, width=width, height=height, fps=fps)
    return replace(canvas, task=task, source=source)
