"""`kineo train`: what it makes and says, how it is interrupted, and how it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn
from test_training_run import TINY

from kineograph import catalog
from kineograph.cli import main
from kineograph.cli.watch import Bars, Lines, Teller, clock
from kineograph.models.diffusion import load_networks
from kineograph.training import checkpoint, log
from kineograph.training.board import Board
from kineograph.training.events import Note, Prepared, Shown, Stepped
from kineograph.training.loop import TrainStep
from kineograph.training.presets import playground
from kineograph.training.recipes import keep, kept

KINEO = Path(sys.executable).with_name("kineo")
SETTINGS = [f"{name}={value}" for name, value in (TINY | {"text_stage.train.steps": "0"}).items()]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder to work in, and a catalog without models."""
    monkeypatch.setattr(catalog, "SHIPPED", tmp_path / "none")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def kineo(*arguments):
    return main([str(argument) for argument in arguments])


def wait_for(path, lines):
    deadline = time.monotonic() + 300
    while not path.exists() or path.read_text().count("\n") < lines:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ctrl_c_keeps_the_last_step_and_says_how_to_go_on(here, capsys):
    """The run goes on from its folder alone: the settings need not be given again."""
    arguments = ["train", "playground", "--set", *SETTINGS, "flow_stage.train.steps=1000000"]
    process = subprocess.Popen(  # noqa: S603
        [KINEO, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out = here / "runs" / "playground"
    wait_for(out / "flow" / log.LOG, 3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = (text.decode() for text in process.communicate(timeout=300))
    assert process.returncode == 130
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
    "unknown setting": ["playground", "--set", "clip=3"],
    "no number": ["playground", "--set", "clips=many"],
    "out of range": ["playground", "--set", "clips=0"],
    "networks that don't fit": ["playground", "--set", "denoiser.heads=3"],
    "no minutes": ["playground", "--minutes", "0"],
    "minutes that are no number": ["playground", "--minutes", "nan"],
    "missing data": ["footage", "--data", "none"],
    "no data": ["footage"],
    "empty data": ["footage", "--data", "empty"],
    "unreadable data": ["footage", "--data", "unreadable"],
    "unknown model": ["playground", "--init-from", "none"],
    "full folder": ["playground", "--out", "unreadable"],
    "file": ["playground", "--out", "unreadable/text.txt"],
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
        assert kineo("train", "footage", "--data", "clips") == 2
        assert "No clip in" in capsys.readouterr().err
    assert [path.name for path in (here / "runs" / "footage").iterdir()] == ["recipe.json"]


def test_nowhere_to_write(here, capsys):
    here.chmod(0o500)
    if os.access(here, os.W_OK):
        pytest.skip("this user may write anywhere")
    assert kineo("train", "playground") == 1
    assert capsys.readouterr().err.startswith("error: runs/playground can't be written, ")


def test_help_needs_no_torch():
    code = "import sys; from kineograph.cli import main; main(['train', '--help'])\n"
    code += "print(sorted({'torch', 'av', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert "--init-from" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


# What is said


def step(number, loss=1.0, elapsed=None, remaining=60.0):
    return TrainStep(
        number, loss, {"psnr": 20.0}, 1e-3, number * 0.5 if elapsed is None else elapsed, remaining, False
    )


def test_events_in_words():
    teller = Teller({"flow": 8})
    for number in range(100):
        news = teller.tell(Stepped("flow", step(number, loss=float(number))))
    assert news.text == "flow: step 100, loss 74.5000, 16.0 clips/s, 1:00 left"
    assert news.done == pytest.approx(49.5 / 109.5)
    assert teller.tell(Prepared("Reading clips", 3, None)).text == "Reading clips: 3"
    assert teller.tell(Prepared("Rendering clips", 3, 4)).done == 0.75
    assert teller.tell(Shown(Path("a.png"))).text == "wrote a.png"
    assert teller.tell(Note("a note")).text == "a note"


def test_lines_are_few():
    written = []
    teller, lines = Teller({"flow": 8, "text": 8}), Lines(written.append)
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
    teller = Teller({"text": 8, "flow": 8})
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
