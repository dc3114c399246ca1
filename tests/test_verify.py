"""What a file says of its origin is found out whoever made it, and is believed only as far as it deserves."""

import json
import os
import random
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from c2pa import Builder, Reader
from command import imported, kineo
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.errors import MediaError
from kineograph.media.encode import save_image
from kineograph.provenance import identity, manifests, mark, signing
from kineograph.provenance.claim import GENERATED, Claim
from kineograph.provenance.story import told
from kineograph.provenance.verify import signature_of, verify
from kineograph.video import Chunk

CLAIM = Claim("kineograph 1", GENERATED, seed=3, model="plain", weights_hash="0" * 64, prompt_hash="sha256:1")

CREATED = {
    "action": "c2pa.created",
    "digitalSourceType": GENERATED.replace("trainedAlgorithmicMedia", "digitalCapture"),
}


def textured(count=6, height=192, width=256):
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 1))
    waves = 120 + 50 * np.sin(np.arange(width) / 20)[None, :, None] + noise
    return np.broadcast_to(waves.clip(0, 255).astype(np.uint8), (count, height, width, 3)).copy()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for suffix in ("mp4", "webm", "gif"):
        mark.save([Chunk(textured(), 0)], CLAIM, folder / f"clip.{suffix}", 8)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state_of(kind, data, manifest=None):
    """As the reader tells it, in this process."""
    with manifests.context(identity.anchors()) as trusting:
        try:
            with Reader(kind, BytesIO(data), manifest, context=trusting) as reader:
                return reader.get_validation_state()
        except Exception as error:
            return type(error).__name__


# Tampering


