"""The command line: what it makes, what it says where, and how it refuses."""

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from command import KINEO, imported, kineo, refusal
from plain_model import CONFIG, PlainModel, only_plain

import kineograph.models
from kineograph.cli.output import numbered, slug, unused
from kineograph.errors import OutputError
from kineograph.media.decode import read_video
from kineograph.media.encode import save_image
from kineograph.media.probe import probe
from kineograph.models import diffusion
from kineograph.models.denoiser import DenoiserConfig
from kineograph.models.diffusion import spec_of
from kineograph.models.flow import DiffusionConfig, DiffusionNetworks
from kineograph.models.tokenizer import TokenizerConfig
from kineograph.sampling.settings import Sampling


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    return only_plain(tmp_path, monkeypatch, diffusion=diffusion)


def make(*arguments):
    assert kineo("generate", *arguments, "--model", "plain") == 0


# Making


def test_a_clip_its_job_and_what_is_said(here, capsys):
    make("A red ball!", "--seed", 3)
    out, err = capsys.readouterr()
    assert out == "a-red-ball-3.mp4\n"
    assert "25% (1 of 4 evaluations)" in err
    assert "9 frames 64x48 at 8 fps" in err
    assert "4 evaluations" in err
    assert {path.name for path in here.iterdir()} == {"a-red-ball-3.mp4", "a-red-ball-3.job.json"}
    assert len(read_video("a-red-ball-3.mp4")) == 9
    assert stat.S_IMODE(Path("a-red-ball-3.job.json").stat().st_mode) == 0o600


def test_a_default_name_replaces_nothing(here):
    """Neither a clip nor the record of one that was moved away."""
    for _ in range(3):
        make("a red ball")
        Path("a-red-ball-0-2.mp4").unlink(missing_ok=True)
    names = {"a-red-ball-0", "a-red-ball-0-2", "a-red-ball-0-3"}
    assert {path.name.removesuffix(".job.json") for path in here.glob("*.json")} == names
    assert {path.stem for path in here.glob("*.mp4")} == names - {"a-red-ball-0-2"}


def test_a_job_makes_the_same_clip_again(here, capsys):
    save_image("first.png", np.full((48, 64, 3), 200, np.uint8), {})
    make("a ball", "--image", "first.png", "--seed", 9, "--steps", 2, "-o", "one.mp4")
    Path("elsewhere").mkdir()
    os.chdir("elsewhere")
    assert kineo("generate", "--from", "../one.job.json", "-o", "two.mp4") == 0
    np.testing.assert_array_equal(read_video("two.mp4").frames, read_video("../one.mp4").frames)
    assert Path("two.job.json").read_text() == Path("../one.job.json").read_text()
    assert "has changed" not in capsys.readouterr().err


def test_a_job_of_other_weights_is_said(here, capsys):
    make("a ball", "-o", "one.mp4")
    job = Path("one.job.json")
    job.write_text(job.read_text().replace('"weights_hash": "0', '"weights_hash": "1'))
    assert kineo("generate", "--from", job, "-o", "two.mp4") == 0
    assert "warning: the package or the model has changed" in capsys.readouterr().err


def test_several_clips_have_one_seed_after_another(here, capsys):
    make("a ball", "--count", 3, "--seed", 5, "-o", "ball.mp4", "--json")
    out, _ = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["path"] for line in lines] == ["ball-0001.mp4", "ball-0002.mp4", "ball-0003.mp4"]
    assert [line["seed"] for line in lines] == [5, 6, 7]
    make("a ball", "--seed", 6, "-o", "alone.mp4")
    np.testing.assert_array_equal(read_video("alone.mp4").frames, read_video("ball-0002.mp4").frames)


