"""Draw the pictures of the README and the docs with the shipped model: `python docs/make_images.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import kineograph
from kineograph import canvas as builders
from kineograph.canvas import Canvas, Source
from kineograph.evaluation.making import draw, fill, text_canvases
from kineograph.evaluation.release import sheet_claim
from kineograph.generation import generate_batch
from kineograph.models.family import Model, Spec
from kineograph.provenance import mark
from kineograph.video import Video
from kineograph.worlds.scene import Scene, Thing

COLUMNS = 6  # frames of each clip
IMAGES = Path(__file__).parent / "images"
UNKNOWN = 128  # the grey that stands for what is not known
PROMPTS = (
    "a small red ball bounces over sand at sunset",
    "a large blue box moves left on grass by day",
    "a medium white car moves right on snow at night",
    "a large green ring circles over water by day",
    "a medium purple star goes up over grass at sunset",
    "a large yellow ball moves right on sand by day and a small blue car stays still",
)
CAPTION = "a large red ball moves right over grass by day"
SCENE = Scene((Thing("ball", "red", "large", "right", 0.25, 0.6),), "grass", "day", seed=3)
CHANGED = "a large blue box moves right over grass by day"
LATER = "a large red ball moves right over grass at night"


def main() -> None:
    """Write `images/playground.png`, a row of frames for each prompt, and `images/canvases.png`, two rows for
    each canvas: what is known and what was made of it. The seed is 0."""
    model = kineograph.load("playground")
    videos = generate_batch([kineograph.Request(prompt) for prompt in PROMPTS], model)
    claim = sheet_claim(model.spec)
    print(mark.save_sheet(videos, PROMPTS, COLUMNS, claim, IMAGES / "playground.png"))
    labels, rows = zip(*filled(model), strict=True)
    print(mark.save_sheet(rows, labels, COLUMNS, claim, IMAGES / "canvases.png"))


def filled(model: Model) -> Iterator[tuple[str, Video]]:
    """Each canvas with its unknown pixels in grey, and the clip that the model makes of it."""
    for name, canvas in canvases(model.spec):
        given = canvas.source.frames if canvas.source else canvas.frames
        shown = np.where(canvas.known[..., None] | bool(canvas.source), given, np.uint8(UNKNOWN))
        yield f"{name}: given", Video(shown, canvas.fps)
        yield f"{name}: made", Video(fill([canvas], model).frames[0], canvas.fps)


def canvases(spec: Spec) -> Iterator[tuple[str, Canvas]]:
    """A canvas of every task over the same rendered clip."""
    clip = Video(draw([SCENE], spec).frames[0].numpy(), spec.fps)
    ends = {index: clip.frames[index] for index in (0, len(clip) - 1)}
    middle = Video(clip.frames[:, :, spec.width // 4 : -spec.width // 4], clip.fps)
    half = len(clip) // 2
    yield "image", builders.keyframes_canvas(CAPTION, {0: clip.frames[0]}, frames=len(clip), fps=clip.fps)
    yield "keyframes", builders.keyframes_canvas(CAPTION, ends, frames=len(clip), fps=clip.fps)
    yield "prediction", builders.continue_canvas(CAPTION, Video(clip.frames[: half + 1], clip.fps), half)
    yield "precede", builders.precede_canvas(CAPTION, Video(clip.frames[half:], clip.fps), half)
    yield "interpolation", builders.interpolation_canvas(CAPTION, Video(clip.frames[::4], clip.fps / 4), 4)
    yield "inpainting", builders.inpainting_canvas(CAPTION, clip, hole(clip, moves=False))
    yield "inpainting, a mask that moves", builders.inpainting_canvas(CAPTION, clip, hole(clip, moves=True))
    yield "outpainting", builders.outpainting_canvas(CAPTION, middle, width=spec.width, height=spec.height)
    yield "edit, to a blue box", builders.edit_canvas(CHANGED, Source(clip.frames, 1.0, CAPTION), clip.fps)
    (blank,) = text_canvases([CAPTION], spec)
    yield "travel, to night", replace(blank, guides={"travel": ((LATER, len(clip) - 1.0),)})


def hole(clip: Video, moves: bool) -> builders.Mask:
    """A box of half the height and a third of the width, in the middle or on its way from left to right."""
    fill = np.zeros(clip.frames.shape[:3], bool)
    rows = slice(clip.height // 3, clip.height // 3 + clip.height // 2)
    for index, frame in enumerate(fill):
        share = index / (len(fill) - 1) if moves else 0.5
        left = round(share * clip.width * 2 / 3)
        frame[rows, left : left + clip.width // 3] = True
    return fill


if __name__ == "__main__":
    main()