def media_bytes(data, kind):
    """Where the picture is: all of a png's or gif's image data, an mp4's mdat."""
    if kind == "video/mp4":
        start = data.index(b"mdat") + 4
        return range(start, start - 8 + int.from_bytes(data[start - 8 : start - 4], "big"))
    return range(len(data) // 2, len(data) - 1)


@pytest.mark.parametrize(("name", "kind"), [("clip.mp4", "video/mp4"), ("clip.webm", "video/webm")])
def test_a_flipped_bit_anywhere_in_the_media_is_noticed(name, kind, clips):
    data = (clips / name).read_bytes()
    manifest = (clips / "clip.webm.c2pa").read_bytes() if name.endswith("webm") else None
    assert state_of(kind, data, manifest) == "Trusted"
    chance = random.Random(0)
    for at in chance.sample(media_bytes(data, kind), 500):
        flipped = bytearray(data)
        flipped[at] ^= 1 << chance.randrange(8)
        assert state_of(kind, bytes(flipped), manifest) not in ("Valid", "Trusted"), at


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_untouched_files_raise_no_alarm(count, here):
    who = identity.identity()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        save_image("a.png", pixels)
        signing.sign(Path("a.png"), CLAIM, (), who)
        assert state_of("image/png", Path("a.png").read_bytes()) == "Trusted"


def test_a_tampered_file_is_called_so_and_its_story_is_not_told_as_true(clips, here, capsys):
    data = bytearray((clips / "clip.mp4").read_bytes())
    data[data.index(b"mdat") + 60] ^= 1
    Path("a.mp4").write_bytes(data)
    assert kineo("verify", "a.mp4") == 4
    told = capsys.readouterr().out
    assert "TAMPERED" in told
    assert "Not to be believed" in told
    assert "signed and trusted" not in told


def test_a_sidecar_belongs_to_one_file(clips, here):
    mark.save([Chunk(textured(3), 0)], CLAIM, "other.webm", 8)
    Path("clip.webm").write_bytes((clips / "clip.webm").read_bytes())
    assert signature_of(Path("clip.webm"), identity.anchors()).signature == "none"
    Path("clip.webm.c2pa").write_bytes(Path("other.webm.c2pa").read_bytes())
    assert signature_of(Path("clip.webm"), identity.anchors()).signature == "tampered"


def test_what_lies_beside_a_file_is_second_to_what_is_in_it(clips, here):
    Path("clip.mp4").write_bytes((clips / "clip.mp4").read_bytes())
    Path("clip.mp4.c2pa").write_bytes((clips / "clip.webm.c2pa").read_bytes())
    assert signature_of(Path("clip.mp4"), identity.anchors()).signature == "trusted"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_sidecar_that_may_not_be_read_is_not_called_tampering(clips, here):
    Path("clip.webm").write_bytes((clips / "clip.webm").read_bytes())
    Path("clip.webm.c2pa").touch(mode=0)
    with pytest.raises(MediaError, match=r"'clip.webm.c2pa' may not be read"):
        verify("clip.webm")


# What is said


def test_a_trusted_file(clips, capsys):
    assert kineo("verify", clips / "clip.mp4") == 0
    told = capsys.readouterr().out
    assert "signed and trusted" in told
    assert "The model is plain" in told
    assert "made by a model (generative AI)" in told
    assert f"found, {CLAIM.payload():08x} under the public key" in told


def test_an_untrusted_file_is_never_called_trusted(clips, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KINEO_HOME", str(tmp_path / "stranger"))
    assert kineo("verify", clips / "clip.mp4") == 3
    told = capsys.readouterr().out
    assert "UNTRUSTED" in told
    assert "signed and trusted" not in told


def test_json_and_the_worst_of_several(clips, here, capsys):
    save_image("bare.png", np.zeros((48, 64, 3), np.uint8))
    Path("noise.mp4").write_bytes(b"no video")
    assert kineo("verify", clips / "clip.mp4", "bare.png", "noise.mp4", "--json") == 2
    out, err = capsys.readouterr()
    one, two, three = map(json.loads, out.splitlines())
    assert (one["signed"]["signature"], one["exit_code"]) == ("trusted", 0)
    assert (two["signed"]["signature"], two["exit_code"]) == ("none", 6)
    assert three["exit_code"] == 2
    assert three["error"] in err
    assert err.startswith("error: 'noise.mp4'")


def test_without_its_manifest_a_clip_is_known_by_its_pixels(clips, here, capsys):
    """As after an upload that keeps nothing but the picture."""
    from kineograph.media.decode import read_video

    video = read_video(clips / "clip.mp4")
    save_image("still.png", video.frames[0])
    assert kineo("verify", "still.png") == 5
    assert "found" in capsys.readouterr().out


def test_a_secret_watermark_is_found_by_its_owner_alone(here, monkeypatch):
    home = here / "home"
    home.mkdir()
    (home / "watermark.key").write_text("00112233445566778899aabbccddeeff")
    monkeypatch.setenv("KINEO_HOME", str(home))
    mark.save([Chunk(textured(), 0)], CLAIM, "a.mp4", 8)
    assert verify("a.mp4").watermark.secret_key
    (home / "watermark.key").unlink()
    assert verify("a.mp4").watermark.payload is None


def test_no_torch_is_needed(clips):
    printed, packages = imported(["verify", str(clips / "clip.mp4")])
    assert "signed" in printed
    assert "torch" not in packages


# Files of others


def test_a_file_of_another_tool(here, monkeypatch):
    """With another layout: camera capture, cropped, actions of version 2, other names."""
    actions = [
        CREATED,
        {"action": "c2pa.cropped", "softwareAgent": {"name": "Some Editor", "version": "9"}},
        {"action": "com.example.sparkled"},
    ]
    manifest = {
        "claim_generator_info": [{"name": "Some Camera", "version": "3.1"}],
        "title": "holiday.jpg",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }
    save_image("theirs.jpg", np.zeros((48, 64, 3), np.uint8))
    bare, signed = BytesIO(Path("theirs.jpg").read_bytes()), BytesIO()
    with manifests.context() as plain, Builder(manifest, plain) as builder:
        builder.sign(signing.signer(identity.identity()), "image/jpeg", bare, signed)
    Path("signed.jpg").write_bytes(signed.getvalue())
    verdict = verify("signed.jpg")
    assert verdict.signed.signature == "trusted"
    assert verdict.signed.story == (
        "Its maker is the software Some Camera 3.1.",
        "It was created, recorded by a camera.",
        "It was cropped, by Some Editor.",
        "The action com.example.sparkled was done.",
    )
    assert verdict.signed.claim == {}


NAMES = st.sampled_from(["label", "data", "actions", "action", "name", "assertions", "prompts", "left_out"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)


@given(st.dictionaries(st.sampled_from(["claim_generator_info", "assertions", "ingredients"]), ANYTHING))
@settings(max_examples=50)
def test_whatever_a_manifest_holds_is_told_in_printable_lines(manifest):
    assert all(sentence.isprintable() for sentence in told(manifest))


def test_words_of_strangers_do_not_steer_a_terminal():
    data = {"model": "\x1b[2J\u202eevil", "seed": "\n9", "prompts": ["a\x07b"], "consent": "x" * 10_000}
    sentences = told({"assertions": [{"label": "org.kineograph.claim", "data": data}]})
    assert all(sentence.isprintable() and len(sentence) < 300 for sentence in sentences)


def test_damaged_manifests_are_no_crash(clips, here, capsys):
    """Bits flipped in the manifest itself, and files cut short."""
    data, chance = (clips / "clip.mp4").read_bytes(), random.Random(1)
    start = data.index(b"jumb")
    for number in range(6):
        broken = bytearray(data)
        for at in chance.sample(range(start, start + 3000), 3):
            broken[at] ^= 1 << chance.randrange(8)
        Path("a.mp4").write_bytes(broken if number % 3 else broken[: len(data) // 2])
        assert kineo("verify", "a.mp4") in (2, 3, 4, 5, 6)
        assert "Traceback" not in "".join(capsys.readouterr())


def test_a_report_is_a_page_in_which_names_are_text(clips, here):
    hostile = Path("<script>alert(1)</script>.mp4".replace("/", "_"))
    hostile.write_bytes((clips / "clip.mp4").read_bytes())
    assert kineo("verify", hostile, "--report", "page.html") == 0
    page = Path("page.html").read_text()
    assert "<script" not in page
    assert "signed and trusted" in page


def test_a_report_never_replaces_a_clip(clips, here):
    Path("clip.mp4").write_bytes((clips / "clip.mp4").read_bytes())
    assert kineo("verify", clips / "clip.mp4", "--report", "clip.mp4") == 2
    assert Path("clip.mp4").read_bytes() == (clips / "clip.mp4").read_bytes()


def test_a_manifest_elsewhere_is_neither_fetched_nor_called_tampering(here, capsys):
    manifest = {"assertions": [{"label": "c2pa.actions", "data": {"actions": [CREATED]}}]}
    save_image("theirs.png", np.zeros((48, 64, 3), np.uint8))
    bare, signed = BytesIO(Path("theirs.png").read_bytes()), BytesIO()
    with manifests.context() as plain, Builder(manifest, plain) as builder:
        builder.set_remote_url("http://127.0.0.1:9/manifest")
        builder.set_no_embed()
        builder.sign(signing.signer(identity.identity()), "image/png", bare, signed)
    Path("signed.png").write_bytes(signed.getvalue())
    assert kineo("verify", "signed.png") == 6
    assert "127.0.0.1:9/manifest, which is not fetched" in capsys.readouterr().out


@pytest.mark.parametrize("name", [".", "", "/", "x" * 300, "a\0b"])
def test_names_of_no_file(name, capsys):
    assert kineo("verify", name) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_name_to_which_nothing_can_be_added(clips, here):
    longest = Path("x" * 251 + ".mp4")
    longest.write_bytes((clips / "clip.mp4").read_bytes())
    assert kineo("verify", longest) == 0


def test_nothing_to_verify(here, capsys):
    assert kineo("verify") == 2
    assert kineo("verify", "missing.mp4") == 2
    assert "does not exist" in capsys.readouterr().err
