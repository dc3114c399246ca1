"""`kineo train`: make a model."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kineograph import catalog
from kineograph.cli.output import print_json, say
from kineograph.errors import OutputError, RequestError

if TYPE_CHECKING:
    from kineograph.training.board import Board
    from kineograph.training.events import Event, Finished
    from kineograph.training.presets import Recipe
    from kineograph.training.run import Run


def train(
    preset: str,
    /,
    *,
    data: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=(), consume_multiple=True)] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    init_from: str | None = None,
    minutes: float | None = None,
    tensorboard: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Train a model: the shipped one from nothing, or one on your own clips.

    What is learnt is kept every few minutes. After a crash or Ctrl-C, --resume goes on from there.

    Examples:

        kineo train playground

        kineo train footage --data clips --minutes 20

        kineo train playground --resume --set flow_stage.train.optim.rate=0.001

    Parameters
    ----------
    preset
        playground, playground-gpu, or footage for your own clips.
    data
        "world" for rendered clips, or a folder of your own. A clip's caption is what NAME.txt beside it says,
        else the words of its name.
    set_
        Change single settings of the preset: KEY=VALUE, several if you like.
    out
        The folder for everything; runs/PRESET unless given.
    resume
        Go on with the run in the folder, as it was begun but for what is said here.
    init_from
        The name or folder of a model to start from.
    minutes
        How long to train in all, apart from making the clips ready.
    tensorboard
        Write the figures for TensorBoard too.
    json
        Print one JSON object at the end.
    """
    from kineograph.training import recipes
    from kineograph.training.board import Board
    from kineograph.training.run import Run

    start = time.monotonic()
    given = recipes.named(preset)
    out = Path("runs") / preset if out is None else out
    _check_out(out, resume)
    begun = recipes.kept(out) if resume else None
    recipe = _changed(begun or given, begun is None, data, init_from, minutes, set_ or [])
    recipes.check_resumable(replace(recipe, name=given.name), begun or recipe)
    run = Run(recipe, out)
    board = Board(out / "tensorboard") if tensorboard else None
    again = f"kineo train {preset} --resume --out {shlex.quote(str(out))}"
    with _explaining(out):
        finished = _follow(run, board, again)
    _report(finished, out, time.monotonic() - start, json)


# Arguments


def _check_out(out: Path, resume: bool) -> None:
    from kineograph.training.recipes import RECIPE

    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file: give a folder.")
    held = [path.name for path in out.iterdir()] if out.exists() else []
    if not resume and any(name != RECIPE for name in held):
        raise RequestError(f"{out} is not empty: add --resume to go on with it, or give another --out.")


def _changed(
    recipe: Recipe, new: bool, data: str | None, init: str | None, minutes: float | None, settings: list[str]
) -> Recipe:
    """The recipe with what the options say. The networks of the model to start from are taken over once."""
    from kineograph.config import override
    from kineograph.training import recipes
    from kineograph.training.presets import WORLD, with_minutes

    if data is not None:
        recipe = replace(recipe, data=data if data == WORLD else str(Path(data).absolute()))
    if init is not None:
        shipped = init in catalog.names() or not Path(init).is_dir()
        recipe = replace(recipe, init=init if shipped else str(Path(init).absolute()))
    if new and recipe.init:
        recipe = recipes.starting_from(recipe, recipes.networks_of(recipe.init).config)
    if minutes is not None:
        recipe = with_minutes(recipe, minutes)
    return override(recipe, dict(map(_setting, settings)))


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise RequestError(f"--set takes KEY=VALUE, such as flow_stage.batch=32, not {text}.")
    return name, value


# The run


class _Interrupt:
    """Ctrl-C while it trains waits for the end of the step, so that it can be kept; elsewhere, or if it is
    pressed again, it ends at once."""

    def __init__(self) -> None:
        self.asked = False
        self.training = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.asked or not self.training:
            raise KeyboardInterrupt
        self.asked = True

    def check(self, event: Event) -> None:
        from kineograph.training.events import Shown, Stepped

        self.training = isinstance(event, Stepped | Shown)
        if self.asked:
            raise KeyboardInterrupt


@contextmanager
def _interruptible() -> Iterator[_Interrupt]:
    interrupt = _Interrupt()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


def _follow(run: Run, board: Board | None, again: str) -> Finished:
    """Go through the events of the run and show them; `again` is the command that resumes it."""
    from kineograph.cli.watch import Teller, shown
    from kineograph.training.events import Finished

    teller = Teller({name: stage.batch for name, stage in run.recipe.stages.items()})
    try:
        with _interruptible() as interrupt, shown() as show, closing(run.events()) as events:
            for event in events:
                if isinstance(event, Finished):
                    return event
                show(teller.tell(event))
                if board is not None:
                    board.show(event)
                interrupt.check(event)
    except KeyboardInterrupt:
        say(f"Stopped; to go on: {again}")
        raise
    finally:
        if board is not None:
            board.close()
    raise AssertionError("unreachable: a run ends with Finished")


@contextmanager
def _explaining(out: Path) -> Iterator[None]:
    """A full disk, or one that can't be written to, in one sentence."""
    from safetensors import SafetensorError

    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{out} can't be written, {reason}: mend that and add --resume.") from error


def _report(finished: Finished, out: Path, seconds: float, json: bool) -> None:
    from kineograph.training import log

    say(f"Try it: kineo generate {shlex.quote(finished.prompt)} --model {shlex.quote(str(finished.folder))}")
    if not json:
        print(finished.folder, flush=True)
        return
    logs = {path.parent.name: log.read(path.parent) for path in sorted(out.glob(f"*/{log.LOG}"))}
    stages = {name: {"steps": len(lines), "loss": _late_loss(lines)} for name, lines in logs.items() if lines}
    print_json({"model": str(finished.folder), "seconds": round(seconds, 1), "stages": stages})


def _late_loss(lines: list[dict[str, float]]) -> float:
    """The mean loss of the last steps."""
    late = [line["loss"] for line in lines[-50:]]
    return sum(late) / len(late)
