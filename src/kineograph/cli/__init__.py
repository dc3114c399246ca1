"""The command line: parse, call, print. One file for each command; what is heavy is imported when called."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, UnusedCliTokensError

from kineograph import __version__
from kineograph.cli import models, worlds
from kineograph.cli.evaluate import evaluate
from kineograph.cli.generate import generate
from kineograph.cli.train import train
from kineograph.errors import KineographError

INTERRUPTED = 130

app = App(
    name="kineo",
    help="Make videos with learned models, on a laptop and in the open.",
    version=__version__,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(generate)
app.command(evaluate)
app.command(train)
app.command(models.app, name="models")
app.command(worlds.app, name="worlds")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (can't), 2 (the request is wrong), 130 (interrupted)."""
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except UnusedCliTokensError as error:
        words = " ".join(error.unused_tokens or ())
        return _fail(f"Too many words: {words}; put the prompt in quotes.", 2)
    except CycloptsError as error:
        return _fail(str(error), 2)
    except KineographError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was left half-written.", INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has enough
        sys.stdout = None
    return 0


def _fail(sentence: str, code: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return code
