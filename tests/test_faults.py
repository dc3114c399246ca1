"""When the machine fails: what was there stays, what is new is whole or not there, a sentence says why."""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hostile.watch import attempt, names
from killed import CONFIG, outcome, train, trainer
from plain_model import SPEC
from safetensors import SafetensorError
from torch import nn

from kineograph.errors import KineographError, OutputError
from kineograph.media.decode import read_video
from kineograph.models import weights
from kineograph.provenance import mark
from kineograph.provenance.claim import rendering_claim
from kineograph.training import checkpoint
from kineograph.video import Chunk

ROOT = Path(__file__).parent.parent
KINDS = ("a.mp4", "a.mkv", "a.webm", "a.gif", "a")
PAGE = 4096  # bytes, of which a small disk has a number
OLDER = b"an older file"


@contextmanager
def mounted(folder: Path, *how: str) -> Iterator[Path]:
    """A file system in `folder`, or a skip where none may be mounted."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *how, folder], capture_output=True) if os.geteuid() == 0 else None  # noqa: S603, S607
    if done is None or done.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S603, S607


@contextmanager
def small_disk(folder: Path, pages: int) -> Iterator[Path]:
    with mounted(folder, "-t", "tmpfs", "-o", f"size={pages * PAGE}", "tmpfs") as disk:
        yield disk


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """The folder as it is, which nobody may write to, not even root."""
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)  # noqa: S603, S607
        yield folder


def chunks(count: int = 3) -> Iterator[Chunk]:
    draw = np.random.default_rng(0)
    for start in range(count):
        yield Chunk(draw.integers(0, 256, (2, 48, 64, 3), np.uint8), 2 * start)


def save(path: Path) -> mark.Saved:
    return mark.save(chunks(), rendering_claim(3), path, 8.0)


# A full disk


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fills_at_any_moment_of_an_export(kind: str, tmp_path: Path) -> None:
    """Whatever there is room for: the older files stay, and what is not whole is not there."""
    whole = save(tmp_path / kind)
    files = [whole.path] if whole.path.is_file() else sorted(whole.path.iterdir())
    needed = sum(-(-file.stat().st_size // PAGE) for file in files)
    failures = 0
    for pages in sorted({3, *(int(share * needed) + 4 for share in (0.5, 1, 1.5, 2, 2.5))}):
        with small_disk(tmp_path / "disk", pages) as disk:
            (disk / "older.mp4").write_bytes(OLDER)
            before = names(disk)
            said = attempt(f"{kind} on {pages} pages", partial(save, disk / kind)).said
            if said:
                assert "full" in said
                assert names(disk) == before
                failures += 1
            elif (disk / kind).is_file():
                assert len(read_video(disk / kind)) == 6
            assert (disk / "older.mp4").read_bytes() == OLDER
    assert failures


def test_a_full_disk_keeps_the_older_file_of_that_name(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 5) as disk:
        (disk / "a.mp4").write_bytes(OLDER)
        with pytest.raises(OutputError, match="disk is full"):
            save(disk / "a.mp4")
        assert names(disk) == {"a.mp4"}
        assert (disk / "a.mp4").read_bytes() == OLDER


def test_a_full_disk_keeps_the_older_checkpoints(tmp_path: Path) -> None:
    """Room for not quite three checkpoints: the run ends at the third, and goes on from the second."""
    whole = tmp_path / "whole"
    train(whole, steps=2)
    one = sum(-(-file.stat().st_size // PAGE) for file in next(whole.glob("step-*")).iterdir())
    with small_disk(tmp_path / "disk", 3 * one - 1) as disk:
        run = disk / "run"
        with pytest.raises((KineographError, OSError, SafetensorError)):
            train(run, steps=8)
        found = checkpoint.newest(run)
        assert found is not None
        assert found.state["step"] in (2, 4)
        checkpoint.clear(run)
        again = trainer(run, replace(CONFIG, steps=8))
        assert again.resume()
        assert again.progress.step == found.state["step"]


def test_a_full_disk_keeps_the_older_weights(tmp_path: Path) -> None:
    module = nn.Linear(64, 64)
    with small_disk(tmp_path / "disk", 8) as disk:
        weights.save(disk / "model", SPEC, {}, {"weights": module})
        before = {path.name: path.read_bytes() for path in (disk / "model").iterdir()}
        with pytest.raises(OutputError, match="full"):
            weights.save(disk / "model", SPEC, {}, {"weights": nn.Linear(256, 256)})
        assert {path.name: path.read_bytes() for path in (disk / "model").iterdir()} == before


# A folder that may not be written to


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_folder_is_said_before_any_work(kind: str, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "older.mp4").write_bytes(OLDER)
    with read_only(tmp_path / "disk") as disk:
        for refused in (lambda: mark.check(disk / kind, 8.0), lambda: save(disk / kind)):
            with pytest.raises(OutputError, match=f"'{kind}.*' can't be written, the disk is read-only"):
                refused()
        assert names(disk) == {"older.mp4"}


# A process that is killed

EXPORT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_faults import chunks, mark, rendering_claim
from pathlib import Path
def until(last):
    for number, chunk in enumerate(chunks(5)):
        if number == last:
            os.kill(os.getpid(), signal.SIGKILL)
        yield chunk
mark.save(until(int(sys.argv[3])), rendering_claim(3), Path(sys.argv[2]), 8.0)
"""


