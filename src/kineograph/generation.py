"""The way from a request to frames, and nothing else: request, canvas, conditions, latents, chunks.

What is yielded lies in memory and is unmarked; `kineograph.provenance.mark` is the door to a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kineograph import catalog
from kineograph.canvas import Canvas
from kineograph.controls import ACTIONS, actions_of
from kineograph.errors import AbilityError, RequestError
from kineograph.fitting import canvas_of, task_of
from kineograph.guiding import guides_for, guides_of, notes_on
from kineograph.models.family import Model, Step
from kineograph.provenance.claim import claim_of, job_of, sources_of
from kineograph.provenance.mark import MadeVideo
from kineograph.request import Request
from kineograph.sampling.noise import Draws, Noise, NoiseBetween
from kineograph.sampling.settings import Sampling
from kineograph.video import Chunk, Video

FEW_STEPS = 2  # for each frame of a world that is played


def prepare(request: Request, model: Model) -> Canvas:
    """Read what the request names and fit it to the model, which must be able to fill such a canvas.

    Raises:
        AbilityError: the model can't do this task; names those that can. Nothing has been read yet.
        RequestError, MediaError: the inputs don't fit.
    """
    spec = model.spec
    for needed in (task_of(request), *sorted(guides_of(request))):
        if needed not in spec.abilities:
            able = ", ".join(catalog.able(needed)) or "no model in the catalog"
            raise AbilityError(f"The model {spec.name} can't do {needed}; able to are: {able}.")
    canvas = canvas_of(request, width=spec.width, height=spec.height, fps=spec.fps, window=spec.window)
    notes = (*canvas.notes, *notes_on(request, canvas))
    return replace(canvas, guides=guides_for(request, canvas), notes=notes)


def fill(canvas: Canvas, request: Request, model: Model) -> Iterator[Step | Chunk]:
    """Fill a prepared canvas: a `Step` for each network evaluation, a `Chunk` as soon as frames are done."""
    for item in _fill([canvas], [request], model):
        yield item if isinstance(item, Step) else item[0]


def generate(request: Request, model: Model) -> Iterator[Step | Chunk]:
    """Make one clip: progress is iteration, and closing the iterator cancels. Refuses at the call.

    Raises:
        AbilityError, RequestError, MediaError: as `prepare`.
    """
    return fill(prepare(request, model), request, model)


def generate_batch(requests: Sequence[Request], model: Model) -> list[Video]:
    """Make several clips at once, each the same as if it were made alone.

    Raises:
        RequestError: the clips differ in length, size, frame rate, direction in time or settings.
    """
    if not requests:
        return []
    canvases = [prepare(request, model) for request in requests]
    if len(set(map(_kind, canvases))) > 1:
        raise RequestError(
            "The clips of a batch must agree in length, size, frame rate, direction in time and strength "
            "of edit."
        )
    chunks = [item for item in _fill(canvases, requests, model) if not isinstance(item, Step)]
    clips = zip(*chunks, strict=True)
    return [
        Video(np.concatenate([chunk.frames for chunk in clip]), canvas.fps)
        for clip, canvas in zip(clips, canvases, strict=True)
    ]


def play(request: Request, model: Model, actions: Iterable[str] | None = None) -> Iterator[Chunk]:
    """Play a world: its first frame, then one for each action as soon as that comes. Refuses at the call.

    The first frame is the request's image or, as `generate` would make it, that of a clip in which nobody
    acts. What follows is made in fewer steps, unless the request says how many.

    The same request, model and actions play the same world again, but for rounding.
    `generate` of a request with these actions shows the same scene from the same seed, but not the same
    frames: it knows all actions of a window when it makes it.

    Args:
        request: a prompt or the first image, and a style if one is wanted; its length counts for nothing.
        model: one that is able to "actions".
        actions: names in `kineograph.controls.ACTIONS`, taken one by one; those of the request unless given.

    Raises:
        AbilityError, RequestError, MediaError: as `prepare`, or the request asks for more than can be played.
        RequestError: there are no actions or, once it is taken, one that is none.
    """
    if actions is None and request.actions is None:
        raise RequestError("There is nothing to play: give actions, such as 'right*8 jump'.")
    chosen = actions_of(request.actions or "") if actions is None else actions
    return play_on(prepare_world(request, model), request, model, chosen)


def prepare_world(request: Request, model: Model) -> Canvas:
    """The canvas on which a world begins, as `prepare` makes it.

    Raises:
        AbilityError, RequestError, MediaError: as `play`.
    """
    if more := (guides_of(request) - {"actions", "style"}) | ({task_of(request)} - {"text", "image"}):
        raise RequestError(
            f"A world to play begins with a prompt or its first image; leave out {', '.join(sorted(more))}."
        )
    return prepare(replace(request, frames=model.spec.window, seconds=None, actions="none"), model)


def play_on(canvas: Canvas, request: Request, model: Model, actions: Iterable[str]) -> Iterator[Chunk]:
    """Play a world from its prepared canvas."""
    if not canvas.past:
        first = next(item for item in fill(canvas, request, model) if isinstance(item, Chunk))
        canvas.frames[0], canvas.known[0] = first.frames[0], True
    own = settings(request, model)
    quick = own if request.steps is not None else replace(own, steps=min(own.steps, FEW_STEPS))
    yield from model.play(canvas, noise_of(request), quick, _checked(actions))


def _checked(actions: Iterable[str]) -> Iterator[str]:
    for action in actions:
        if action not in ACTIONS:
            raise RequestError(f"{action!r} is no action; there are: {', '.join(ACTIONS)}.")
        yield action


def noise_of(request: Request) -> Draws:
    """What the clip is drawn from: its seed, or on a walk what lies between two."""
    own = Noise(request.seed)
    return own if request.walk is None else NoiseBetween(own, Noise(request.walk.seed), request.walk.share)


def _kind(canvas: Canvas) -> tuple[Any, ...]:
    """What clips must have in common to be made together."""
    strength = canvas.source and canvas.source.strength
    return canvas.frames.shape, canvas.fps, canvas.task == "precede", strength


def generate_video(prompt: str = "", **fields: Any) -> MadeVideo:
    """Make one clip in one line: `generate_video("a red ball rolls to the left", seed=3)`.

    Args:
        prompt: what to show.
        fields: any other field of `Request`.
    """
    request = Request(prompt, **fields)
    model = catalog.load(request.model)
    canvas = prepare(request, model)
    job = job_of(request, model.spec)
    chunks = [item.frames for item in fill(canvas, request, model) if isinstance(item, Chunk)]
    return MadeVideo(np.concatenate(chunks), canvas.fps, claim_of(job), sources_of(job))


def settings(request: Request, model: Model) -> Sampling:
    """The model's own way of sampling with what the request says put over it."""
    return model.spec.setting(request.steps, request.guidance)


def _fill(
    canvases: Sequence[Canvas], requests: Sequence[Request], model: Model
) -> Iterator[Step | list[Chunk]]:
    if len({settings(request, model) for request in requests}) > 1:
        raise RequestError("The clips of a batch must have the same steps and guidance.")
    conditions = model.condition(canvases)
    noises = [noise_of(request) for request in requests]
    for item in model.sample(conditions, noises, settings(requests[0], model)):
        if isinstance(item, Step):
            yield item
        else:
            yield [c.composite(chunk) for c, chunk in zip(canvases, model.decode(item), strict=True)]
