"""The door to files: what is saved carries its claim, which tells neither prompt nor path."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from plain_model import SPEC

from kineograph.errors import MediaError, OutputError, RequestError
from kineograph.media.decode import read_video
from kineograph.media.encode import save_image
from kineograph.media.probe import probe
from kineograph.models.family import Step
from kineograph.provenance import mark
from kineograph.provenance.claim import COMPOSITE, GENERATED, Claim, Job, claim_of, job_of, rendering_claim
from kineograph.request import Keyframe, Request
from kineograph.video import Chunk, Video

CLAIM = Claim(generator="kineograph 1", digital_source_type=GENERATED, seed=3)


def chunks(sizes, start=0):
    for size in sizes:
        yield Chunk(np.full((size, 48, 64, 3), 100, np.uint8), start)
        start += size


@pytest.fixture
def request_with_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_image("first.png", np.zeros((48, 64, 3), np.uint8), {})
    return Request("a secret ball", images=(Keyframe("first.png"),))


# Records


def test_a_job_survives_json(request_with_image):
    job = job_of(request_with_image, SPEC)
    assert Job.from_json(job.to_json()) == job
    assert all(path.startswith("/") for path in job.inputs)


def test_the_claim_tells_neither_prompt_nor_path(request_with_image, tmp_path):
    text = claim_of(job_of(request_with_image, SPEC)).to_json()
    assert not any(word in text for word in ("secret", "first.png", str(tmp_path)))
    assert json.loads(text)["digital_source_type"] == COMPOSITE
    assert claim_of(job_of(Request("a ball"), SPEC)).digital_source_type == GENERATED


def test_the_prompts_hash_is_salted():
    one, other = (job_of(Request("a ball"), SPEC) for _ in range(2))
    assert claim_of(one).prompt_hash != claim_of(other).prompt_hash
    again = job_of(Request("a ball"), SPEC, salt=one.salt)
    assert claim_of(again) == claim_of(one)


def test_changed_inputs_are_noticed(request_with_image):
    job = job_of(request_with_image, SPEC)
    job.check_inputs()
    save_image("first.png", np.ones((48, 64, 3), np.uint8), {})
    with pytest.raises(RequestError, match="changed"):
        job.check_inputs()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 100_000, '{"request": {"prompt": "a"}}', '{"request": 3, "salt": "a"}']
)
def test_no_job(text):
    with pytest.raises(RequestError):
        Job.from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 3},
        {"model": ["plain"]},
        {"weights_hash": None},
        {"salt": 7},
        {"salt": "\ud800"},
        {"inputs": None},
        {"inputs": ["first.png"]},
        {"inputs": {}},
        {"inputs": {"another.png": "0"}},
        {"inputs": {"\0": "0"}},
        {"more": 1},
        {"request": None},
        {"request": {"prompt": "a", "seed": float("nan")}},
    ],
)
def test_a_damaged_job(change, request_with_image):
    job = json.loads(job_of(request_with_image, SPEC).to_json())
    with pytest.raises(RequestError):
        Job.from_json(json.dumps(job | change))


@pytest.mark.parametrize("become", [Path.mkdir, os.mkfifo, Path.touch, lambda path: path.symlink_to(path)])
def test_inputs_that_are_no_files_any_more(become, request_with_image):
    """A named pipe is not waited for."""
    job = job_of(request_with_image, SPEC)
    path = Path(request_with_image.images[0].path)
    path.unlink()
    with pytest.raises(MediaError, match="does not exist"):
        job.check_inputs()
    become(path)
    with pytest.raises(MediaError, match=str(path.absolute())):
        job.check_inputs()


# Files


def test_saved_frames_and_metadata(tmp_path):
    items = [Step(1, 2), *chunks([4]), Step(2, 2), *chunks([5], 4)]
    saved = mark.save(items, CLAIM, tmp_path / "clip.mp4", 8)
    assert (saved.frames, saved.width, saved.height, saved.fps) == (9, 64, 48, 8)
    assert len(read_video(saved.path)) == 9
    assert json.loads(probe(saved.path).metadata["comment"]) == json.loads(CLAIM.to_json())


def test_a_failure_leaves_nothing(tmp_path):
    def broken():
        yield from chunks([4])
        raise KeyboardInterrupt

    (tmp_path / "clip.mp4").write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt):
        mark.save(broken(), CLAIM, tmp_path / "clip.mp4", 8)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == b"older"


def test_no_such_folder(tmp_path):
    with pytest.raises(OutputError):
        mark.save(chunks([4]), CLAIM, tmp_path / "none" / "clip.mp4", 8)


def test_a_sheet_carries_its_claim(tmp_path):
    video = Video(next(chunks([4])).frames, 8)
    path = mark.save_sheet([video], ["a ball"], 1, rendering_claim(7), tmp_path / "sheet.png")
    assert "algorithmicMedia" in probe(path).metadata["comment"]


def test_a_made_video_shows_itself():
    video = mark.MadeVideo(next(chunks([4])).frames, 8, CLAIM)
    assert isinstance(video, Video)
    assert 'src="data:video/mp4;base64,' in video._repr_html_()
