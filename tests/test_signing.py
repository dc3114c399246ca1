"""Who signs, and with what; the local certificate, one of somebody's own, a service that keeps the key."""

import json
import os
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kineograph.errors import KineographError, OutputError, RequestError
from kineograph.media.encode import save_image
from kineograph.provenance import identity
from kineograph.provenance.claim import GENERATED, Claim, Source
from kineograph.provenance.ingredients import ingredients_of
from kineograph.provenance.signing import sign
from kineograph.provenance.verify import signature_of

CLAIM = Claim("kineograph 1", GENERATED, seed=3)
SERVICE = """
import sys
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

key = load_pem_private_key(open(sys.argv[1], "rb").read(), None)
r, s = decode_dss_signature(key.sign(sys.stdin.buffer.read(), ECDSA(SHA256())))
sys.stdout.buffer.write(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user who has never signed."""
    monkeypatch.setenv("KINEO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def picture(name="picture.png"):
    save_image(name, np.zeros((48, 64, 3), np.uint8))
    return Path(name)


def settings(home, **values):
    home.mkdir(exist_ok=True)
    (home / "signer.json").write_text(json.dumps(values))


@pytest.fixture
def own(home, tmp_path, monkeypatch):
    """The certificate and key of somebody, whom this machine doesn't trust."""
    monkeypatch.setenv("KINEO_HOME", str(tmp_path / "elsewhere"))
    identity.identity()
    monkeypatch.setenv("KINEO_HOME", str(home))
    return tmp_path / "elsewhere" / "signer"


def test_the_local_certificate_is_made_once_and_for_its_owner_alone(home):
    first = identity.identity()
    assert identity.identity() == first
    assert stat.S_IMODE((home / "signer" / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "signer").stat().st_mode) == 0o700
    leaf, root = x509.load_pem_x509_certificates(first.chain.encode())
    assert leaf.not_valid_after_utc > datetime.now(UTC) + timedelta(days=5 * 365)
    leaf.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    key = load_pem_private_key(first.key.encode(), None)
    assert key.public_key() == leaf.public_key()


def test_the_roots_key_is_kept_nowhere(home):
    identity.identity()
    assert (
        sum(path.read_text().count("PRIVATE KEY") for path in home.rglob("*.pem")) == 2
    )  # begin and end of one


def test_many_at_once_agree_on_one_certificate():
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: identity.identity(), range(16)))
    assert len({one.chain for one in found}) == len({one.key for one in found}) == 1


def test_files_of_another_machine_are_whole_but_not_trusted(home, own):
    path = picture()
    sign(path, CLAIM, (), identity.Identity((own / "chain.pem").read_text(), (own / "key.pem").read_text()))
    assert signature_of(path, identity.anchors()).signature == "untrusted"
    assert signature_of(path, identity.anchors([own / "root.pem"])).signature == "trusted"
    (home / "trusted").mkdir(parents=True)
    (home / "trusted" / "friend.pem").write_text((own / "root.pem").read_text())
    assert signature_of(path, identity.anchors()).signature == "trusted"


def test_a_certificate_of_ones_own(home, own):
    settings(home, certificates=str(own / "chain.pem"), key=str(own / "key.pem"))
    path = picture()
    sign(path, CLAIM, (), identity.identity())
    assert signature_of(path, identity.anchors([own / "root.pem"])).signature == "trusted"
    assert not (home / "signer").exists()


def test_a_service_that_keeps_the_key(home, own):
    Path("service.py").write_text(SERVICE)
    command = [sys.executable, "service.py", str(own / "key.pem")]
    settings(home, certificates=str(own / "chain.pem"), command=command)
    path = picture()
    sign(path, CLAIM, (), identity.identity())
    assert signature_of(path, identity.anchors([own / "root.pem"])).signature == "trusted"


@pytest.mark.parametrize("service", ["raise SystemExit(1)", "print('no signature')", ""])
def test_a_service_that_fails_leaves_the_file_unsigned_and_says_so(service, home, own):
    Path("service.py").write_text(service)
    settings(home, certificates=str(own / "chain.pem"), command=[sys.executable, "service.py"])
    path = picture()
    before = path.read_bytes()
    with pytest.raises(OutputError, match="can't be signed"):
        sign(path, CLAIM, (), identity.identity())
    assert path.read_bytes() == before
    assert not list(Path.cwd().glob(".kineograph-*"))


