"""Does an edit change what it should, and keep the rest? The world renders the clip and what it is to become.

Clips of one thing are led from their own caption to that of the same scene with one attribute changed.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from kineograph.canvas import Source, edit_canvas
from kineograph.evaluation.adherence import SEED, Verdict, captions_of, judge
from kineograph.evaluation.figures import Figure, bootstrap, share
from kineograph.evaluation.filling import pooled_psnr
from kineograph.evaluation.making import draw, fill, rebuild
from kineograph.evaluation.metrics import squared_error
from kineograph.models.family import Model
from kineograph.video import Frames
from kineograph.worlds.holdout import is_held_out, training_scenes
from kineograph.worlds.pairs import partner
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import SMALL

OPTIONS = {"color": SMALL.colors, "kind": SMALL.kinds, "ground": SMALL.grounds, "time": SMALL.times}
Kept = tuple[float, int]  # squared error and how many values, where both truths agree


@dataclass(frozen=True)
class Shown:
    """What clips show: the changed attribute right, all right, and the PSNR in dB over all clips' pixels that
    the change leaves as they were; NaN if it leaves none."""

    changed: Figure
    all: Figure
    kept: Figure


@dataclass(frozen=True)
class Editing:
    """One attribute: the model, the unchanged clip, and as ceiling the changed truth rebuilt from latents."""

    attribute: str
    model: Shown
    copy: Shown
    ceiling: Shown | None


def edit_attribute(attribute: str, count: int, model: Model, batch: int) -> Generator[int, None, Editing]:
    """Change the attribute in `count` clips, the i-th with the random seed i; yields how many it has just
    done."""
    pairs = pairs_of(attribute, count)
    found: dict[str, tuple[list[Verdict], list[Kept]]] = {}
    for start in range(0, count, batch):
        part = pairs[start : start + batch]
        before, after = ([pair[side] for pair in part] for side in (0, 1))
        clips, truth = (draw(scenes, model.spec).frames.numpy() for scenes in (before, after))
        captions = captions_of(after)
        made = {"model": _edited(clips, captions, model, start), "copy": clips}
        if (rebuilt := rebuild(truth, model)) is not None:
            made["ceiling"] = rebuilt
        for name, changed in made.items():
            verdicts, kept = found.setdefault(name, ([], []))
            verdicts += judge(captions, changed, model.spec.fps)
            kept += [_kept(*trio) for trio in zip(changed, clips, truth, strict=True)]
        yield len(part)
    shown = {name: _shown(attribute, *values) for name, values in found.items()}
    return Editing(attribute, shown["model"], shown["copy"], shown.get("ceiling"))


def pairs_of(attribute: str, count: int) -> list[tuple[Scene, Scene]]:
    """Scenes of one thing, each with the same scene that has another value of the attribute, drawn at random
    from those that are not held out."""
    rng = random.Random(f"{SEED}/{attribute}")
    pairs = []
    for scene in training_scenes(count, SEED, 1):
        own = getattr(scene if attribute in ("ground", "time") else scene.things[0], attribute)
        others = [partner(scene, attribute, value) for value in OPTIONS[attribute] if value != own]
        pairs.append((scene, rng.choice([other for other in others if not is_held_out(other)])))
    return pairs


def _edited(clips: Frames, captions: Sequence[str], model: Model, seed: int) -> Frames:
    canvases = [
        edit_canvas(caption, Source(clip), model.spec.fps)
        for clip, caption in zip(clips, captions, strict=True)
    ]
    return fill(canvases, model, seed=seed).frames


def _kept(made: Frames, clip: Frames, truth: Frames) -> Kept:
    return squared_error(made, truth, (clip == truth).all(axis=-1))


def _shown(attribute: str, verdicts: Sequence[Verdict], kept: Sequence[Kept]) -> Shown:
    changed, every = (
        share(sum(verdict[name] for verdict in verdicts), len(verdicts)) for name in (attribute, "all")
    )
    return Shown(changed, every, bootstrap(pooled_psnr, np.array(kept, float)))
