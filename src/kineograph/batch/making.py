"""One order after another, each to a clip, by models that are loaded once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kineograph import catalog
from kineograph.batch.folder import Made, Manifest, digest
from kineograph.batch.orders import Order, Outcome
from kineograph.canvas import Canvas
from kineograph.errors import KineographError
from kineograph.generation import fill, prepare
from kineograph.models.family import Model, Step
from kineograph.provenance import mark
from kineograph.provenance.claim import claim_of, job_of, sources_of
from kineograph.request import Request
from kineograph.text.vocabulary import passed_over
from kineograph.video import Chunk


class Maker:
    """Makes clips into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._models: dict[str, Model] = {}

    def make(self, order: Order, tell: Callable[[float], None]) -> Made | Outcome:
        """A clip, or why there is none; `tell` hears what share of it is done, from 0 to 1."""
        try:
            return self._made(order, tell)
        except KineographError as error:
            reason = str(error)
        except Exception as error:  # whatever breaks one row must not cost the others theirs
            reason = f"It broke off with {type(error).__name__}: {error}"
        return Outcome(order.row, order.name, "failed", reason=" ".join(reason.split()))

    def _made(self, order: Order, tell: Callable[[float], None]) -> Made:
        start = time.perf_counter()
        request, path = order.request, self.folder / order.file
        model = self._model(request.model)
        canvas = prepare(request, model)
        mark.check(path, canvas.fps, order.marking)
        job = job_of(request, model.spec, marking=order.marking, consent=order.consent)
        steps = _Steps(tell)
        chunks = steps.of(fill(canvas, request, model))
        saved = mark.save(chunks, claim_of(job), path, canvas.fps, job.marking, sources_of(job))
        manifest = Manifest(
            status="made",
            row=order.row,
            name=order.name,
            file=order.file,
            sha256=digest(path),
            hash=order.hash,
            request=json.loads(request.to_json()),
            model=job.model,
            weights_hash=job.weights_hash,
            frames=saved.frames,
            width=saved.width,
            height=saved.height,
            fps=saved.fps,
            seconds=round(time.perf_counter() - start, 3),
            evaluations=steps.done,
            notes=_notes(canvas, request),
        )
        return Made(manifest, job.to_json())

    def _model(self, name: str) -> Model:
        if name not in self._models:
            self._models[name] = catalog.load(name)
        return self._models[name]


class _Steps:
    """Passes items on, counts network evaluations and tells how far they are."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self.tell = tell
        self.done = 0

    def of(self, items: Iterator[Step | Chunk]) -> Iterator[Step | Chunk]:
        for item in items:
            if isinstance(item, Step):
                self.done = item.done
                self.tell(item.done / item.total)
            yield item


def _notes(canvas: Canvas, request: Request) -> tuple[str, ...]:
    """What was done to the pictures, and the words of the prompt that the model passes over."""
    about = catalog.describe(request.model)
    words = passed_over(request.prompts, about.vocabulary, about.text_length)
    notes = list(canvas.notes)
    if words.unknown:
        notes.append(f"Not in this model's vocabulary: {', '.join(words.unknown)}.")
    if words.unread:
        notes.append(f"Too long for this model, which does not read the end: {' '.join(words.unread)}.")
    return tuple(notes)
