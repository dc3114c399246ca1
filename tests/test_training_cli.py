"""`kineo train`: what it makes and says, how it is interrupted, and how it refuses."""

import json
import os
import signal
import subprocess
import time
from io import StringIO
from pathlib import Path

import pytest
from command import KINEO, imported, kineo
from rich.console import Console
from rich.progress import Progress, TextColumn
from test_training_run import TINY

from kineograph import catalog
from kineograph.cli.watch import Bars, Lines, Teller, clock
from kineograph.lock import LOCK, locked
from kineograph.models.diffusion import load_networks
from kineograph.training import checkpoint, log
from kineograph.training.board import Board
from kineograph.training.events import Note, Prepared, Shown, Stepped
from kineograph.training.loop import TrainStep
from kineograph.training.presets import playground
from kineograph.training.recipes import keep, kept

SETTINGS = [f"{name}={value}" for name, value in (TINY | {"text_stage.train.steps": "0"}).items()]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder to work in, and a catalog without models."""
    monkeypatch.setattr(catalog, "SHIPPED", tmp_path / "none")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def wait_for(path, lines):
    deadline = time.monotonic() + 300
    while not path.exists() or path.read_text().count("\n") < lines:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_keeps_the_last_step_and_says_how_to_go_on(here, capsys, number, code):
    """Even if it comes twice, as that of `timeout` does. The run goes on from its folder alone: the settings
    need not be given again."""
    arguments = ["train", "playground", "--set", *SETTINGS, "flow_stage.train.steps=1000000"]
    process = subprocess.Popen(  # noqa: S603
        [KINEO, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out = here / "runs" / "playground"
    wait_for(out / "flow" / log.LOG, 3)
    for _ in range(2):
        process.send_signal(number)
    stdout, stderr = (text.decode() for text in process.communicate(timeout=300))
    assert process.returncode == code
    assert stdout == ""
    assert "Stopped; to go on: kineo train playground --resume --out runs/playground\n" in stderr
    assert stderr.endswith("error: interrupted; nothing was left half-written.\n")
    assert "Rendering clips: 6 of 6\n" in stderr
    made = len(log.read(out / "flow"))
    assert checkpoint.newest(out / "flow").state["step"] == made >= 3

    steps = f"flow_stage.train.steps={made + 2}"
    assert kineo("train", "playground", "--resume", "--set", steps, "--json") == 0
    result, said = capsys.readouterr()
    result = json.loads(result)
    assert result["model"] == "runs/playground/model"
    assert result["stages"]["flow"]["steps"] == made + 2
    assert set(result["stages"]) == {"tokenizer", "flow", "decoder"}
    assert f"Resuming flow at step {made}\n" in said
    assert said.splitlines()[-1].endswith(" --model runs/playground/model")
    assert load_networks(out / "model")[0].config.denoiser == kept(out).denoiser
    assert kineo("train", "playground", "--resume") == 0
    assert capsys.readouterr().out == "runs/playground/model\n"


# Refusing: one sentence on stderr, the exit code, and nothing left behind

REFUSED = {
    "no preset": [],
    "unknown preset": ["playgroud"],
    "no pair": ["playground", "--set", "clips"],
    "nothing set": ["playground", "--set"],
    "unknown setting": ["playground", "--set", "clip=3"],
    "no number": ["playground", "--set", "clips=many"],
    "out of range": ["playground", "--set", "clips=0"],
    "networks that don't fit": ["playground", "--set", "denoiser.heads=3"],
    "no minutes": ["playground", "--minutes", "0"],
    "minutes that are no number": ["playground", "--minutes", "nan"],
    "missing data": ["footage", "--data", "none"],
    "no data": ["footage"],
    "empty data": ["footage", "--data", "empty"],
    "unreadable data": ["footage", "--data", "unreadable", "--allow-unlicensed"],
    "unlicensed data": ["footage", "--data", "unreadable"],
    "unknown model": ["playground", "--init-from", "none"],
    "full folder": ["playground", "--out", "unreadable"],
    "file": ["playground", "--out", "unreadable/text.txt"],
    "nothing to go on with": ["playground", "--resume", "--out", "unreadable"],
    "another preset": ["footage", "--resume", "--out", "begun"],
    "other clips": ["playground", "--resume", "--out", "begun", "--set", "clips=3"],
    "other data": ["playground", "--resume", "--out", "begun", "--data", "empty"],
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED.keys())
def test_refused(arguments, here, capsys):
    for folder in ("empty", "unreadable"):
        (here / folder).mkdir()
    (here / "unreadable" / "text.txt").write_text("hello\n")
    (here / "unreadable" / "clip.mkv").write_text("hello\n")
    (here / "begun").mkdir()
    keep(playground(), here / "begun")
    before = sorted(here.rglob("*"))
    assert kineo("train", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")
    assert err.endswith((".\n", "?\n"))
    if arguments != REFUSED["unreadable data"]:
        assert err.count("\n") == 1
        assert sorted(here.rglob("*")) == before


def test_unreadable_clips_can_be_mended_and_tried_again(here, capsys):
    """Nothing but the recipe was written, so that the folder does not count as begun."""
    (here / "clips").mkdir()
    (here / "clips" / "a.mkv").write_text("hello\n")
    for _ in range(2):
        assert kineo("train", "footage", "--data", "clips", "--allow-unlicensed") == 2
        assert "No clip in" in capsys.readouterr().err
    assert {path.name for path in (here / "runs" / "footage").iterdir()} == {"recipe.json", LOCK}


def test_two_trainings_in_one_folder(here, capsys):
    out = here / "runs" / "playground"
    with locked(out, "training"):
        assert kineo("train", "playground", "--resume", "--set", *SETTINGS) == 2
    assert capsys.readouterr().err.startswith("error: Another training is at work in runs/playground: ")
    assert [path.name for path in out.iterdir()] == [LOCK]


def test_minutes_of_a_run_that_was_begun_leave_its_clips_as_they_are(here):
    """In a new run there are fewer in less time."""
    shared = ("clips=", "latents=", "text_stage.train.minutes=")
    tiny = [setting for setting in SETTINGS if not setting.startswith(shared)]
    resting = [f"{name}_stage.train.steps=0" for name in playground().stages]
    assert kineo("train", "playground", "--minutes", "0.05", "--set", *tiny, *resting) == 0
    begun = kept(here / "runs" / "playground")
    assert (begun.clips, begun.latents) == (3, 17)
    assert kineo("train", "playground", "--minutes", "0.1", "--resume") == 0
    resumed = kept(here / "runs" / "playground")
    assert (resumed.clips, resumed.latents) == (3, 17)
    assert resumed.flow_stage.train.minutes == pytest.approx(2 * begun.flow_stage.train.minutes)


LONG = "a" * 300  # too long a name for a file


@pytest.mark.parametrize(
    "arguments",
    [
        ["playground", "--out", LONG],
        ["footage", "--data", LONG],
        ["playground", "--init-from", LONG],
    ],
)
def test_names_that_no_file_may_have(arguments, here, capsys):
    assert kineo("train", *arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert list(here.iterdir()) == []


def test_nowhere_to_write(here, capsys):
    here.chmod(0o500)
    if os.access(here, os.W_OK):
        pytest.skip("this user may write anywhere")
    assert kineo("train", "playground") == 2
    assert capsys.readouterr().err.startswith("error: runs/playground can't be written, ")


def test_help_needs_no_torch():
    printed, packages = imported(["train", "--help"])
    assert "--init-from" in printed
    assert packages == set()


# What is said


def step(number, loss=1.0, elapsed=None, remaining=60.0):
    return TrainStep(
        number, loss, {"psnr": 20.0}, 1e-3, number * 0.5 if elapsed is None else elapsed, remaining, False
    )


def test_events_in_words():
    teller = Teller()
    for number in range(100):
        news = teller.tell(Stepped("flow", step(number, loss=float(number))))
    assert news.text == "flow: step 100, loss 74.5000, 2.00 steps/s, 1:00 left"
    assert news.done == pytest.approx(49.5 / 109.5)
    assert teller.tell(Prepared("Reading clips", 3, None)).text == "Reading clips: 3"
    assert teller.tell(Prepared("Rendering clips", 3, 4)).done == 0.75
    assert teller.tell(Shown(Path("a.png"))).text == "wrote a.png"
    assert teller.tell(Note("a note")).text == "a note"


def test_lines_are_few():
    written = []
    teller, lines = Teller(), Lines(written.append)
    events = [Prepared("Rendering clips", n, 4) for n in range(5)] + [Note("a note")]
    events += [Stepped(stage, step(n)) for stage in ("text", "flow") for n in range(50)]
    for event in events:
        lines.show(teller.tell(event))
    assert [line.split(",")[0] for line in written] == [
        "Rendering clips: 0 of 4",
        "Rendering clips: 4 of 4",
        "a note",
        "text: step 1",
        "flow: step 1",
    ]


def test_a_bar_for_each_stage():
    text = StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    teller = Teller()
    with Progress(TextColumn("{task.description}", markup=False), console=console) as progress:
        bars = Bars(progress)
        for event in (Stepped("text", step(3)), Note("[a note]"), Stepped("flow", step(4))):
            bars.show(teller.tell(event))
    shown = text.getvalue()
    assert "[a note]" in shown
    assert "text: step 4, loss 1.0000" in shown
    assert "flow: step 5, loss 1.0000" in shown


def test_clock():
    assert [clock(seconds) for seconds in (-1, 0, 62, 3723)] == ["0:00", "0:00", "1:02", "1:02:03"]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    board = Board(tmp_path / "board")
    for event in (Note("a note"), Stepped("flow", step(0)), Stepped("flow", step(1))):
        board.show(event)
    board.close()
    assert len(list((tmp_path / "board" / "flow").glob("events.*"))) == 1
