"""One process at a time in a folder, and no trace of one that was killed."""

import subprocess
import sys

import pytest

from kineograph.errors import RequestError
from kineograph.lock import LOCK, locked

HOLD = """
import sys, time
from pathlib import Path
from kineograph.lock import locked
with locked(Path(sys.argv[1]), "test"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_held_by_one_and_then_free(tmp_path):
    out = tmp_path / "new" / "run"
    for _ in range(2):
        with locked(out, "test"):
            for _ in range(2):
                with (
                    pytest.raises(RequestError, match=r"at work in .*run: wait .*--out\.$"),
                    locked(out, "test"),
                ):
                    pytest.fail("it was held twice")
            with locked(tmp_path / "other", "test"):
                pass
    assert [path.name for path in out.iterdir()] == [LOCK]


def test_a_failure_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path, "test"):
        _ = 1 / 0
    with locked(tmp_path, "test"):
        pass


def test_a_kill_frees_the_folder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RequestError, match="at work"), locked(tmp_path, "test"):
            pytest.fail("it was held twice")
        process.kill()
        process.wait()
    with locked(tmp_path, "test"):
        pass
