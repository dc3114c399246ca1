"""What tells one set of weights from another."""

from __future__ import annotations

import hashlib
from pathlib import Path


def weights_hash(folder: Path) -> str:
    """One SHA-256 over all the weights in a model's folder. Raises OSError."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()
