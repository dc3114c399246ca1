"""`kineo train`: make a model."""

from __future__ import annotations

import math
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from kineograph import catalog
from kineograph.cli.output import print_json, say
from kineograph.errors import OutputError, RequestError
from kineograph.heap import keep_freed

if TYPE_CHECKING:
    from kineograph.training.board import Board
    from kineograph.training.events import Finished
    from kineograph.training.recipe import Recipe
    from kineograph.training.run import Run

SAME = 1.0  # seconds within which two signals are one: `timeout` sends its own to a process and to its group


def train(
    preset: str,
    /,
    *,
    data: str | None = None,
    allow_unlicensed: Annotated[bool, Parameter(negative=())] = False,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=(), consume_multiple=1)] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    init_from: str | None = None,
    minutes: float | None = None,
    tensorboard: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Train a model: the shipped one from nothing, or one on your own clips.

    What is learnt is kept every few minutes, and at Ctrl-C or SIGTERM. --resume goes on from there.

    Examples:

        kineo train playground

        kineo train footage --data clips --minutes 20

        kineo train playground --resume --set flow_stage.train.optim.rate=0.001

    Parameters
    ----------
    preset
        playground, playground-gpu, footage for your own clips, or a small model of another family: gan, vae,
        convlstm, convgru, lstm, gru, mingru, predrnn, transformer, raster, unet, diffusion-small. For a large
        GPU: gan-gpu, vae-gpu, convlstm-gpu, transformer-gpu, diffusion-small-gpu.
    data
        "world" for rendered clips, or a folder of your own. A clip's caption is what NAME.txt beside it says,
        else the words of its name. Its licence, and the consent of those shown, are what sources.json there
        says.
    allow_unlicensed
        Learn from clips of which sources.json says nothing too; the model's card tells of it.
    set_
        Change single settings of the preset: KEY=VALUE, several if you like.
    out
        The folder for everything; runs/PRESET unless given.
    resume
        Go on with the run in the folder, as it was begun but for what is said here.
    init_from
        The name or folder of a model to start from.
    minutes
        How long to train in all, shared out over the stages as the preset does. Making the clips ready comes
        on top; for less time than the preset's, fewer are made.
    tensorboard
        Write the figures for TensorBoard too.
    json
        Print one JSON object at the end.
    """
    keep_freed()
    from kineograph.training import recipes
    from kineograph.training.board import Board
    from kineograph.training.runs import run_of

    start = time.monotonic()
    given = recipes.named(preset)
    out = Path("runs") / preset if out is None else out
    with explaining_disk(out):
        _check_out(out, resume)
        begun = recipes.kept(out) if resume else None
    recipe = _changed(begun or given, begun is None, data, init_from, minutes, set_ or [])
    recipe = replace(recipe, preset=given.preset)
    if allow_unlicensed:
        recipe = replace(recipe, allow_unlicensed=True)
    recipes.check_resumable(recipe, begun or recipe)
    run = run_of(recipe, out)
    board = Board(out / "tensorboard") if tensorboard else None
    again = f"kineo train {preset} --resume --out {shlex.quote(str(out))}"
    with explaining_disk(out):
        finished = _follow(run, board, again)
    _report(finished, out, time.monotonic() - start, json)


# Arguments


def _check_out(out: Path, resume: bool) -> None:
    from kineograph.training.recipes import RECIPE

    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file: give a folder.")
    held = {path.name for path in out.iterdir() if not path.name.startswith(".")} if out.exists() else set()
    if held - {RECIPE} and RECIPE not in held:
        raise RequestError(f"{out} holds something else than a training: give another --out.")
    if held - {RECIPE} and not resume:
        raise RequestError(f"{out} is not empty: add --resume to go on with it, or give another --out.")


def _changed(
    recipe: Recipe, new: bool, data: str | None, init: str | None, minutes: float | None, settings: list[str]
) -> Recipe:
    """The recipe with what the options say. The networks of the model to start from are taken over once."""
    from kineograph.config import override
    from kineograph.training import recipes
    from kineograph.training.recipe import WORLD, with_minutes

    if data is not None:
        recipe = replace(recipe, data=data if data == WORLD else str(Path(data).absolute()))
    if init is not None:
        folder = catalog.folder_of(init)
        recipe = replace(recipe, init=init if init in catalog.names() else str(folder.absolute()))
    if new and recipe.init:
        recipe = recipe.starting_from(recipes.init_of(recipe, recipe.init).networks.config)
    if minutes is not None:
        timed = with_minutes(recipe, minutes)
        recipe = timed if new else replace(timed, clips=recipe.clips, latents=recipe.latents)
    return override(recipe, dict(map(_setting, settings)))


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise RequestError(f"--set takes KEY=VALUE, such as flow_stage.batch=32, not {text}.")
    return name, value


# The run


class Terminated(KeyboardInterrupt):
    """SIGTERM or a closed terminal, which are taken as Ctrl-C is."""


_INTERRUPTIONS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated, signal.SIGHUP: Terminated}


class Interrupt:
    """Ctrl-C and its like wait, while it trains, for the end of the step, so that it can be kept; elsewhere,
    or if they come again, they end it at once."""

    def __init__(self) -> None:
        self.asked: KeyboardInterrupt | None = None
        self.since = -math.inf
        self.training = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now, waits = time.monotonic(), self.training and self.asked is None
        if now - self.since < SAME:
            return
        self.asked, self.since = _INTERRUPTIONS[signal.Signals(number)](), now
        if not waits:
            raise self.asked

    def check(self, event: object) -> None:
        from kineograph.training.events import Shown, Stepped

        self.training = isinstance(event, Stepped | Shown)
        if self.asked is not None:
            raise self.asked


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    interrupt = Interrupt()
    heeded = [number for number in _INTERRUPTIONS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(run: Run[Any], board: Board | None, again: str) -> Finished:
    """Go through the events of the run and show them; `again` is the command that resumes it."""
    from kineograph.cli.watch import Teller, shown
    from kineograph.training.events import Finished

    teller = Teller()
    try:
        with interruptible() as interrupt, shown() as show, closing(run.events()) as events:
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
def explaining_disk(out: Path) -> Iterator[None]:
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