@pytest.mark.parametrize("kind", ["a.mp4", "a"])
def test_a_kill_during_an_export_leaves_the_older_file(kind: str, tmp_path: Path) -> None:
    """What is half-written stays behind under a hidden name, which nothing reads."""
    older = save(tmp_path / "a.mp4").path.read_bytes()
    there = names(tmp_path)
    command = [sys.executable, "-c", EXPORT, str(Path(__file__).parent), str(tmp_path / kind), "2"]
    done = subprocess.run(command, capture_output=True)  # noqa: S603
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "a.mp4").read_bytes() == older
    visible = {name for name in names(tmp_path) if not name.startswith(".kineograph-")}
    assert visible == there
    assert len(list(tmp_path.glob(".kineograph-*"))) == 1
    save(tmp_path / kind)  # a leftover is in nobody's way


# A clock that goes backwards

# Dates that others read: when something was signed, and from when on a certificate holds.
DATED = {"src/kineograph/provenance/signing.py", "src/kineograph/provenance/identity.py"}
WALL_CLOCKS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}


def wall_clocks(source: str) -> list[str]:
    """Where a source text asks for the time of day."""
    tree = ast.parse(source)
    asked = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    imported = [
        f"time.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
    ]
    return [name for name in (*asked, *imported) if ".".join(name.split(".")[-2:]) in WALL_CLOCKS]


def test_only_dates_that_others_read_are_of_the_clock_on_the_wall() -> None:
    """All else is measured by clocks that never go back, so setting the clock disturbs nothing."""
    asking = {
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if wall_clocks(path.read_text(encoding="utf-8"))
    }
    assert asking <= DATED


@pytest.mark.parametrize(
    "source", ["import time\ntime.time()", "from time import time", "datetime.datetime.now()"]
)
def test_the_check_of_clocks_bites(source: str) -> None:
    assert wall_clocks(source)
    assert not wall_clocks("import time\ntime.monotonic()\ntime.perf_counter()")


def test_a_run_whose_clock_jumps_makes_the_same_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock on the wall goes back by a day at every look."""
    train(tmp_path / "one", steps=6)
    times = iter(range(10**9, 0, -86_400))
    monkeypatch.setattr("time.time", lambda: float(next(times)))
    train(tmp_path / "other", steps=6)
    assert outcome(tmp_path / "one") == outcome(tmp_path / "other")
