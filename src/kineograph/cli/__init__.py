"""The command line: parse, call, print. One file for each command; what is heavy is imported when called."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from cyclopts import App, CycloptsError, Parameter, Token, UnusedCliTokensError, convert

from kineograph import __version__
from kineograph.cli import models, worlds
from kineograph.cli.audit import audit
from kineograph.cli.batch import batch
from kineograph.cli.compare import compare
from kineograph.cli.evaluate import evaluate
from kineograph.cli.generate import generate
from kineograph.cli.output import say
from kineograph.cli.play import play
from kineograph.cli.train import Terminated, train
from kineograph.cli.verify import verify
from kineograph.errors import KineographError

INTERRUPTED, TERMINATED = 130, 143


def _exactly(hint: Any, tokens: Sequence[Token]) -> Any:
    """Convert as usual, but refuse 2.5 for a whole number, which would be rounded."""
    if hint is int and "." in tokens[0].value:
        raise ValueError(f'"{tokens[0].value}" is not a whole number.')
    return convert(hint, tokens)


app = App(
    name="kineo",
    help="Make videos with learned models, on a laptop and in the open.",
    version=__version__,
    result_action="return_value",
    default_parameter=Parameter(converter=_exactly),
    suppress_keyboard_interrupt=False,
)
app.command(generate)
app.command(play)
app.command(batch)
app.command(verify)
app.command(evaluate)
app.command(audit)
app.command(train)
app.command(compare)
app.command(models.app, name="models")
app.command(worlds.app, name="worlds")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: its own, such as 0, else 1 (can't), 2 (the request is wrong),
    130 (interrupted) or 143 (terminated)."""
    _open_streams()
    warnings.showwarning = _warn
    try:
        with _terminable():
            return app(arguments, exit_on_error=False, print_error=False) or 0
    except UnusedCliTokensError as error:
        words = " ".join(error.unused_tokens or ())
        return _fail(f"Too many words: {words}; put in quotes what belongs together.", 2)
    except CycloptsError as error:
        return _fail(str(error), 2)
    except KineographError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt as interrupt:
        code = TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED
        return _fail("interrupted; nothing was left half-written.", code)
    except BrokenPipeError:  # whoever read our output has enough
        sys.stdout = None
    except OSError as error:  # a full disk behind stdout, or what no command foresaw
        sys.stdout = None
        return _fail(
            f"{error.filename or 'The output'} can't be written or read: {error.strerror or error}.", 1
        )
    return 0


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Whatever any library warns of, in one line."""
    say(f"warning: {' '.join(str(message).splitlines())}")


def _open_streams() -> None:
    """Make it safe to print: whatever names of files hold, and also where stderr was closed."""
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM and a closed terminal end a command as Ctrl-C does, so that nothing is left half-written."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # it may come twice, to a process and to its group
        raise Terminated

    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _fail(sentence: str, code: int) -> int:
    say(f"error: {' '.join(sentence.splitlines())}")
    return code
