"""Does an edit change what it should, and keep the rest? The world renders the clip and what it is to become.

Clips of one thing are led to the same scene with one attribute changed, without its thing, or with a thing
put in. N clips of T frames, H x W pixels: (N, T, H, W, 3) uint8.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kineograph.canvas import Canvas, Source, edit_canvas
from kineograph.data.truth import manner_of
from kineograph.evaluation.adherence import SEED, Verdict, captions_of
from kineograph.evaluation.figures import Figure, bootstrap, share
from kineograph.evaluation.filling import pooled_psnr
from kineograph.evaluation.making import draw, fill, rebuild
from kineograph.evaluation.metrics import squared_error
from kineograph.fitting import NOTHING, UNTOLD
from kineograph.models.family import Model, Spec
from kineograph.video import Frames
from kineograph.worlds.captions import SETTING, caption_of_plate, parse
from kineograph.worlds.detectors import Detection, detect
from kineograph.worlds.holdout import is_held_out, training_scenes
from kineograph.worlds.matching import score
from kineograph.worlds.pairs import partner
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import FULL, SMALL, World

POOL = 64  # clips of which one lends its style
Pair = tuple[Scene, Scene]  # what is given and what it is to become
Errors = tuple[float, int, float, int]  # squared error and how many values: of the change, of the rest


@dataclass(frozen=True)
class Edit:
    """A way to change clips of a world: the attribute that changes, if one does, what detectors must find for
    it to be as asked, the task of the canvas, the guides that lead instead of a prompt, and whether else a
    prompt `tells` all that is to be seen."""

    name: str
    attribute: str | None
    asked: tuple[str, ...]
    world: World = FULL
    task: str = "edit"
    guides: frozenset[str] = field(default_factory=frozenset)
    tells: bool = True

    @property
    def needs(self) -> frozenset[str]:
        """The abilities that it takes."""
        return self.guides | {self.task}


def _lent(attribute: str, world: World) -> Edit:
    """By the style of another clip, which looks as what is wanted."""
    return Edit(f"{attribute} of a clip", attribute, (attribute,), world, guides=frozenset({"style"}))


EDITS = (
    *(Edit(name, name, (name,), SMALL) for name in ("color", "kind", "ground", "time")),
    *(_lent(name, SMALL) for name in ("ground", "time")),
    *(Edit(name, name, (name,)) for name in ("style", "weather")),
    _lent("style", FULL),
    Edit("removal", None, ("nothing",), task="removal", tells=False),
    Edit("removal, the rest told", None, ("nothing",), task="removal"),
    Edit("insertion", None, ("count", "kind", "color"), task="insertion"),
)


@dataclass(frozen=True)
class Shown:
    """What clips show: the share with the change as asked, and with all right; and the PSNR in dB to what
    they were to become, over all clips' pixels that are to change and over the rest; NaN without any."""

    changed: Figure
    all: Figure
    new: Figure
    kept: Figure


@dataclass(frozen=True)
class Editing:
    """One edit: the model, the unchanged clip, and as ceiling the changed truth rebuilt from latents."""

    edit: str
    model: Shown
    copy: Shown
    ceiling: Shown | None


@dataclass(frozen=True, eq=False)
class Work:
    """Clips (N, T, H, W, 3) before and after, captions of the latter, and canvases that lead to them."""

    before: Frames
    after: Frames
    captions: list[str]
    canvases: list[Canvas]


def measure_edit(edit: Edit, count: int, model: Model, batch: int) -> Generator[int, None, Editing]:
    """Change `count` clips, the i-th with the random seed i; yields how many it has just done."""
    pairs = pairs_of(edit, count)
    found: dict[str, tuple[list[Verdict], list[Errors]]] = {}
    for start in range(0, count, batch):
        work = work_of(edit, pairs, slice(start, start + batch), model.spec)
        made = {"model": fill(work.canvases, model, seed=start).frames, "copy": work.before}
        if (rebuilt := rebuild(work.after, model)) is not None:
            made["ceiling"] = rebuilt
        for name, clips in made.items():
            verdicts, errors = found.setdefault(name, ([], []))
            verdicts += judge_edit(edit, work.captions, clips, model.spec.fps)
            errors += map(_errors, clips, work.before, work.after)
        yield len(work.canvases)
    shown = {name: _shown(*values) for name, values in found.items()}
    return Editing(edit.name, shown["model"], shown["copy"], shown.get("ceiling"))


