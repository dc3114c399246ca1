"""Every way out of the program passes the door: each file is signed, and its pixels tell of its origin."""

import json
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command import kineo, refusal
from plain_model import SPEC, PlainModel, only_plain

import kineograph
from kineograph.errors import MediaError
from kineograph.media.decode import read_video
from kineograph.media.encode import save_image
from kineograph.media.probe import probe
from kineograph.provenance import mark
from kineograph.provenance.claim import COMPOSITE, GENERATED, RENDERED, Claim, Source, payload_of, sheet_claim
from kineograph.provenance.identity import identity
from kineograph.provenance.marking import LABEL, Marking
from kineograph.provenance.signing import sign
from kineograph.provenance.verify import verify
from kineograph.provenance.watermark import PUBLIC_KEY, Found, detect
from kineograph.video import Chunk, Video

PLAIN = ("--model", "plain")
LONG = ("--frames", "12", *PLAIN)
CLAIM = Claim("kineograph 1", GENERATED, seed=3, model="plain", weights_hash="0" * 64)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Frames large enough to carry a watermark."""
    spec = replace(SPEC, width=256, height=192)
    monkeypatch.setattr(PlainModel, "load", classmethod(lambda cls, folder: cls(spec)))
    return only_plain(tmp_path, monkeypatch)


@pytest.fixture
def footage(here):
    """A clip from outside, without any mark."""
    kineo("generate", "a ball", *LONG, "-o", "footage.mp4", "--no-sign", "--no-watermark")
    return here / "footage.mp4"


def textured(count=12, height=192, width=256):
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 1))
    waves = 120 + 50 * np.sin(np.arange(width) / 20)[None, :, None] + noise
    return np.broadcast_to(waves.clip(0, 255).astype(np.uint8), (count, height, width, 3)).copy()


# Every way out


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".webm", ".mkv", ".gif"])
def test_each_kind_of_file(suffix, here):
    saved = mark.save([Chunk(textured(), 0)], CLAIM, here / f"clip{suffix}", 8)
    verdict = verify(saved.path)
    assert verdict.signed.signature == "trusted"
    assert verdict.signed.payload == CLAIM.payload()
    assert verdict.watermark.payload == CLAIM.payload()
    assert verdict.metadata["comment"] == json.loads(CLAIM.to_json())
    assert (saved.sidecar is not None) == (suffix in (".webm", ".mkv"))


def test_a_folder_of_images(here):
    saved = mark.save([Chunk(textured(3), 0)], CLAIM, here / "frames", 8)
    images = sorted(saved.path.iterdir())
    assert [verify(image).signed.signature for image in images] == ["trusted"] * 3
    assert detect([read_video(image).frames for image in images], [PUBLIC_KEY]).payload == CLAIM.payload()


WAYS = {
    "text": ("a red ball",),
    "several": ("a red ball", "--count", "2"),
    "edit": ("a red ball", "--video", "footage.mp4", "--edit", "1"),
    "extend": ("a red ball", "--video", "footage.mp4", "--extend", "1"),
    "mask": ("a red ball", "--video", "footage.mp4", "--mask", "0.2,0.2,0.5,0.5"),
    "style": ("a red ball", "--style", "footage.mp4"),
    "image": ("a red ball", "--image", "first.png"),
}


@pytest.mark.parametrize("way", WAYS)
def test_generate(way, here, footage):
    save_image("first.png", np.zeros((48, 64, 3), np.uint8))
    assert kineo("generate", *WAYS[way], *PLAIN, "-o", "out.mp4") == 0
    made = sorted(here.glob("out*.mp4"))
    assert len(made) == (2 if way == "several" else 1)
    for number, path in enumerate(made):
        verdict = verify(path)
        assert verdict.signed.signature == "trusted"
        assert verdict.watermark.payload == payload_of(SPEC.weights_hash, number)
        with_source = way not in ("text", "several")
        assert verdict.signed.claim["digital_source_type"] == (COMPOSITE if with_source else GENERATED)


def test_footage_is_opened_and_what_it_was_signed_with_is_kept(here):
    """The manifest of the footage stays readable in that of what was made from it."""
    kineo("generate", "a ball", *LONG, "-o", "first.mp4")
    kineo("generate", "a red ball", "--video", "first.mp4", "--edit", "1", *PLAIN, "-o", "second.mp4")
    story = " ".join(verify("second.mp4").signed.story)
    assert "Existing material was opened" in story
    assert "It was made from a file of the kind video/mp4, with a manifest of its own." in story
    assert f"The material carried the watermark {payload_of(SPEC.weights_hash, 0):08x}." in story


def test_footage_that_was_tampered_with_still_makes_a_whole_file(here):
    kineo("generate", "a ball", *LONG, "-o", "first.mp4")
    data = bytearray(Path("first.mp4").read_bytes())
    data[data.index(b"mdat") + 40] ^= 1
    Path("first.mp4").write_bytes(data)
    assert (
        kineo("generate", "a red ball", "--video", "first.mp4", "--edit", "1", *PLAIN, "-o", "second.mp4")
        == 0
    )
    verdict = verify("second.mp4")
    assert verdict.signed.signature == "trusted"
    assert any("TAMPERED" in sentence for sentence in verdict.signed.story)


def test_footage_whose_manifest_is_broken_still_makes_a_whole_file(here, capsys):
    kineo("generate", "a ball", *LONG, "-o", "first.mp4")
    data = Path("first.mp4").read_bytes()
    start = data.index(b"jumb") + 4
    Path("first.mp4").write_bytes(data[:start] + bytes(200) + data[start + 200 :])
    with pytest.warns(UserWarning, match="first.mp4 is not kept"):
        mark.save([Chunk(textured(), 0)], CLAIM, "second.mp4", 8, sources=[Source("first.mp4", True)])
    assert verify("second.mp4").signed.signature == "trusted"


def test_a_broken_manifest_does_not_cost_those_of_other_files(here):
    save_image("whole.png", np.zeros((48, 64, 3), np.uint8))
    mark.save([Chunk(textured(), 0)], CLAIM, "broken.mp4", 8)
    sign(Path("whole.png"), CLAIM, (), identity())
    data = Path("broken.mp4").read_bytes()
    start = data.index(b"jumb") + 4
    Path("broken.mp4").write_bytes(data[:start] + bytes(200) + data[start + 200 :])
    sources = [Source("broken.mp4", True), Source("whole.png", False)]
    with pytest.warns(UserWarning, match="^The manifest of broken.mp4 is not kept: ") as said:
        mark.save([Chunk(textured(), 0)], CLAIM, "made.mp4", 8, sources=sources)
    assert len(said) == 1
    story = " ".join(verify("made.mp4").signed.story)
    assert "It contains a file of the kind image/png, with a manifest of its own." in story


OWN = "a file of the kind {}, with a manifest of its own."


@pytest.mark.parametrize("suffix", [".webm", ".mkv", ".mp4"])
def test_the_manifest_beside_footage_is_kept(suffix, here):
    kind = {".webm": "video/webm", ".mkv": "video/x-matroska", ".mp4": "video/mp4"}[suffix]
    if suffix == ".mp4":
        mark.save([Chunk(textured(), 0)], CLAIM, "first.mp4", 8, Marking(sign=False))
        sign(Path("first.mp4"), CLAIM, (), identity(), Path("first.mp4.c2pa"))
    else:
        mark.save([Chunk(textured(), 0)], CLAIM, f"first{suffix}", 8)
    mark.save([Chunk(textured(), 0)], CLAIM, "second.mp4", 8, sources=[Source(f"first{suffix}", True)])
    verdict = verify("second.mp4")
    assert verdict.signed.signature == "trusted"
    assert OWN.format(kind) in " ".join(verdict.signed.story)


def test_the_same_footage_under_two_names_is_kept_twice(here):
    mark.save([Chunk(textured(), 0)], CLAIM, "first.webm", 8)
    for name in ("first.webm", "first.webm.c2pa"):
        shutil.copy(name, name.replace("first", "copy"))
    sources = [Source("first.webm", True), Source("copy.webm", False)]
    mark.save([Chunk(textured(), 0)], CLAIM, "second.mp4", 8, sources=sources)
    assert " ".join(verify("second.mp4").signed.story).count(OWN.format("video/webm")) == 2


ODD = {
    "damaged": lambda beside: beside.write_bytes(bytes(100) + beside.read_bytes()[100:]),
    "no manifest": lambda beside: beside.write_bytes(b"words"),
    "unreadable": lambda beside: beside.chmod(0),
}


@pytest.mark.parametrize("harm", ODD.values(), ids=ODD.keys())
def test_an_odd_manifest_beside_footage_is_left_out_and_said(harm, here):
    save_image("whole.png", np.zeros((48, 64, 3), np.uint8))
    sign(Path("whole.png"), CLAIM, (), identity())
    mark.save([Chunk(textured(), 0)], CLAIM, "first.webm", 8)
    harm(Path("first.webm.c2pa"))
    if os.access("first.webm.c2pa", os.R_OK) and harm is ODD["unreadable"]:
        pytest.skip("whoever runs this may read everything")
    sources = [Source("first.webm", True), Source("whole.png", False)]
    with pytest.warns(UserWarning, match="^The manifest of first.webm is not kept: "):
        mark.save([Chunk(textured(), 0)], CLAIM, "second.mp4", 8, sources=sources)
    verdict = verify("second.mp4")
    assert verdict.signed.signature == "trusted"
    assert OWN.format("image/png") in " ".join(verdict.signed.story)


def test_nothing_and_a_folder_beside_footage_are_no_manifests(here):
    mark.save([Chunk(textured(), 0)], CLAIM, "first.webm", 8)
    Path("first.webm.c2pa").write_bytes(b"")
    Path("copy.webm.c2pa").mkdir()
    shutil.copy("first.webm", "copy.webm")
    sources = [Source("first.webm", True), Source("copy.webm", False)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mark.save([Chunk(textured(), 0)], CLAIM, "second.mp4", 8, sources=sources)
    assert " ".join(verify("second.mp4").signed.story).count("video/webm, without a manifest") == 2


def test_footage_that_is_not_what_the_manifest_beside_it_signs_is_told(here):
    mark.save([Chunk(textured(), 0)], CLAIM, "first.webm", 8)
    data = bytearray(Path("first.webm").read_bytes())
    data[-200] ^= 1
    Path("first.webm").write_bytes(data)
    mark.save([Chunk(textured(), 0)], CLAIM, "second.mp4", 8, sources=[Source("first.webm", True)])
    verdict = verify("second.mp4")
    assert verdict.signed.signature == "trusted"
    assert any("TAMPERED" in sentence for sentence in verdict.signed.story)


def test_footage_that_is_gone_by_then_is_one_sentence(here):
    with pytest.raises(MediaError, match="does not exist"):
        mark.save([Chunk(textured(), 0)], CLAIM, "a.mp4", 8, sources=[Source("gone.mp4", True)])
    assert not list(here.iterdir())


def test_batch(here):
    Path("jobs.jsonl").write_text('{"prompt": "a ball"}\n{"prompt": "a red ball"}\n')
    assert kineo("batch", "jobs.jsonl", "-o", "clips", "--format", "webm", *PLAIN) == 0
    verdicts = [verify(path) for path in sorted(Path("clips").glob("*.webm"))]
    assert [verdict.signed.signature for verdict in verdicts] == ["trusted"] * 2
    assert all(verdict.watermark.payload is not None for verdict in verdicts)


def test_a_batch_keeps_signatures_and_clips_together(here):
    """One that is lost is made again, and one of a clip that was replaced goes."""
    Path("jobs.jsonl").write_text('{"prompt": "a ball", "name": "ball"}\n')
    command = ("batch", "jobs.jsonl", "-o", "clips", "--format", "webm", *PLAIN)
    beside = Path("clips/ball.webm.c2pa")
    kineo(*command)
    beside.unlink()
    kineo(*command)
    assert verify("clips/ball.webm").signed.signature == "trusted"
    kineo(*command, "--no-sign")
    assert not beside.exists()


def test_sheets(here):
    sheet = mark.save_sheet([Video(textured(), 8)], ["a ball"], 6, sheet_claim(SPEC), here / "sheet.png")
    verdict = verify(sheet)
    assert verdict.signed.signature == "trusted"
    assert verdict.watermark.payload == payload_of(SPEC.weights_hash, 0)


def test_renderings(here):
    assert kineo("worlds", "sample", "--count", "2", "-o", "worlds.png") == 0
    verdict = verify("worlds.png")
    assert verdict.signed.claim["digital_source_type"] == RENDERED
    assert verdict.watermark.payload >> 12 == 0


def test_the_python_interface(here, monkeypatch):
    video = kineograph.generate_video("a red ball", model="plain")
    assert verify(video.save("clip.mp4").path).signed.signature == "trusted"
    kineograph.save([Chunk(video.frames, 0)], video.claim, "again.mp4", 8)
    assert verify("again.mp4").watermark.payload == video.claim.payload()


class Corner:
    """A watermark of another kind: the first pixel is black."""

    def embed(self, frames):
        marked = frames.copy()
        marked[:, :8, :8] = 0
        return marked

    def detect(self, frames):
        black = all(int(frame[..., :4, :4, :].max()) < 20 for frame in frames)
        return Found(7, 1e-9, 0, 1.0, False) if black else None


def test_a_watermark_of_another_kind_stands_in(here):
    mark.save([Chunk(textured(), 0)], CLAIM, "a.mp4", 8, watermarker=Corner())
    assert verify("a.mp4").watermark.payload is None
    verdict = verify("a.mp4", watermarkers=[Corner()])
    assert verdict.watermark.payload == 7
    assert verdict.signed.claim["watermarker"] == "Corner"
    assert verdict.signed.payload is None


# What may be said of the marks


@pytest.mark.parametrize("left", ["watermark", "sign"])
def test_leaving_a_mark_out_is_warned_about_and_recorded(left, here, capsys):
    assert kineo("generate", "a ball", *LONG, "-o", "a.mp4", f"--no-{left}") == 0
    name = "signature" if left == "sign" else left
    assert f"the file will carry no {name}" in capsys.readouterr().err
    verdict = verify("a.mp4")
    assert verdict.metadata["comment"]["left_out"] == [name]
    assert (verdict.signed.signature == "none") == (left == "sign")
    assert (verdict.watermark.payload is None) == (left == "watermark")


def test_a_job_is_marked_again_as_it_was(here, capsys):
    kineo("generate", "a ball", *LONG, "-o", "a.mp4", "--label", "made by a machine", "--no-sign")
    assert kineo("generate", "--from", "a.job.json", "-o", "b.mp4") == 0
    assert np.array_equal(read_video("a.mp4").frames, read_video("b.mp4").frames)
    assert verify("b.mp4").signed.signature == "none"
    capsys.readouterr()
    assert kineo("generate", "--from", "a.job.json", "-o", "c.mp4", "--no-watermark") == 2
    assert "--from" in refusal(capsys)


@pytest.mark.parametrize("words", [("--label",), ("--label", "made by a machine")])
def test_a_label_is_seen_in_every_frame(words, here):
    kineo("generate", "a ball", *LONG, "-o", "bare.mkv", "--no-watermark", "--no-sign")
    kineo("generate", "a ball", *LONG, "-o", "labelled.mkv", "--no-watermark", "--no-sign", *words)
    bare, labelled = read_video("bare.mkv").frames, read_video("labelled.mkv").frames
    changed = (bare != labelled).any(-1)
    rows, columns = np.nonzero(changed.all(0))
    assert rows.min() > 192 * 0.9
    assert columns.max() > 250
    assert labelled[changed].max() > 240
    assert Path("labelled.job.json").read_text().count(words[1] if len(words) > 1 else LABEL) == 1


@pytest.mark.parametrize("label", ["", " ", "x" * 100, "two\nlines"])
def test_labels_that_are_none(label, here, capsys):
    assert kineo("generate", "a ball", *PLAIN, "-o", "a.mp4", f"--label={label}") == 2 or not label
    assert not Path("a.mp4").exists() or not label


def test_a_label_that_its_font_can_not_show_is_refused_before_any_work(here, capsys):
    """Else boxes would stand in the place of letters."""
    assert kineo("generate", "a ball", *PLAIN, "-o", "a.mp4", "--label", "AI 生成") == 2
    assert "'生成'" in refusal(capsys)


def test_the_prompt_is_written_only_if_it_is_disclosed(here):
    kineo("generate", "a red ball", *LONG, "-o", "a.mp4")
    kineo("generate", "a red ball", *LONG, "-o", "b.mp4", "--disclose-prompt")
    assert b"a red ball" not in Path("a.mp4").read_bytes()
    assert verify("b.mp4").signed.claim["prompts"] == ["a red ball"]
    assert verify("a.mp4").signed.claim["prompt_hash"].startswith("sha256:")


def test_the_tag_that_china_asks_for(here):
    kineo("generate", "a ball", *LONG, "-o", "a.mp4", "--producer", "Some Studio")
    label = json.loads(probe("a.mp4").metadata["aigc"])
    assert (label["Label"], label["ContentProducer"]) == ("1", "Some Studio")
    others = {"ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2"}
    assert set(label) == {"Label", "ContentProducer"} | others


def test_consent_is_recorded(here, footage):
    kineo(
        "generate",
        "a ball",
        "--video",
        "footage.mp4",
        "--edit",
        "1",
        *PLAIN,
        "-o",
        "a.mp4",
        "--consent",
        "all agreed",
    )
    assert verify("a.mp4").signed.claim["consent"] == "all agreed"


def test_a_policy_is_obeyed_before_any_work(here, footage, capsys, monkeypatch):
    Path("policy.json").write_text('{"deny": ["red"], "consent_required": true}')
    monkeypatch.setenv("KINEO_POLICY", "policy.json")
    capsys.readouterr()
    assert kineo("generate", "a red ball", *PLAIN, "-o", "a.mp4") == 2
    assert "deny" in refusal(capsys)
    assert kineo("generate", "a ball", "--video", "footage.mp4", "--edit", "1", *PLAIN, "-o", "a.mp4") == 2
    assert "consent" in refusal(capsys)
    assert not Path("a.mp4").exists()


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.png", "a.jpg"])
def test_photo_software_finds_the_source_type(name, here):
    """The XMP packet, by the standard of IPTC."""
    if name.endswith("g"):
        mark.save_sheet([Video(textured(), 8)], ["a ball"], 2, CLAIM, name)
    else:
        mark.save([Chunk(textured(2), 0)], CLAIM, name, 8)
    assert f'Iptc4xmpExt:DigitalSourceType="{GENERATED}"'.encode() in Path(name).read_bytes()
    read_video(name)


# Nothing by halves


def test_a_sidecar_of_a_file_that_was_replaced_goes(here):
    mark.save([Chunk(textured(2), 0)], CLAIM, "a.webm", 8)
    assert Path("a.webm.c2pa").exists()
    mark.save([Chunk(textured(2), 0)], CLAIM, "a.webm", 8, Marking(sign=False))
    assert not Path("a.webm.c2pa").exists()


@pytest.mark.parametrize("sign", [(), ("--no-sign",)])
def test_a_folder_where_the_sidecar_belongs_is_refused_before_any_work(sign, here, capsys):
    Path("a.webm.c2pa").mkdir()
    assert kineo("generate", "a ball", *LONG, "-o", "a.webm", *sign) == 2
    assert "evaluations" not in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["a.webm.c2pa"]


def test_a_key_that_does_not_fit_is_found_before_any_work(here, monkeypatch, capsys):
    for name in ("one", "other"):
        monkeypatch.setenv("KINEO_HOME", name)
        identity()
    Path("one/signer/key.pem").write_text(Path("other/signer/key.pem").read_text())
    monkeypatch.setenv("KINEO_HOME", "one")
    assert kineo("generate", "a ball", *LONG, "-o", "a.mp4") == 2
    assert "can't be signed" in refusal(capsys)


def test_without_a_place_for_a_key_nothing_is_made(here, monkeypatch, capsys):
    Path("file").write_text("")
    monkeypatch.setenv("KINEO_HOME", "file/home")
    assert kineo("generate", "a ball", *LONG, "-o", "a.mp4") == 2
    assert "KINEO_HOME" in refusal(capsys)
    assert not list(here.glob("a.*"))


def test_frames_in_memory_are_as_they_were_made():
    """What a known canvas asks for stays; the mark is put on the way out."""
    pixels = textured(2)
    before = pixels.copy()
    mark.frames(pixels, CLAIM)
    assert np.array_equal(pixels, before)


def test_the_payload_tells_model_and_seed_alone():
    assert CLAIM.payload() == replace(CLAIM, prompt_hash="sha256:1", consent="yes").payload()
    assert CLAIM.payload() != replace(CLAIM, seed=4).payload()
    assert CLAIM.payload() >> 12 != replace(CLAIM, weights_hash="1" * 64).payload() >> 12