def test_unknown_words_and_notes_are_said(here, capsys):
    """Once, though there are two clips."""
    save_image("wide.png", np.zeros((20, 90, 3), np.uint8), {})
    make("a red dragon flies", "--image", "wide.png", "--count", 2, "--json")
    out, err = capsys.readouterr()
    assert err.count("warning: not in this model's vocabulary: dragon, flies\n") == 1
    assert err.count("wide.png: Its 90x20 pixels are cropped") == 1
    for line in map(json.loads, out.splitlines()):
        assert line["unknown_words"] == ["dragon", "flies"]
        assert line["unread_words"] == []
        assert "cropped" in line["notes"][0]


def test_a_prompt_without_a_word_is_said(here, capsys):
    make("?!")
    assert "warning: there is no word in the prompt" in capsys.readouterr().err


def test_every_task(here, capsys):
    save_image("p.png", np.zeros((48, 64, 3), np.uint8), {})
    make("a ball", "-o", "a.mp4", "--size", "32x32", "--seconds", 1, "--json")
    make("a ball", "--image", "p.png@0.5", "--image", "p.png@0", "-o", "b.mp4", "--json")
    make("--video", "a.mp4", "--extend", "-0.5", "-o", "c.mp4", "--fit", "pad", "--json")
    make("--video", "a.mp4", "--extend", 0.5, "-o", "d.mp4", "--json")
    make("--video", "a.mp4", "--interpolate", 2, "-o", "e.mp4", "--json")
    make("--video", "a.mp4", "--mask", "0.25,0.25,0.5,0.5", "-o", "f.mp4", "--json")
    make("--video", "a.mp4", "--outpaint", "-o", "g.mp4", "--json")
    make("a ball", "--video", "a.mp4", "--edit", 0.5, "-o", "h.mp4", "--json")
    make("--video", "a.mp4", "--remove", "-o", "i.mp4", "--json")
    make("a ball", "--video", "a.mp4", "--insert", "-o", "j.mp4", "--json")
    make("--video", "a.mp4", "--style", "p.png", "--style", "a.mp4", "-o", "k.mp4", "--json")
    made = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    shapes = {clip["path"]: (clip["frames"], clip["width"], clip["fps"]) for clip in made}
    assert shapes == {
        "a.mp4": (8, 32, 8),
        "b.mp4": (9, 64, 8),
        "c.mp4": (12, 48, 8),
        "d.mp4": (12, 64, 8),
        "e.mp4": (15, 64, 16),
        "f.mp4": (8, 64, 8),
        "g.mp4": (8, 64, 8),
        **{f"{name}.mp4": (8, 64, 8) for name in "hijk"},
    }


def test_every_guide_goes_into_the_job_and_makes_the_clip_again(here, capsys):
    save_image("map.png", np.full((48, 64, 3), 200, np.uint8), {})
    Path("pose.json").write_text(json.dumps([[[0.5, 0.1 * joint] for joint in range(9)]] * 2))
    paths = ("--track", "0.2,0.7 0.8,.7", "--track", "free", "--box", "0,0,.5,.5", "--camera", "0,1 0.1,1.2")
    files = ("--pose", "pose.json", "--depth", "map.png", "--edges", "map.png", "--style", "map.png")
    make("a ball", *paths, *files, "--actions", "right*3 jump none", "-o", "a.mp4")
    job = json.loads(Path("a.job.json").read_text())
    assert job["request"]["tracks"] == ["0.2,0.7 0.8,.7", "free"]
    assert {Path(path).name for path in job["inputs"]} == {"pose.json", "map.png"}
    assert kineo("generate", "--from", "a.job.json", "-o", "again.mp4") == 0
    np.testing.assert_array_equal(read_video("again.mp4").frames, read_video("a.mp4").frames)


