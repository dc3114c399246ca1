"""`kineo worlds`: look at the rendered worlds that models learn from."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from kineograph.cli.output import numbered, print_json, read_text, say
from kineograph.errors import RequestError

if TYPE_CHECKING:
    from kineograph.video import Video
    from kineograph.worlds.scene import Scene

FPS = 8.0
MAX_PIXELS = 300_000_000  # of all frames together: 0.9 GB
ROWS, COLUMNS = 100, 8  # of a contact sheet
IMAGES = (".png", ".jpg", ".jpeg")

app = App(help="Look at the rendered worlds that models learn from.")
WorldName = Literal["small", "full"]
Json = Annotated[bool, Parameter(negative=())]


@app.command
def sample(
    *,
    count: int = 8,
    seed: int = 0,
    frames: int = 17,
    size: int = 128,
    world: WorldName = "full",
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("world.png"),
    json: Json = False,
) -> None:
    """Draw scenes at random and render them with their captions.

    Examples:

        kineo worlds sample --count 8 -o world.png

        kineo worlds sample --count 3 --seed 7 --world small -o clip.mp4

    Parameters
    ----------
    count
        How many scenes, 1 to 1000.
    seed
        The random seed.
    frames
        The length of each clip in frames, at 8 frames per second.
    size
        Width and height in pixels.
    world
        `full` is the world that the shipped model has learnt; `small` is a part of it.
    out
        An image for one contact sheet of all, or a video: NAME-0001 and so on if there are several.
    json
        Print one JSON object for each scene.
    """
    from kineograph.worlds.captions import canonical
    from kineograph.worlds.scene import sample_scenes
    from kineograph.worlds.world import WORLDS

    _check(count, seed, frames, size)
    scenes = sample_scenes(count, seed, world=WORLDS[world])
    captions = [canonical(scene, WORLDS[world]) for scene in scenes]
    paths = _draw(scenes, captions, frames, size, seed, out)
    for scene, caption, path in zip(scenes, captions, paths, strict=True):
        if json:
            print_json({"path": str(path), "caption": caption, "scene": scene.to_dict()})
        else:
            print(f"{path}: {caption}")


@app.command
def show(
    scene: Path | None = None,
    /,
    *,
    seed: int | None = None,
    frames: int = 17,
    size: int = 128,
    world: WorldName = "full",
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: Json = False,
) -> None:
    """Show one scene: as a caption and as JSON that can be edited, or rendered.

    Examples:

        kineo worlds show --seed 3 --json > scene.json

        kineo worlds show scene.json -o scene.mp4

    Parameters
    ----------
    scene
        A scene's JSON file; drawn at random if left out.
    seed
        The random seed to draw with, 0 unless given.
    frames
        The length of the rendered clip in frames, at 8 frames per second.
    size
        Its width and height in pixels.
    world
        Which world it is drawn from and described in: `small` or `full`.
    out
        Render the scene into this image or video.
    json
        Print the scene's JSON alone.
    """
    from kineograph.worlds.captions import canonical
    from kineograph.worlds.scene import sample_scenes
    from kineograph.worlds.world import WORLDS

    if scene is not None and seed is not None:
        raise RequestError(f"{scene} is a scene already; leave out --seed, or the file.")
    _check(1, seed or 0, frames, size)
    shown = sample_scenes(1, seed or 0, world=WORLDS[world])[0] if scene is None else _read_scene(scene)
    caption = canonical(shown, WORLDS[world])
    if out is not None:
        _draw([shown], [caption], frames, size, (seed or 0) if scene is None else None, out)
        say(f"wrote {out}")
    if not json:
        print(caption)
    print_json(shown.to_dict())


def _check(count: int, seed: int, frames: int, size: int) -> None:
    ranges = {"count": (count, 1, 1000), "seed": (seed, 0, 2**63 - 1)}
    ranges |= {"frames": (frames, 1, 1000), "size": (size, 16, 1024)}
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise RequestError(f"{name} must be a whole number from {low} to {high}, not {value}.")
    if size % 2:
        raise RequestError(f"size must be even, as video formats demand, not {size}.")
    if count * frames * size**2 > MAX_PIXELS:
        raise RequestError("That is too much at once; ask for fewer, shorter or smaller clips.")


def _read_scene(path: Path) -> Scene:
    from kineograph.worlds.scene import Scene

    try:
        values = json_format.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise RequestError(f"{path} is not a scene; give what kineo worlds show --json prints.")
    return Scene.from_dict(values)


def _draw(
    scenes: list[Scene], captions: list[str], frames: int, size: int, seed: int | None, out: Path
) -> list[Path]:
    """Render the scenes, drawn from `seed` if any; the file that each of them is in."""
    from kineograph.provenance import mark
    from kineograph.provenance.claim import rendering_claim
    from kineograph.video import Chunk

    claim = rendering_claim(seed)
    if out.suffix.lower() in IMAGES:
        if len(scenes) > ROWS:
            raise RequestError(f"An image shows {ROWS} scenes at most; ask for fewer, or for videos.")
        return [mark.save_sheet(_render(scenes, frames, size), captions, COLUMNS, claim, out)] * len(scenes)
    paths = numbered(out, len(scenes))
    for path in paths:
        mark.check(path, FPS)
    for video, path in zip(_render(scenes, frames, size), paths, strict=True):
        mark.save([Chunk(video.frames, 0)], claim, path, FPS)
    return paths


def _render(scenes: list[Scene], frames: int, size: int) -> list[Video]:
    from kineograph.video import Video
    from kineograph.worlds.renderer import render

    rendered = render(scenes, frames=frames, size=size, fps=FPS, truth=False)
    return [Video(clip.numpy(), FPS) for clip in rendered.frames]
