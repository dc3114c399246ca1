"""Draw the pictures of the README and the docs with the shipped model: `python docs/make_images.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import kineograph
from kineograph import canvas as builders
from kineograph.canvas import Canvas, Source
from kineograph.evaluation.making import draw, fill, text_canvases
from kineograph.evaluation.release import sheet_claim
from kineograph.fitting import NOTHING, UNTOLD
from kineograph.generation import generate_batch
from kineograph.models.family import Model, Spec
from kineograph.models.guides import DRAWN
from kineograph.provenance import mark
from kineograph.video import Frames, Video
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
TECHNIQUES = {  # pages of docs/techniques, and the model that stands for each
    "diffusion": "diffusion-small",
    "gan": "gan",
    "vae": "vae",
    "rnn": "convlstm",
    "transformer": "transformer",
}
CAPTION = "a large red ball moves right over grass by day"
SCENE = Scene((Thing("ball", "red", "large", "right", 0.25, 0.6),), "grass", "day", seed=3)
CHANGED, EMPTY = "a large blue box moves right over grass by day", "nothing over grass by day"
ROBOT = Thing("robot", "red", "large", "right", 0.2, 0.6)
LOOKS, PANS = "a large red robot over grass by day", "as the camera pans left"
DRIVEN, CAR = Thing("car", "blue", "medium", "still", 0.5, 0.75), "a medium blue car over grass by day"
ACTIONS = ("right",) * 8 + ("left",) * 8
LATER = "a large red ball moves right over grass at night"


def main() -> None:
    """Write `images/playground.png`, a row of frames for each prompt; `canvases.png`, two rows for each
    canvas: what is known and what was made of it; `guides.png`, two rows for each guide: what is told and
    what was made; and a `technique-….png` for each of the small models, rows as of the first. The seed is 0.
    """
    model = kineograph.load("playground")
    videos = generate_batch([kineograph.Request(prompt) for prompt in PROMPTS], model)
    claim = sheet_claim(model.spec)
    print(mark.save_sheet(videos, PROMPTS, COLUMNS, claim, IMAGES / "playground.png"))
    for name, pairs in (("canvases", filled(model)), ("guides", guided(model))):
        labels, rows = zip(*pairs, strict=True)
        print(mark.save_sheet(rows, labels, COLUMNS, claim, IMAGES / f"{name}.png"))
    for page, small in TECHNIQUES.items():
        model = kineograph.load(small)
        videos = generate_batch([kineograph.Request(prompt, model=small) for prompt in PROMPTS[:4]], model)
        path = IMAGES / f"technique-{page}.png"
        print(mark.save_sheet(videos, PROMPTS[:4], COLUMNS, sheet_claim(model.spec), path))


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
    source = Source(clip.frames)
    yield "edit, to a blue box", builders.edit_canvas(CHANGED, source, clip.fps)
    yield "edit, to neon", builders.edit_canvas(f"{CAPTION} in neon", source, clip.fps)
    unsaid = Source(source.frames, UNTOLD)
    yield "removal", builders.edit_canvas(NOTHING, unsaid, clip.fps, "removal")
    yield "removal, the rest told", builders.edit_canvas(EMPTY, source, clip.fps, "removal")
    plate = Video(draw([SCENE], spec, things=False).frames[0].numpy(), spec.fps)
    yield "insertion", builders.edit_canvas(CAPTION, Source(plate.frames), clip.fps, "insertion")
    (blank,) = text_canvases([CAPTION], spec)
    yield "travel, to night", replace(blank, guides={"travel": ((LATER, len(clip) - 1.0),)})


def guided(model: Model) -> Iterator[tuple[str, Video]]:
    """Each guide as a picture, and the clip that the model makes with it."""
    for name, shown, canvas in guides(model.spec):
        yield f"{name}: told", Video(shown, canvas.fps)
        yield f"{name}: made", Video(fill([canvas], model).frames[0], canvas.fps)


def guides(spec: Spec) -> Iterator[tuple[str, Frames, Canvas]]:
    """A guide of each kind, from the truth of a rendered clip."""
    scene = replace(SCENE, things=(ROBOT,), camera="pan left")
    truth = draw([scene], spec, truth=True)
    frames, (plain, blank) = truth.frames[0].numpy(), text_canvases([LOOKS, f"{LOOKS} {PANS}"], spec)
    nearness = (1 / truth.depth[0].float()).numpy()
    outlines = truth.edges[0].numpy()
    three = ((0, 0), (0, 3 - truth.tracks.shape[2]), (0, 0))
    tracks, boxes = (np.pad(t[0].numpy(), three, constant_values=np.nan) for t in (truth.tracks, truth.boxes))
    pose = np.pad(truth.joints[0].numpy(), (*three, (0, 0)), constant_values=np.nan)
    for name, values in {"tracks": tracks, "boxes": boxes, "pose": pose}.items():
        yield name, drawing(name, values, spec), builders.guided_canvas(plain, **{name: values})
    for name, values in {"depth": nearness, "edges": outlines.astype(np.float32)}.items():
        yield name, painted(values[..., None].repeat(3, -1)), builders.guided_canvas(plain, **{name: values})
    yield "camera, which pans left", frames, builders.guided_canvas(blank, camera=truth.camera[0].numpy())
    (car,) = text_canvases([CAR], spec)
    played = draw([replace(SCENE, things=(DRIVEN,), actions=ACTIONS)], spec).frames[0].numpy()
    told = ("none", *ACTIONS)
    yield "actions, 8 times right, 8 times left", played, builders.guided_canvas(car, actions=told)
    neon = draw([replace(SCENE, style="neon", ground="sand")], spec).frames[0].numpy()
    clip = draw([SCENE], spec).frames[0].numpy()
    edit = builders.edit_canvas("", Source(clip), spec.fps)
    yield "style, of another clip", neon, builders.guided_canvas(edit, style=(neon,))


def drawing(kind: str, values: NDArray[np.float32], spec: Spec) -> Frames:
    """Paths, boxes or joints of up to three things, as a picture in as many colours."""
    _, drawn = DRAWN[kind]
    maps = drawn(torch.from_numpy(values)[None], (spec.height // 2, spec.width // 2))[0].nan_to_num()
    things = maps.numpy().repeat(2, -1).repeat(2, -2).repeat(3 // maps.shape[1], 1)
    return painted(np.moveaxis(things, 1, -1))


def painted(values: NDArray[np.float32]) -> Frames:
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


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
