"""MNIST's images: taken from a folder, fetched into it from a server, and nothing else let in."""

import gzip
import hashlib
import http.server
import struct
import threading

import numpy as np
import pytest

from benchmarks import mnist
from kineograph.errors import DataError
from kineograph.worlds.digits import FILE, SIDE

IMAGES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE)).astype(np.uint8)
CONTENT = struct.pack(">4I", 2051, 3, SIDE, SIDE) + IMAGES.tobytes()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server with the file, packed, which is the one that is expected; how often it was asked."""
    (tmp_path / "there").mkdir()
    packed = gzip.compress(CONTENT)
    (tmp_path / "there" / f"{FILE}.gz").write_bytes(packed)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "there"))

        def log_message(self, *args):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(mnist, "URL", f"http://127.0.0.1:{server.server_port}/{FILE}.gz")
        monkeypatch.setattr(mnist, "SHA256", hashlib.sha256(packed).hexdigest())
        yield asked
        server.shutdown()


def test_images_are_fetched_once(served, tmp_path):
    for _ in range(2):
        assert np.array_equal(mnist.images_in(tmp_path / "here", download=True), IMAGES)
    assert len(served) == 1
    assert [path.name for path in (tmp_path / "here").iterdir()] == [f"{FILE}.gz"]


@pytest.mark.parametrize("name", [FILE, f"{FILE}.gz"])
def test_what_is_there_is_taken(served, tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(CONTENT) if name.endswith(".gz") else CONTENT)
    assert np.array_equal(mnist.images_in(tmp_path, download=True), IMAGES)
    assert served == []


def test_nothing_is_fetched_unless_it_is_asked_for(served, tmp_path):
    with pytest.raises(DataError, match="give MNIST's"):
        mnist.images_in(tmp_path)
    assert served == []


def test_another_file_is_not_let_in(served, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "SHA256", "0" * 64)
    with pytest.raises(DataError, match=r"holds something else than MNIST's .*: get it in another way\.$"):
        mnist.images_in(tmp_path / "here", download=True)
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("gone", ["of-another-name", "no server"])
def test_without_the_file_a_sentence_says_what_to_do(served, tmp_path, monkeypatch, gone):
    url = mnist.URL + gone if gone != "no server" else f"http://127.0.0.1:1/{FILE}.gz"
    monkeypatch.setattr(mnist, "URL", url)
    with pytest.raises(
        DataError, match=r"can't be read: get the file in another way and put it into .*here\.$"
    ):
        mnist.images_in(tmp_path / "here", download=True)
    assert not (tmp_path / "here").exists()