def pairs_of(edit: Edit, count: int) -> list[Pair]:
    """Scenes of one thing, each with the same scene that has another value of the attribute, drawn at random
    from those that are not held out; with itself where no attribute changes."""
    scenes = training_scenes(count, SEED, 1, edit.world)
    if edit.attribute is None:
        return [(scene, scene) for scene in scenes]
    rng = random.Random(f"{SEED}/{edit.attribute}")
    return [(scene, rng.choice(_partners(scene, edit.attribute, edit.world))) for scene in scenes]


def _partners(scene: Scene, attribute: str, world: World) -> list[Scene]:
    own = getattr(scene if attribute in SETTING else scene.things[0], attribute)
    others = [partner(scene, attribute, value) for value in world.values[attribute] if value != own]
    return [other for other in others if not is_held_out(other) and not _unfit(other, world)]


def _unfit(scene: Scene, world: World) -> bool:
    return any((thing.kind, thing.motion) in world.unfit for thing in scene.things)


def work_of(edit: Edit, pairs: Sequence[Pair], part: slice, spec: Spec) -> Work:
    """What is to be done with a part of all pairs."""
    given, wanted = zip(*pairs[part], strict=True)
    before = draw(given, spec, things=edit.task != "insertion").frames.numpy()
    after = draw(wanted, spec, things=edit.task != "removal").frames.numpy()
    captions = _captions(edit, [after for _, after in pairs])[part]
    prompts = captions if edit.tells else [NOTHING] * len(captions)
    strength = 1.0 if edit.tells else UNTOLD
    canvases = [
        edit_canvas(prompt, Source(clip, strength), spec.fps, edit.task)
        for prompt, clip in zip(prompts, before, strict=True)
    ]
    if "style" in edit.guides:
        lent = zip(canvases, _lenders([after for _, after in pairs], edit.world)[part], strict=True)
        canvases = [_in_style_of(canvas, lender, spec) for canvas, lender in lent]
    return Work(before, after, captions, canvases)


def _captions(edit: Edit, scenes: Sequence[Scene]) -> list[str]:
    if edit.task != "removal":
        return captions_of(scenes, edit.world)
    return [caption_of_plate(scene, random.Random(f"{SEED}/{n}"), 0.0) for n, scene in enumerate(scenes)]


def _lenders(wanted: Sequence[Scene], world: World) -> list[Scene]:
    """For each of what is wanted another scene of its manner, which is what a style tells."""
    rng, pool = random.Random(f"{SEED}/lenders"), training_scenes(POOL, SEED + 1, 1, world)
    manners = [manner_of(scene, world) for scene in wanted]
    return [rng.choice([each for each in pool if manner_of(each, world) == manner]) for manner in manners]


def _in_style_of(canvas: Canvas, lender: Scene, spec: Spec) -> Canvas:
    """The canvas with the style of another clip for a guide, and no prompt."""
    return replace(canvas, prompt="", guides={"style": (draw([lender], spec).frames[0].numpy(),)})


def judge_edit(edit: Edit, captions: Sequence[str], clips: Frames, fps: float) -> list[Verdict]:
    """Whether each clip shows the change that was `asked`, and `all` that the caption of its truth names."""
    found = detect(clips, fps, edit.world)
    return [_verdict(edit, text, detection) for text, detection in zip(captions, found, strict=True)]


def _verdict(edit: Edit, text: str, detection: Detection) -> Verdict:
    found = score(parse(text, edit.world), detection)
    if edit.task == "removal":
        found["nothing"] = not detection.things
    return {"asked": all(found[name] for name in edit.asked), "all": all(found.values())}


def _errors(made: Frames, before: Frames, after: Frames) -> Errors:
    kept = (before == after).all(axis=-1)
    return *squared_error(made, after, ~kept), *squared_error(made, after, kept)


def _shown(verdicts: Sequence[Verdict], errors: Sequence[Errors]) -> Shown:
    values = np.array(errors, float)
    return Shown(
        *_shares(verdicts), *(bootstrap(pooled_psnr, part) for part in (values[:, :2], values[:, 2:]))
    )


def _shares(verdicts: Sequence[Verdict]) -> Iterator[Figure]:
    for name in ("asked", "all"):
        yield share(sum(verdict[name] for verdict in verdicts), len(verdicts))