def test_later_prompts_and_walks_are_made_again_from_their_jobs(here, capsys):
    make("a ball", "--then", "a red ball@0.5", "--then", "a ball @ 1", "-o", "one.mp4")
    make("a ball", "--to", "a red ball", "--to-seed", 7, "--count", 3, "-o", "walk.mp4", "--no-watermark")
    assert {path.stem for path in here.glob("*.mp4")} == {"one", "walk-0001", "walk-0002", "walk-0003"}
    job = json.loads(Path("walk-0002.job.json").read_text())
    assert job["request"]["walk"] == {"prompt": "a red ball", "seed": 7, "share": 0.5}
    for name in ("one", "walk-0002"):
        assert kineo("generate", "--from", f"{name}.job.json", "-o", "again.mp4") == 0
        np.testing.assert_array_equal(read_video("again.mp4").frames, read_video(f"{name}.mp4").frames)
    first, last = (read_video(f"walk-000{number}.mp4").frames for number in (1, 3))
    make("a ball", "-o", "first.mp4", "--no-watermark")
    make("a red ball", "--seed", 7, "-o", "last.mp4", "--no-watermark")
    np.testing.assert_array_equal(first, read_video("first.mp4").frames)
    np.testing.assert_array_equal(last, read_video("last.mp4").frames)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--then", "2"),
        ("--then", "@2"),
        ("--then", "a red ball"),
        ("--then", "a red ball@nan"),
        ("--then", "a red ball@-1"),
        ("--then", "a red ball@99"),
        ("--then", "a red ball@1", "--then", "a ball@1"),
        ("--to", "a red ball"),
        ("--to-seed", "-1", "--count", "2"),
        ("--to", "a red ball", "--count", "2", "--then", "a ball@1"),
        ("--outpaint",),
        ("--edit", "0.5"),
        ("--remove",),
        ("--track", "0.2"),
        ("--track", "0,0", "--track", "0,0", "--track", "0,0", "--track", "0,0"),
        ("--box", "0,0,1"),
        ("--camera", "0,0"),
        ("--actions", "fly"),
        ("--actions", "left*999"),
        ("--pose", "plain/config.json"),
    ],
)
def test_ways_that_lead_nowhere_are_refused(arguments, here, capsys):
    assert kineo("generate", "a ball", *arguments, "--model", "plain") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not list(here.iterdir())


@pytest.fixture
def tiny(here):
    """A real model in the folder `tiny`."""
    torch.manual_seed(0)
    config = DiffusionConfig(
        words=("a", "ball"),
        tokenizer=TokenizerConfig(8, (8, 8, 8), (1, 1, 1), (1, 1, 1)),
        denoiser=DenoiserConfig(
            channels=8, grid=(5, 4, 4), canvas_width=8, text_width=16, width=32, hidden=32, depth=1, heads=2
        ),
        text_length=8,
    )
    diffusion.save(Path("tiny"), DiffusionNetworks(config), spec_of("tiny", config, Sampling(2, 2.0)))


def test_a_real_model_from_a_folder(tiny):
    for name in ("one.mp4", "two.mp4"):
        assert (
            kineo("generate", "a ball", "--model", "tiny", "--frames", 20, "--size", "64x32", "-o", name) == 0
        )
    assert (probe("one.mp4").frames, probe("one.mp4").height) == (20, 32)
    np.testing.assert_array_equal(read_video("one.mp4").frames, read_video("two.mp4").frames)
    comment = json.loads(probe("one.mp4").metadata["comment"])
    assert comment["model"] == "tiny"
    assert len(comment["weights_hash"]) == 64


def test_words_that_are_not_read_are_said(tiny, capsys):
    assert kineo("models", "show", "tiny", "--json") == 0
    length = json.loads(capsys.readouterr().out)["text_length"]
    assert kineo("models", "show", "tiny") == 0
    assert f"reads {length} words of a prompt" in capsys.readouterr().out
    whole = " ".join(["ball"] * length)
    for prompt, unread in ((whole, []), (f"{whole}, a red one", ["a", "red", "one"])):
        assert kineo("generate", prompt, "--model", "tiny", "--size", "32x32", "--json") == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["unread_words"] == unread
        assert ("does not read the end: a red one" in err) == bool(unread)


# Other commands


def test_models(capsys):
    assert kineo("models") == 0
    assert "plain: plain, 64x48, 9 frames at 8 fps" in capsys.readouterr().out
    assert kineo("models", "show", "plain") == 0
    out, _ = capsys.readouterr()
    assert "vocabulary: a ball red" in out
    assert "Fills with colours." in out
    assert kineo("models", "show", "plain", "--json") == 0
    assert json.loads(capsys.readouterr().out)["window"] == 9


