"""`kineo worlds`: what it draws, writes down and reads back, and how it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from command import kineo, refusal

from kineograph.media.decode import read_video
from kineograph.media.probe import probe
from kineograph.provenance.watermark import Watermark
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import Scene, sample_scenes
from kineograph.worlds.world import WORLDS

SMALL = ("--size", 16, "--frames", 2)
SCENE = sample_scenes(1, seed=3, objects=1)[0].to_dict()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def claim(path):
    return json.loads(probe(path).metadata["comment"])


@pytest.mark.parametrize("world", WORLDS)
def test_a_sample_says_what_is_in_which_file(world, here, capsys):
    drawn = ("worlds", "sample", "--world", world, "--count", 2, *SMALL)
    assert kineo(*drawn, "-o", "sheet.png", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["path"] for line in lines] == ["sheet.png"] * 2
    assert [Scene.from_dict(line["scene"]) for line in lines] == sample_scenes(2, seed=0, world=WORLDS[world])
    assert kineo(*drawn, "-o", "clip.mp4") == 0
    said = [f"clip-000{n}.mp4: {line['caption']}" for n, line in enumerate(lines, 1)]
    assert capsys.readouterr().out.splitlines() == said
    assert {path.name for path in here.iterdir()} == {"sheet.png", "clip-0001.mp4", "clip-0002.mp4"}


def test_a_scene_that_was_written_down_is_the_same_clip(capsys):
    assert kineo("worlds", "show", "--seed", 5, "--json") == 0
    Path("scene.json").write_text(capsys.readouterr().out)
    assert kineo("worlds", "show", "--seed", 5, *SMALL, "-o", "drawn.mkv") == 0
    assert kineo("worlds", "show", "scene.json", *SMALL, "-o", "read.mkv") == 0
    scene = Scene.from_dict(json.loads(Path("scene.json").read_text()))
    true = render([scene], frames=2, size=16, truth=False).frames[0].numpy()
    for name in ("drawn.mkv", "read.mkv"):  # but for their watermarks
        assert np.abs(read_video(name).frames.astype(int) - true).max() <= 10


def test_files_claim_the_renderer_and_the_seed_that_was_drawn_from(capsys):
    Path("scene.json").write_text(json.dumps(SCENE))
    kineo("worlds", "sample", "--count", 1, "--seed", 5, *SMALL, "-o", "sheet.png")
    kineo("worlds", "show", *SMALL, "-o", "drawn.mp4")
    kineo("worlds", "show", "scene.json", *SMALL, "-o", "read.mp4")
    claims = [claim(path) for path in ("sheet.png", "drawn.mp4", "read.mp4")]
    assert [found.get("seed") for found in claims] == [5, 0, None]
    assert all("algorithmicMedia" in json.dumps(found) for found in claims)


# Refusing: one sentence on stderr, the exit code, and nothing left behind

REFUSED = {
    "no scenes": ["sample", "--count", 0],
    "too many": ["sample", "--count", 1001],
    "half a scene": ["sample", "--count", 2.5],
    "negative seed": ["sample", "--seed", -1],
    "huge seed": ["show", "--seed", 2**63],
    "no frames": ["show", "--frames", 0],
    "odd size": ["sample", "--size", 33],
    "tiny": ["sample", "--size", 8],
    "too many pixels": ["sample", "--count", 1000, "--size", 1024],
    "a sheet too long": ["sample", "--count", 101, *SMALL],
    "one word too many": ["sample", "four"],
    "no such world": ["sample", "--world", "huge"],
    "a scene and a seed": ["show", "scene.json", "--seed", 3],
    "no such file": ["show", "none.json"],
    "a folder": ["show", "."],
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED.keys())
def test_refused(arguments, here, capsys):
    (here / "scene.json").write_text(json.dumps(SCENE))
    assert kineo("worlds", *arguments) == 2
    assert refusal(capsys)
    assert [path.name for path in here.iterdir()] == ["scene.json"]


def changed(**values):
    return json.dumps({**SCENE, "things": [{**SCENE["things"][0], **values}]})


NO_SCENES = {
    "no text": b"\xff\xfe",
    "nothing": b"",
    "no object": b"[]",
    "endless": b"[" * 100_000,
    "half an object": b'{"ground": "sand"}',
    "something more": json.dumps(SCENE | {"mood": "sad"}),
    "nothing in it": json.dumps(SCENE | {"things": []}),
    "too much in it": json.dumps(SCENE | {"things": SCENE["things"] * 4}),
    "things as text": json.dumps(SCENE | {"things": "ball"}),
    "a thing as text": json.dumps(SCENE | {"things": ["ball"]}),
    "ground as a list": json.dumps(SCENE | {"ground": ["sand"]}),
    "seed as text": json.dumps(SCENE | {"seed": "3"}),
    "half a seed": json.dumps(SCENE | {"seed": 1.5}),
    "unknown kind": changed(kind="cat"),
    "kind as a number": changed(kind=3),
    "place as text": changed(x="0.5"),
    "place as nothing": changed(y=None),
    "no number": changed(x=float("nan")),
    "endlessly far": changed(y=float("inf")),
    "phase": changed(phase=1),
    "phase as truth": changed(phase=True),
}


@pytest.mark.parametrize("content", NO_SCENES.values(), ids=NO_SCENES.keys())
def test_what_is_no_scene_is_refused(content, here, capsys):
    (here / "scene.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert kineo("worlds", "show", "scene.json", *SMALL, "-o", "clip.mp4") == 2
    assert refusal(capsys)
    assert [path.name for path in here.iterdir()] == ["scene.json"]


@pytest.mark.parametrize("out", ["none/sheet.png", "none/clip.mp4", "clip.xyz", "clip", ".", "/", "full.png"])
def test_nowhere_to_write(out, here, capsys):
    """Of several files none is written if there is one that can't be."""
    for name in ("clip-0002", "full.png"):
        (here / name).mkdir()
        (here / name / "file").touch()
    assert kineo("worlds", "sample", "--count", 2, *SMALL, "-o", out) == 2
    assert refusal(capsys)
    assert {path.name for path in here.iterdir()} == {"clip-0002", "full.png"}


@pytest.mark.parametrize("out", ["clip.mp4", "sheet.png"])
def test_an_interrupt_leaves_what_was_there(out, here, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    Path(out).write_bytes(b"older")
    monkeypatch.setattr(Watermark, "embed", interrupted)
    assert kineo("worlds", "show", *SMALL, "-o", out) == 130
    assert "interrupted" in refusal(capsys)
    assert [(path.name, path.read_bytes()) for path in here.iterdir()] == [(out, b"older")]
