"""MNIST's test images: from a folder, or into it from the network."""

from __future__ import annotations

import hashlib
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from kineograph.errors import DataError
from kineograph.media.atomic import explaining, replacing
from kineograph.worlds.digits import FILE, Pixels, read_digits

URL = f"https://ossci-datasets.s3.amazonaws.com/mnist/{FILE}.gz"
SHA256 = "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
MOST, PATIENCE = 10_000_000, 60  # bytes, and seconds of silence


def images_in(folder: Path, *, download: bool = False) -> Pixels:
    """The images (10000, 28, 28) in the folder, as MNIST has them or as .gz; fetched first where there are
    none and it is asked for.

    Raises:
        DataError: there are none, they can't be fetched, or what is there holds something else.
    """
    plain, packed = folder / FILE, folder / f"{FILE}.gz"
    if download and not (plain.exists() or packed.exists()):
        _fetch(packed)
    return read_digits(packed if packed.exists() else plain)


def _fetch(path: Path) -> None:
    try:
        with urlopen(URL, timeout=PATIENCE) as answer:
            content = answer.read(MOST)
    except (OSError, HTTPException) as error:
        instead = f"get the file in another way and put it into {path.parent}"
        raise DataError(f"{URL} can't be read: {instead}.") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{URL} holds something else than MNIST's {FILE}: get it in another way.")
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_bytes(content)
