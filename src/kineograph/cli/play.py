"""`kineo play`: a world in the terminal that goes on frame by frame, as keys or a script say."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from kineograph import catalog
from kineograph.cli.generate import model_of, recorded_job, size_of, tell, tell_changes, unheard
from kineograph.cli.marks import UNSAID, Marks, marking_of, tell_sidecar
from kineograph.cli.output import job_path, print_json, say
from kineograph.controls import actions_of
from kineograph.errors import RequestError
from kineograph.request import MAX_FRAMES, Keyframe, Request

if TYPE_CHECKING:
    from kineograph.provenance.claim import Job
    from kineograph.provenance.mark import Saved
    from kineograph.video import Chunk, Frames

HELP = "arrows or a d: run, space: jump, s: stop, q: end"


def play(
    prompt: str | None = None,
    /,
    *,
    model: str | None = None,
    image: str | None = None,
    style: Annotated[list[str] | None, Parameter(negative=())] = None,
    fit: Literal["crop", "pad"] | None = None,
    size: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int | None = None,
    actions: str | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    marks: Marks = UNSAID,
) -> None:
    """Play a world: run with the arrow keys or a and d, jump with the space bar, end with q.

    The world shows in the terminal, 8 frames a second if the machine is fast enough, for up to 10,000 frames.

    With --out, what was played is saved, with a private record NAME.job.json of prompt, seed and actions.
    `kineo play --from` plays that again: the same frames, but for rounding. `kineo generate
    --from` makes another clip of the same scene and actions, as it knows all of them from the start.

    Examples:

        kineo play "a blue car on the road"

        kineo play "a robot on grass" --actions "right*8 jump none*4" -o robot.mp4

        kineo play --from robot.job.json

    Parameters
    ----------
    prompt
        What to show, in quotes.
    model
        A model's name or its folder; playground unless given.
    image
        The first frame.
    style
        A clip or picture whose style is wanted; may be given several times, for a style between them.
    fit
        How a first frame of another shape is fitted: crop (the default) fills the frame and cuts the rest
        off, pad keeps all.
    size
        WIDTHxHEIGHT in pixels; the model's own unless given, which is its largest.
    steps
        Network evaluations for each frame; more take longer.
    guidance
        How strongly prompt and guides pull, less where more pixels are known; as the model has it unless
        given. 1 is no more than the model has learnt, and takes half as long.
    seed
        The random seed, 0 unless given: the same seed and actions play the same.
    actions
        Play a script instead of keys: a word a frame of none, left, right, jump; `right*8 jump none*4`.
        Needs no terminal.
    from_
        Play what a job record holds again.
    out
        The file to write, replaced if it exists; see `kineo generate`.
    json
        Print one JSON object of what was saved.
    """
    given = {
        "prompt": prompt,
        "model": model_of(model) if model is not None else None,
        "images": (Keyframe(image),) if image is not None else None,
        "style": tuple(style) if style else None,
        "fit": fit,
        "size": size_of(size) if size is not None else None,
        "steps": steps,
        "guidance": guidance,
        "seed": seed,
        "actions": actions,
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    job = None if from_ is None else recorded_job(from_, bool(fields))
    request = job.request if job else Request(**fields)
    _check_watched(request, out)
    _play(request, job, out, json, marks)


def _check_watched(request: Request, out: Path | None) -> None:
    if request.actions is None and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RequestError("There is no terminal to play in: give --actions, such as 'right*8 jump none*4'.")
    if out is None and not sys.stderr.isatty():
        raise RequestError("There is no terminal that shows what is played: give --out.")


# Playing


@dataclass
class Played:
    """What was played and saved; `seconds` is how long it took."""

    path: str
    job: str
    seed: int
    actions: str | None
    frames: int
    width: int
    height: int
    fps: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.path}: {self.frames} frames {self.width}x{self.height} at {self.fps:g} fps"


@dataclass
class Taken:
    """Passes actions on, as many as a clip can hold, and keeps them."""

    actions: Iterable[str]
    names: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        for name in islice(self.actions, MAX_FRAMES - 1):
            self.names.append(name)
            yield name

    @property
    def spelled(self) -> str | None:
        """As a request has them: right*8 jump; None if there are none."""
        runs = ((name, len(list(run))) for name, run in groupby(self.names))
        return " ".join(name if count == 1 else f"{name}*{count}" for name, count in runs) or None


def _play(request: Request, recorded: Job | None, out: Path | None, json: bool, marks: Marks) -> None:
    from kineograph import generation
    from kineograph.cli.terminal import screen
    from kineograph.provenance import mark
    from kineograph.provenance.claim import job_of, sheet_claim

    start = time.perf_counter()
    marking, consent = marking_of(marks, recorded), recorded.consent if recorded else marks.consent
    model = catalog.load(request.model)
    canvas = generation.prepare_world(request, model)
    tell(canvas.notes, unheard(request), request.prompts)
    tell_changes(recorded, model)
    job = job_of(request, model.spec, recorded.salt if recorded else None, marking, consent)
    if out is not None:
        mark.check(out, model.spec.fps, marking)
    with ExitStack() as stack:
        taken = Taken(_actions(request, model.spec.fps, stack))
        chunks = generation.play_on(canvas, request, model, taken)
        if sys.stderr.isatty():
            line = HELP if request.actions is None else ""
            chunks = _shown(chunks, stack.enter_context(screen(sys.stderr, line, sheet_claim(model.spec))))
        if out is None:
            deque(chunks, maxlen=0)
            return
        saved = _save(chunks, taken, job, out, model.spec.fps)
        tell_sidecar(saved)
    made = Played(
        path=str(saved.path),
        job=str(job_path(out)),
        seed=request.seed,
        actions=taken.spelled,
        frames=saved.frames,
        width=saved.width,
        height=saved.height,
        fps=saved.fps,
        seconds=round(time.perf_counter() - start, 3),
    )
    say(str(made))
    if json:
        print_json(asdict(made))
    else:
        print(made.path, flush=True)


def _actions(request: Request, fps: float, stack: ExitStack) -> Iterable[str]:
    """The actions of the request, or those of the keys; at the model's pace where somebody watches."""
    from kineograph.cli import terminal

    if request.actions is not None:
        script = actions_of(request.actions)
        return terminal.paced(script, fps) if sys.stderr.isatty() else script
    keyboard = sys.stdin.fileno()
    stack.enter_context(terminal.unbuffered(keyboard))
    return terminal.actions_from(keyboard, fps)


def _shown(chunks: Iterator[Chunk], show: Callable[[Frames], None]) -> Iterator[Chunk]:
    for chunk in chunks:
        show(chunk.frames[-1])
        yield chunk


def _save(chunks: Iterable[Chunk], taken: Taken, job: Job, path: Path, fps: float) -> Saved:
    """Write the clip and, for its owner alone, its job with what was played: both or none."""
    from kineograph.media.atomic import explaining, replacing
    from kineograph.provenance import mark
    from kineograph.provenance.claim import claim_of, sources_of

    def recorded(part: Path) -> Iterator[Chunk]:
        yield from chunks
        request = replace(job.request, actions=taken.spelled, frames=1 + len(taken.names), seconds=None)
        with explaining(job_path(path)):
            part.chmod(0o600)
            part.write_text(replace(job, request=request).to_json(), encoding="utf-8")

    with replacing(job_path(path)) as part:
        return mark.save(recorded(part), claim_of(job), path, fps, job.marking, sources_of(job))
