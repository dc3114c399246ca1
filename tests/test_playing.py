"""Worlds that are played: frame by frame, the past alone decides, and the terminal is as it was."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from kineograph import catalog
from kineograph.canvas import continue_canvas
from kineograph.cli import terminal
from kineograph.controls import actions_of
from kineograph.errors import AbilityError, RequestError
from kineograph.generation import FEW_STEPS, play
from kineograph.media.decode import reading
from kineograph.models.playing import World
from kineograph.request import Keyframe, Request, Waypoint
from kineograph.sampling.noise import Noise
from kineograph.sampling.settings import Sampling
from kineograph.video import Video
from tests.command import KINEO, kineo, refusal
from tests.plain_model import PlainModel
from tests.tiny_models import SIDE, save_shaken

PROMPT = "a red ball"
SCRIPT = "right*5 jump left*3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_shaken(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return catalog.load(str(folder))


def frames(model, script, /, **fields):
    chunks = list(play(Request(PROMPT, **fields), model, actions_of(script)))
    assert [chunk.start for chunk in chunks] == list(range(len(chunks)))
    return np.concatenate([chunk.frames for chunk in chunks])


# The world


def test_every_action_leads_to_one_frame_at_once(model):
    taken = []

    def acting():
        for number in range(20):  # longer than a window
            taken.append(number)
            yield "right"

    for number, chunk in enumerate(play(Request(PROMPT), model, acting())):
        assert chunk.frames.shape == (1, SIDE, SIDE, 3)
        assert len(taken) == number
    assert number == 20


def test_the_same_seed_and_actions_play_the_same(model):
    played = frames(model, SCRIPT)
    assert np.array_equal(played, frames(model, SCRIPT))
    assert np.array_equal(played, frames(model, SCRIPT, frames=3, actions="jump"))  # neither counts
    assert not np.array_equal(played, frames(model, SCRIPT, seed=1))


def test_a_request_holds_its_own_actions(model):
    chunks = play(Request(PROMPT, actions=SCRIPT), model)
    assert np.array_equal(np.concatenate([chunk.frames for chunk in chunks]), frames(model, SCRIPT))


@pytest.mark.parametrize("shared", [1, 4, 6, 13])
def test_frames_depend_on_no_later_action(model, shared):
    first, second = (frames(model, f"right*{shared} {rest}*4") for rest in ("left", "jump"))
    assert np.array_equal(first[: shared + 1], second[: shared + 1])
    assert not np.array_equal(first[shared + 1], second[shared + 1])


def picture_in(folder):
    picture, path = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8), folder / "first.png"
    Image.fromarray(picture).save(path)
    return picture, path


def test_what_follows_is_made_in_two_steps_with_the_guidance_of_the_model(model, tmp_path):
    _, path = picture_in(tmp_path)
    begun = {"images": (Keyframe(str(path)),), "size": (24, 16)}
    plain = frames(model, SCRIPT, **begun)
    own = model.spec.sampling.guidance
    assert np.array_equal(plain, frames(model, SCRIPT, steps=FEW_STEPS, guidance=own, **begun))
    assert not np.array_equal(plain, frames(model, SCRIPT, guidance=1.0, **begun))
    assert not np.array_equal(plain, frames(model, SCRIPT, steps=4, **begun))


def test_a_smaller_world_begins_with_its_picture(model, tmp_path):
    picture, path = picture_in(tmp_path)
    played = frames(model, "left*6", images=(Keyframe(str(path)),), size=(24, 16))
    assert played.shape == (7, 16, 24, 3)
    assert np.array_equal(played[0], picture)


def test_what_is_kept_does_not_grow(model):
    footage = Video(np.full((30, SIDE, SIDE, 3), 90, np.uint8), 8.0)
    world = World(model, continue_canvas(PROMPT, footage, 1), Noise(0), Sampling(1, 1.0))

    def kept():
        world.next("right")
        world.rest()
        tensors = [value for value in vars(world).values() if isinstance(value, torch.Tensor)]
        return sum(t.numel() for t in (*tensors, *world.memory)) + len(world.told)

    sizes = [kept() for _ in range(24)]
    assert sizes[:4] * 6 == sizes


def test_what_can_not_be_played_is_refused_at_the_call(model):
    with pytest.raises(RequestError, match="give actions"):
        play(Request(PROMPT), model)
    with pytest.raises(RequestError, match="leave out travel"):
        play(Request(PROMPT, then=(Waypoint("a blue ball", 1.0),)), model, ())
    with pytest.raises(RequestError, match="leave out keyframes"):
        play(Request(images=(Keyframe("a.png"), Keyframe("b.png"))), model, ())
    with pytest.raises(AbilityError, match="can't do actions; able to are: convlstm, playground"):
        play(Request(PROMPT), PlainModel().without("actions"), ())
    with pytest.raises(RequestError, match="'up' is no action; there are: none, left, right, jump"):
        list(play(Request(PROMPT), model, ["up"]))


# Pictures and keys


def test_two_pixels_are_one_block():
    frame = np.array([[[1, 2, 3], [1, 2, 3]], [[4, 5, 6], [4, 5, 6]]] * 2, np.uint8)
    frame[3, 1] = 255
    upper, lower = "\x1b[38;2;1;2;3m", "\x1b[48;2;4;5;6m"
    assert terminal.half_blocks(frame) == (
        f"{upper}{lower}▀▀\x1b[0m\r\n{upper}{lower}▀{upper}\x1b[48;2;255;255;255m▀\x1b[0m"
    )


@pytest.mark.parametrize(
    ("columns", "lines", "shape"),
    [(200, 100, (64, 96)), (48, 100, (32, 48)), (200, 8, (16, 24)), (1, 1, (2, 1))],
)
def test_a_frame_is_made_to_fit_the_terminal(columns, lines, shape):
    assert terminal.fitted(np.zeros((64, 96, 3), np.uint8), columns, lines).shape[:2] == shape


def test_keys_are_read_one_by_one():
    typed = b"\x1b[C\x1b[Da \x1bOCx\x1b[Zsq\x1b"
    assert terminal.keys_in(typed) == ["right", "left", "left", "jump", "right", "none", terminal.QUIT]


def test_a_run_is_held_for_a_while():
    held = terminal.Held()
    done = [
        held.action(keys) for keys in (["right"], ["jump"], [], [], [], ["left"], ["none"], ["left", "jump"])
    ]
    assert done == ["right", "jump", "right", "right", "none", "left", "none", "jump"]
    assert held.action([]) == "left"


# The command


def test_a_script_is_played_into_a_file_and_played_again(folder, model, tmp_path):
    clip, again = tmp_path / "clip.mkv", tmp_path / "again.mkv"
    command = [KINEO, "play", PROMPT, "--model", folder, "--actions", SCRIPT, "-o", clip]
    command += ["--no-watermark", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    told = json.loads(done.stdout)
    assert (told["frames"], told["actions"]) == (10, SCRIPT)
    shown = read(clip).astype(float)  # another process may round otherwise, by a level here and there
    off, other = (np.abs(shown - frames(model, SCRIPT, seed=seed)).mean() for seed in (0, 1))
    assert off < 0.5 < other
    subprocess.run([KINEO, "play", "--from", told["job"], "-o", again], check=True)  # noqa: S603
    assert np.array_equal(read(clip), read(again))
    assert not list(tmp_path.glob(".*"))


def read(path):
    with reading(path) as (_, shown):
        return np.stack(list(shown))


def test_wrong_words_are_refused_in_a_sentence(folder, tmp_path, capsys):
    out = ("-o", tmp_path / "clip.mp4")
    assert kineo("play", PROMPT, "--model", folder, "--actions", "fly*3", *out) == 2
    assert "'fly*3' is no action" in refusal(capsys)
    assert kineo("play", PROMPT, "--model", folder, "--actions", "jump") == 2
    assert refusal(capsys) == "There is no terminal that shows what is played: give --out."
    assert kineo("play", PROMPT, "--model", folder, *out) == 2
    assert refusal(capsys).startswith("There is no terminal to play in: give --actions")
    assert not list(tmp_path.iterdir())


class Played:
    """`kineo play` in a terminal of 80 columns and 24 lines."""

    def __init__(self, *arguments):
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        self.before, self.shown = termios.tcgetattr(self.theirs), b""
        command = [KINEO, "play", PROMPT, *map(str, arguments)]
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), self.theirs)
        self.process = subprocess.Popen(command, start_new_session=True, **streams)  # noqa: S603

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)

    def until(self, ended):
        """Read what is shown until `ended`."""
        late = time.monotonic() + 120
        while not ended():
            assert time.monotonic() < late, self.shown[-2000:]
            if select.select([self.ours], [], [], 0.05)[0]:
                self.shown += os.read(self.ours, 65536)

    def until_shown(self, count):
        self.until(lambda: self.shown.count(b"\x1b[H") >= count)

    def ended(self):
        """The exit code; the terminal must be as it was."""
        self.until(lambda: self.process.poll() is not None and not select.select([self.ours], [], [], 0)[0])
        assert termios.tcgetattr(self.theirs) == self.before
        on, off = (self.shown.rfind(code) for code in (b"\x1b[?1049h", b"\x1b[?1049l"))
        assert -1 < on < off
        assert self.shown.rfind(b"\x1b[?25l") < self.shown.rfind(b"\x1b[?25h")
        return self.process.returncode


def test_keys_play_in_a_terminal_and_are_saved(folder, tmp_path):
    clip = tmp_path / "clip.mkv"
    with Played("--model", folder, "-o", clip) as played:
        played.until_shown(2)
        os.write(played.ours, b"d")
        played.until_shown(6)
        os.write(played.ours, b"\x1b[A")
        played.until_shown(9)
        assert termios.tcgetattr(played.theirs) != played.before
        os.write(played.ours, b"q")
        assert played.ended() == 0
    assert "▀".encode() in played.shown
    request = json.loads(clip.with_suffix(".job.json").read_text())["request"]
    actions = actions_of(request["actions"])
    assert {"right", "jump"} <= set(actions)
    assert len(read(clip)) == request["frames"] == len(actions) + 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_terminal_is_as_it_was_when_interrupted(folder, tmp_path, number):
    with Played("--model", folder, "-o", tmp_path / "clip.mp4") as played:
        played.until_shown(3)
        played.process.send_signal(number)
        assert played.ended() == 128 + number
    assert played.shown.rfind(b"error: interrupted") > played.shown.rfind(b"\x1b[?1049l")
    assert not list(tmp_path.iterdir())


def test_ticks_come_at_their_pace_and_late_ones_do_not_hurry():
    began = time.monotonic()
    due = []
    for at in islice(terminal.ticks(20), 4):
        time.sleep(max(0.0, at - time.monotonic()) + (0.2 if len(due) == 1 else 0))
        due.append(at - began)
    assert due[0] >= 0.049
    assert due[2] - due[1] >= 0.2
    assert due[3] - due[2] >= 0.049