@pytest.mark.parametrize("signed", [True, False])
def test_a_service_that_fails_says_nothing_of_footage(signed, home, own, recwarn):
    """It is what failed, whether or not the footage brings a manifest."""
    footage = picture("footage.png")
    if signed:
        sign(footage, CLAIM, (), identity.identity())
    Path("service.py").write_text("raise SystemExit(1)")
    settings(home, certificates=str(own / "chain.pem"), command=[sys.executable, "service.py"])
    went_in = ingredients_of([Source("footage.png", True)])
    assert went_in[0].brings == signed
    with pytest.raises(OutputError, match="can't be signed"):
        sign(picture(), CLAIM, went_in, identity.identity())
    assert not recwarn.list


def test_a_time_stamp_server_that_can_not_be_reached_is_a_warning(own):
    chain, key = ((own / name).read_text() for name in ("chain.pem", "key.pem"))
    path = picture()
    with pytest.warns(UserWarning, match="No time stamp"):
        sign(path, CLAIM, (), identity.Identity(chain, key, time_stamp="http://127.0.0.1:9/"))
    assert signature_of(path, identity.anchors([own / "root.pem"])).signature == "trusted"


WRONG = {
    "no object": "[]",
    "no JSON": "{",
    "unknown": '{"certificate": "a.pem"}',
    "incomplete": "{}",
    "neither": '{"certificates": "a.pem"}',
    "both": '{"certificates": "a.pem", "key": "b.pem", "command": ["sign"]}',
    "missing file": '{"certificates": "a.pem", "key": "b.pem"}',
    "no name": '{"certificates": "a\\u0000b", "key": "b.pem"}',
    "algorithm": '{"certificates": "a.pem", "key": "b.pem", "algorithm": "rot13"}',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_settings_that_are_wrong(text, home):
    home.mkdir()
    (home / "signer.json").write_text(text)
    with pytest.raises(RequestError) as caught:
        identity.identity()
    assert str(caught.value).endswith(".")
    assert str(home) in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"]
)
def test_a_root_that_is_none_is_refused(text):
    """One that is damaged would make every signed file unreadable."""
    Path("root.pem").write_text(text)
    with pytest.raises(RequestError, match="no whole certificate"):
        identity.anchors([Path("root.pem")])


def test_a_key_without_its_certificate_is_not_written_over(home):
    identity.identity()
    (home / "signer" / "chain.pem").unlink()
    before = (home / "signer" / "key.pem").read_text()
    with pytest.raises(OutputError, match="KINEO_HOME"):
        identity.identity()
    assert (home / "signer" / "key.pem").read_text() == before


@pytest.mark.slow
def test_a_certificate_that_has_ended_makes_a_file_untrusted_but_not_tampered(home, monkeypatch):
    """Without a time stamp nobody knows whether it was signed in time; the file is whole all the same."""
    monkeypatch.setattr(identity, "YEARS", 5 / (365 * 24 * 3600))
    path = picture()
    sign(path, CLAIM, (), identity.identity())
    assert signature_of(path, identity.anchors()).signature == "trusted"
    time.sleep(6)
    ended = signature_of(path, identity.anchors())
    assert (ended.signature, ended.faults) == ("untrusted", ("signingCredential.expired",))
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert signature_of(path, identity.anchors()).signature == "tampered"


def test_a_key_that_does_not_fit(home, own):
    identity.identity()
    settings(home, certificates=str(own / "chain.pem"), key="signer/key.pem")
    path = picture()
    with pytest.raises(OutputError, match="can't be signed"):
        sign(path, CLAIM, (), identity.identity())


@pytest.mark.parametrize("text", ["", "abc", "0123", "not hexadecimal, but long enough to be one"])
def test_a_secret_key_for_watermarks_that_is_none(text, home):
    home.mkdir()
    (home / "watermark.key").write_text(text)
    with pytest.raises(RequestError, match="hexadecimal"):
        identity.watermark_key()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_may_not_be_written(home):
    home.mkdir(mode=0o500)
    with pytest.raises(KineographError, match="KINEO_HOME"):
        identity.identity()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
@pytest.mark.parametrize("ask", [identity.identity, identity.watermark_key, identity.anchors])
def test_a_home_that_may_not_be_looked_into(ask, home):
    home.mkdir(mode=0)
    with pytest.raises(RequestError, match="KINEO_HOME"):
        ask()
