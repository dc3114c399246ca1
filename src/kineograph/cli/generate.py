"""`kineo generate`: make clips."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from kineograph import __version__, catalog
from kineograph.cli.marks import UNSAID, Marks, marking_of, tell_sidecar
from kineograph.cli.output import (
    job_path,
    numbered,
    print_json,
    read_text,
    say,
    slug,
    unused,
    with_progress,
)
from kineograph.errors import RequestError
from kineograph.request import MAX_SEED, Keyframe, Request, Walk, Waypoint

if TYPE_CHECKING:
    from kineograph.canvas import Canvas
    from kineograph.models.family import Model, Step
    from kineograph.provenance.claim import Job
    from kineograph.provenance.mark import Saved
    from kineograph.text.vocabulary import PassedOver
    from kineograph.video import Chunk

MAX_COUNT = 9999


def generate(
    prompt: str | None = None,
    /,
    *,
    then: Annotated[list[str] | None, Parameter(negative=())] = None,
    to: str | None = None,
    to_seed: int | None = None,
    model: str | None = None,
    image: Annotated[list[str] | None, Parameter(negative=())] = None,
    video: str | None = None,
    mask: str | None = None,
    extend: float | None = None,
    interpolate: int | None = None,
    edit: float | None = None,
    remove: Annotated[bool, Parameter(negative=())] = False,
    insert: Annotated[bool, Parameter(negative=())] = False,
    outpaint: Annotated[bool, Parameter(negative=())] = False,
    style: Annotated[list[str] | None, Parameter(negative=())] = None,
    track: Annotated[list[str] | None, Parameter(negative=(), allow_leading_hyphen=True)] = None,
    box: Annotated[list[str] | None, Parameter(negative=(), allow_leading_hyphen=True)] = None,
    pose: str | None = None,
    depth: str | None = None,
    edges: str | None = None,
    camera: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    actions: str | None = None,
    fit: Literal["crop", "pad"] | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    fps: float | None = None,
    size: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int | None = None,
    count: int = 1,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    marks: Marks = UNSAID,
) -> None:
    """Make a clip from a prompt, pictures or footage.

    A private record NAME.job.json is written beside each clip, from which it can be made again.

    Examples:

        kineo generate "a small red ball bounces over sand at sunset"

        kineo generate "a star rises" --image first.png --image last.png -o star.mp4

        kineo generate "a red ball on sand" --to "a blue ball on snow" --count 5

        kineo generate "a red ball by day" --then "a red ball at night@2" --seconds 2

        kineo generate "a car drives left" --video past.mp4 --extend 2

        kineo generate --video slow.mp4 --interpolate 2

        kineo generate "a blue box" --video clip.mp4 --mask 0.25,0.25,0.5,0.5

        kineo generate "a blue ball on sand" --video red.mp4 --edit 1

        kineo generate --video day.mp4 --style neon.mp4

        kineo generate "nothing on grass by day" --video ball.mp4 --remove

        kineo generate "a red ball on grass" --track "0.2,0.7 0.5,0.4 0.8,0.7"

        kineo generate "a blue car on the road" --actions "right*8 none*2 left*6"

        kineo generate "a green meadow" --video tall.mp4 --outpaint

        kineo generate --from star.job.json

    Parameters
    ----------
    prompt
        What to show, in quotes.
    then
        What the clip comes to later, PROMPT@SECONDS; may be given several times. Between two prompts the
        clip is on the way from one to the other. Seconds count from the start of what is made and known.
    to
        Walk in --count clips from this clip to that of another prompt, and of --to-seed if that is given.
    to_seed
        Walk in --count clips from this clip to that of another seed.
    model
        A model's name or its folder; playground unless given.
    image
        A picture that the clip passes through, FILE or FILE@SECONDS; may be given several times.
        One without a time comes first; of two the second comes last.
    video
        Footage to extend, interpolate, fill in, change or widen.
    mask
        What to fill in: an image or video, white where to fill, or X,Y,W,H in fractions of the frame.
    extend
        Seconds to add after the footage; before it if negative.
    interpolate
        The footage's frames become every N-th frame of the result.
    edit
        Change the footage into what the prompt says, from 0.05 (a little) to 1 (all that must).
    remove
        Take the things out of the footage: all of them or, with a prompt, all that it doesn't name.
    insert
        Put into the footage what the prompt names.
    outpaint
        Keep all of the footage and make what is around it, in frames of another shape.
    style
        A clip or picture whose style is wanted; may be given several times, for a style between them. With
        a --video alone, the footage is brought to that style.
    track
        The path of a thing, as points "X,Y X,Y" in fractions of the frame, spread evenly over the clip. The
        first --track is of the first thing in the prompt, and so on; "free" lets one go its own way.
    box
        The same for the box of a thing, "X,Y,W,H X,Y,W,H".
    pose
        A JSON file with poses of a robot: a list of lists of 9 points [x, y].
    depth
        A video or picture of how near everything is, white where near.
    edges
        A video or picture of the outlines of things, white on black.
    camera
        The path of the camera, "SHIFT,ZOOM SHIFT,ZOOM": from "0,1" to "0.16,1" it pans, to "0,1.2" it zooms.
    actions
        What the thing does, a word a frame: none, left, right, jump; `right*8 jump none*4`.
    fit
        How other shapes are fitted: crop (the default) fills the frame and cuts the rest off, pad keeps all.
    frames
        The length in frames.
    seconds
        The length in seconds.
    fps
        Frames per second; the model's own unless given.
    size
        WIDTHxHEIGHT in pixels; the model's own unless given, which is its largest.
    steps
        Network evaluations; more take longer.
    guidance
        How strongly prompt and guides pull, less where more pixels are known; 1 is no more than the model has
        learnt, and takes half as long.
    seed
        The random seed, 0 unless given: the same seed makes the same clip.
    count
        How many clips to make, with one seed after another.
    from_
        Make the clip of a job record again.
    out
        The file to write, replaced if it exists: .mp4, .mov, .m4v, .webm, .mkv (lossless) or .gif; without a
        suffix a folder of images. NAME-0001 and so on if there are several clips. Named after prompt and
        seed unless given, and then nothing is replaced.
    json
        Print one JSON object for each clip.
    """
    given = {
        "prompt": prompt,
        "then": tuple(map(waypoint_of, then)) if then else None,
        "model": model_of(model) if model is not None else None,
        "images": tuple(map(keyframe_of, image)) if image else None,
        "video": video,
        "mask": mask,
        "extend": extend,
        "interpolate": interpolate,
        "edit": edit,
        "remove": remove or None,
        "insert": insert or None,
        "outpaint": outpaint or None,
        "style": tuple(style) if style else None,
        "tracks": tuple(track) if track else None,
        "boxes": tuple(box) if box else None,
        "pose": pose,
        "depth": depth,
        "edges": edges,
        "camera": camera,
        "actions": actions,
        "fit": fit,
        "frames": frames,
        "seconds": seconds,
        "fps": fps,
        "size": size_of(size) if size is not None else None,
        "steps": steps,
        "guidance": guidance,
        "seed": seed,
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    walks = to is not None or to_seed is not None
    if from_ is not None:
        job = recorded_job(from_, bool(fields) or walks or count != 1)
        _make([job.request], job, out, json, marks)
    elif walks:
        _make(_walk(Request(**fields), to, to_seed, count), None, out, json, marks)
    else:
        _make(_requests(fields, count), None, out, json, marks)


# Arguments


def model_of(text: str) -> str:
    """A name as it is; a folder so that it is found from anywhere, as a job is made again from anywhere."""
    return text if text in catalog.names() else str(catalog.folder_of(text).absolute())


def keyframe_of(text: str) -> Keyframe:
    """FILE or FILE@SECONDS; a file whose own name ends like that is taken as it is."""
    path, _, time = text.rpartition("@")
    if path and is_seconds(time) and not os.path.lexists(text):
        return Keyframe(path, float(time))
    return Keyframe(text)


def waypoint_of(text: str) -> Waypoint:
    """PROMPT@SECONDS."""
    prompt, _, time = text.rpartition("@")
    if not prompt.strip() or not is_seconds(time.strip()):
        raise RequestError(f"then must be PROMPT@SECONDS, such as 'a ball at night@2', not {text[:80]!r}.")
    return Waypoint(prompt.strip(), float(time))


def is_seconds(text: str) -> bool:
    """Whether it is a number; a long text is none, and takes hours to tell from one."""
    return len(text) < 40 and re.fullmatch(r"\d*\.?\d+|\d+\.", text) is not None


def size_of(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})[xX×](\d{1,9})", text.strip())
    if match is None:
        raise RequestError(f"size must be WIDTHxHEIGHT, such as 128x128, not {text[:40]!r}.")
    return int(match[1]), int(match[2])


def _requests(fields: dict[str, Any], count: int) -> list[Request]:
    if not 1 <= count <= MAX_COUNT:
        raise RequestError(f"count must be a whole number from 1 to {MAX_COUNT}, not {count}.")
    first = Request(**fields)
    if first.seed + count - 1 > MAX_SEED:
        raise RequestError("The seeds run past the highest; give a smaller seed or count.")
    return [replace(first, seed=first.seed + number) for number in range(count)]


def _walk(first: Request, to: str | None, to_seed: int | None, count: int) -> list[Request]:
    """Requests evenly on the way from one clip to another, both included."""
    if not 2 <= count <= MAX_COUNT:
        raise RequestError(f"A walk has two clips or more: give --count, from 2 to {MAX_COUNT}, not {count}.")
    prompt = first.prompt if to is None else to
    seed = first.seed if to_seed is None else to_seed
    return [replace(first, walk=Walk(prompt, seed, number / (count - 1))) for number in range(count)]


def recorded_job(path: Path, more: bool) -> Job:
    """The job of a record, to which nothing `more` may be given."""
    from kineograph.provenance.claim import Job

    if more:
        raise RequestError("--from makes the recorded clip again; leave all but --out and --json out.")
    job = Job.from_json(read_text(path))
    job.check_inputs()
    return job


# Making


@dataclass
class Made:
    """A clip that was made and what it cost; memory as `peak_memory` tells it."""

    path: str
    job: str
    seed: int
    frames: int
    width: int
    height: int
    fps: float
    seconds: float
    evaluations: int
    peak_memory: float
    notes: tuple[str, ...]
    unknown_words: list[str]
    unread_words: list[str]

    def __str__(self) -> str:
        shape = f"{self.frames} frames {self.width}x{self.height} at {self.fps:g} fps"
        cost = f"{self.seconds:.1f} s, {self.evaluations} evaluations, {self.peak_memory:.0f} MB at most"
        return f"{self.path}: {shape}; {cost}"


def _make(requests: list[Request], recorded: Job | None, out: Path | None, json: bool, marks: Marks) -> None:
    """Make the clips of requests that differ in seed and walk alone, or the one of `recorded` again."""
    from kineograph.generation import prepare
    from kineograph.guiding import guides_for
    from kineograph.provenance.claim import job_of

    first = requests[0]
    marking, consent = marking_of(marks, recorded), recorded.consent if recorded else marks.consent
    if out is None:
        paths = unused(Path(f"{slug(first.prompt)}-{first.seed}.mp4"), len(requests))
    else:
        paths = numbered(out, len(requests))
    model = catalog.load(first.model)
    canvas = prepare(first, model)
    words = unheard(first)
    tell(canvas.notes, words, first.prompts)
    tell_changes(recorded, model)
    for request, path in zip(requests, paths, strict=True):
        job = job_of(request, model.spec, recorded.salt if recorded else None, marking, consent)
        if request.walk:  # all else that guides is the same for all
            canvas = replace(canvas, guides=guides_for(request, canvas))
        made = _make_one(canvas, job, model, path, words)
        say(str(made))
        if json:
            print_json(asdict(made))
        else:
            print(made.path, flush=True)


def tell_changes(recorded: Job | None, model: Model) -> None:
    """Warn if a job was recorded with other code or weights."""
    if recorded and (recorded.version, recorded.weights_hash) != (__version__, model.spec.weights_hash):
        say("warning: the package or the model has changed since this job; the clip may differ")


def unheard(request: Request) -> PassedOver:
    from kineograph.text.vocabulary import passed_over

    about = catalog.describe(request.model)
    return passed_over(request.prompts, about.vocabulary, about.text_length)


def tell(notes: Iterable[str], words: PassedOver, prompts: Iterable[str]) -> None:
    from kineograph.text.vocabulary import split

    for note in notes:
        say(f"note: {note}")
    for prompt in prompts:
        if prompt.strip() and not split(prompt):
            say(f"warning: there is no word in the prompt {prompt!r}")
    if words.unknown:
        say(f"warning: not in this model's vocabulary: {', '.join(words.unknown)}")
    if words.unread:
        say(f"warning: too long for this model, which does not read the end: {' '.join(words.unread)}")


def _make_one(canvas: Canvas, job: Job, model: Model, path: Path, words: PassedOver) -> Made:
    """Fill the canvas as the job says, and save both."""
    from kineograph.evaluation.cost import peak_memory
    from kineograph.generation import fill
    from kineograph.provenance import mark

    start = time.perf_counter()
    mark.check(path, canvas.fps, job.marking)
    evaluations = Counter(fill(canvas, job.request, model))
    saved = _save(with_progress(evaluations, path.name), job, path, canvas.fps)
    tell_sidecar(saved)
    return Made(
        path=str(saved.path),
        job=str(job_path(path)),
        seed=job.request.seed,
        frames=saved.frames,
        width=saved.width,
        height=saved.height,
        fps=saved.fps,
        seconds=round(time.perf_counter() - start, 3),
        evaluations=evaluations.done,
        peak_memory=round(peak_memory(), 1),
        notes=canvas.notes,
        unknown_words=words.unknown,
        unread_words=words.unread,
    )


def _save(items: Iterable[Step | Chunk], job: Job, path: Path, fps: float) -> Saved:
    """Write the clip and, for its owner alone, its job: both or, if either can't be written, none."""
    from kineograph.media.atomic import explaining, replacing
    from kineograph.provenance import mark
    from kineograph.provenance.claim import claim_of, sources_of

    with replacing(job_path(path)) as part:
        with explaining(job_path(path)):
            part.chmod(0o600)
            part.write_text(job.to_json(), encoding="utf-8")
        return mark.save(items, claim_of(job), path, fps, job.marking, sources_of(job))


class Counter:
    """Passes items on and keeps the number of network evaluations that the last `Step` told."""

    def __init__(self, items: Iterable[Step | Chunk]) -> None:
        self.items = items
        self.done = 0

    def __iter__(self) -> Iterator[Step | Chunk]:
        for item in self.items:
            self.done = getattr(item, "done", self.done)
            yield item