# Refusing: one sentence on stderr, the exit code, and nothing left behind


REFUSED = {
    "no prompt": ["generate"],
    "empty prompt": ["generate", ""],
    "unquoted prompt": ["generate", "a", "red", "ball"],
    "long prompt": ["generate", "a" * 2001],
    "control character": ["generate", "a\x1b[31m"],
    "unknown option": ["generate", "a", "--sede", "3"],
    "unknown command": ["genrate", "a"],
    "missing value": ["generate", "a", "--seed"],
    "no number": ["generate", "a", "--steps", "many"],
    "no whole number": ["generate", "a", "--steps", "2.5"],
    "no steps": ["generate", "a", "--steps", "0"],
    "negative guidance": ["generate", "a", "--guidance", "-1"],
    "not a number": ["generate", "a", "--guidance", "nan"],
    "both lengths": ["generate", "a", "--frames", "3", "--seconds", "1"],
    "too long": ["generate", "a", "--seconds", "9999"],
    "bad size": ["generate", "a", "--size", "64"],
    "odd size": ["generate", "a", "--size", "33x32"],
    "too large": ["generate", "a", "--size", "512x512"],
    "huge size": ["generate", "a", "--size", "999999999x2"],
    "bad fit": ["generate", "a", "--fit", "stretch"],
    "no count": ["generate", "a", "--count", "0"],
    "seeds run out": ["generate", "a", "--count", "2", "--seed", str(2**63 - 1)],
    "long image": ["generate", "a", "--image", "i" * 5000 + "@1"],
    "missing image": ["generate", "a", "--image", "none.png"],
    "image of text": ["generate", "a", "--image", "text.png"],
    "missing video": ["generate", "a", "--video", "none.mp4", "--extend", "1"],
    "video of text": ["generate", "a", "--video", "text.png", "--extend", "1"],
    "folder as video": ["generate", "a", "--video", ".", "--extend", "1"],
    "video for nothing": ["generate", "a", "--video", "none.mp4"],
    "mask alone": ["generate", "a", "--mask", "0,0,1,1"],
    "mask outside": ["generate", "a", "--video", "none.mp4", "--mask", "0.5,0,1,1"],
    "unknown model": ["generate", "a", "--model", "plane"],
    "long model": ["generate", "a", "--model", "m" * 5000],
    "two lines": ["generate", "a", "--model", "m\nn"],
    "not a job": ["generate", "--from", "text.png"],
    "missing job": ["generate", "--from", "none.json"],
    "job and more": ["generate", "a", "--from", "text.png"],
    "unknown to show": ["models", "show", "plane"],
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED.keys())
def test_refused(arguments, here, capsys):
    (here / "text.png").write_text("hello\n")
    if arguments[0] == "generate" and not {"--model", "--from"} & set(arguments):
        arguments = [*arguments, "--model", "plain"]
    assert kineo(*arguments) == 2
    assert refusal(capsys)
    assert [path.name for path in here.iterdir()] == ["text.png"]


NOWHERE = ["", ".", "/", "none/clip.mp4", "clip.xyz", "clip.png", "full", "recorded.mp4", "n" * 250 + ".mp4"]


@pytest.mark.parametrize("out", NOWHERE)
def test_nowhere_to_write(out, here, capsys, monkeypatch):
    """Neither the clip nor its record: found before the model works."""
    monkeypatch.delattr(PlainModel, "sample")
    for folder in (here / "full", here / "recorded.job.json"):
        folder.mkdir()
        (folder / "file").touch()
    assert kineo("generate", "a", "--model", "plain", "-o", out) == 2
    assert refusal(capsys)
    assert {path.name for path in here.iterdir()} == {"full", "recorded.job.json"}


