"""The command line as tests call it: in this process, or as a whole one."""

import subprocess
import sys
from pathlib import Path

from kineograph.cli import main

KINEO = Path(sys.executable).with_name("kineo")
HEAVY = {"torch", "av", "numpy"}


def kineo(*arguments):
    """The exit code."""
    return main([str(argument) for argument in arguments])


def refusal(capsys):
    """The one sentence of a refusal, without `error: `; nothing else was said or printed."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert err.endswith((".\n", "?\n"))
    return err.removeprefix("error: ").rstrip("\n")


def imported(*commands):
    """What commands print in a process of their own, and which heavy packages they imported there."""
    calls = "".join(f"main({list(command)!r})\n" for command in commands)
    code = f"import sys; from kineograph.cli import main\n{calls}print(*({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    printed, _, packages = done.stdout.removesuffix("\n").rpartition("\n")
    return printed, set(packages.split())