WRONG = {
    "name": ["plain"],
    "family": ["plain"],
    "abilities": "text",
    "width": "64",
    "fps": None,
    "sampling": [],
    "vocabulary": [1],
    "networks": 3,
}
DAMAGED = {
    "no JSON": "{",
    "too deep": "[" * 100_000,
    "a list": "[]",
    "nothing": "{}",
    **{f"wrong {name}": json.dumps(CONFIG | {name: value}) for name, value in WRONG.items()},
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_models(text, here, capsys):
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text(text)
    for command in (["models", "show", "model"], ["generate", "a", "--model", "model"]):
        assert kineo(*command) == 2
        assert refusal(capsys)


def test_a_name_that_can_not_be_printed(here, capsys):
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text(json.dumps(CONFIG | {"name": "\udcff"}))
    (here / "model" / "README.md").write_bytes(b"\xff")
    assert kineo("models", "show", "model") == 0
    assert capsys.readouterr().out.startswith("\\udcff: plain")


def test_did_you_mean(capsys):
    kineo("generate", "a", "--model", "plane")
    assert "did you mean plain?" in capsys.readouterr().err


def test_unable_models_are_refused_with_those_that_can(here, capsys, monkeypatch):
    monkeypatch.setattr(PlainModel, "load", lambda folder: PlainModel().without("text"))
    assert kineo("generate", "a", "--model", "plain") == 2
    assert "can't do text; able to are: plain." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_an_interrupt_leaves_what_was_there(number, code, here, monkeypatch):
    """In the middle of the second chunk, when the clip and its record are half-written."""
    decode = PlainModel.decode

    def interrupted(self, latents):
        if latents[0] > 0:
            assert len(list(here.glob(".*"))) == 2
            signal.raise_signal(number)
        return decode(self, latents)

    Path("clip.mp4").write_bytes(b"older")
    monkeypatch.setattr(PlainModel, "decode", interrupted)
    before = signal.getsignal(number)
    assert kineo("generate", "a", "--model", "plain", "-o", "clip.mp4") == code
    assert signal.getsignal(number) == before
    assert [path.name for path in here.iterdir()] == ["clip.mp4"]
    assert Path("clip.mp4").read_bytes() == b"older"


@pytest.mark.parametrize(
    "arguments", [["--version"], ["generate", "a", "--frames", "0"], ["models", "show", "x"]]
)
def test_the_installed_command(arguments, here):
    done = subprocess.run([KINEO, *arguments], capture_output=True, text=True)  # noqa: S603
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if arguments == ["--version"] else 2)
    assert done.stdout == (kineograph.__version__ + "\n" if arguments == ["--version"] else "")
    assert list(here.iterdir()) == []


def test_nowhere_to_print(here):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([KINEO, "models"], stdout=full, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert done.returncode == 1
    assert done.stderr == "error: The output can't be written or read: No space left on device.\n"
    command = [KINEO, "generate", "a", "--model", "none"]
    done = subprocess.run(command, stdout=subprocess.PIPE, preexec_fn=lambda: os.close(2))  # noqa: S603
    assert (done.returncode, done.stdout) == (2, b"")


def test_light_commands_import_no_torch():
    _, packages = imported(["--help"], ["models"], ["worlds", "--help"], ["evaluate", "--help"])
    assert packages == set()


# Names


def test_slug():
    assert slug("A small, RED ball?") == "a-small-red-ball"
    assert slug("彩色") == "clip"
    assert len(slug("word " * 100)) <= 40
    assert slug("../../etc/passwd") == "etc-passwd"


def test_numbered_and_unused(here):
    assert numbered(Path("a.mp4"), 1) == [Path("a.mp4")]
    assert numbered(Path("a.mp4"), 2) == [Path("a-0001.mp4"), Path("a-0002.mp4")]
    Path("a-0002.mp4").touch()
    with pytest.raises(OutputError, match="names no file"):
        numbered(Path("/"), 2)
    assert unused(Path("a.mp4"), 2) == [Path("a-2-0001.mp4"), Path("a-2-0002.mp4")]
