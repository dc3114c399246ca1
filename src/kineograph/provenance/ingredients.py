"""The files that a clip was made from, and the signed manifests that they bring into that of the clip."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from c2pa import Builder, C2paError, Context, Reader

from kineograph.errors import MediaError
from kineograph.media.sandbox import opened
from kineograph.media.wire import LIMITS, Unreadable
from kineograph.provenance.claim import Source
from kineograph.provenance.manifests import SIDECAR, SidecarError, examined
from kineograph.provenance.story import printable

ANY_FILE = "application/octet-stream"  # no manifest is looked for in it


@dataclass(frozen=True)
class Ingredient:
    """A file that went in, its media type, and whether it `brings` a manifest that is to be kept; `beside` is
    that, if it lies beside the file."""

    source: Source
    kind: str
    brings: bool = False
    beside: bytes | None = None

    def dropped(self) -> Ingredient:
        """The same as a file of any kind, in which no manifest is looked for."""
        return Ingredient(self.source, ANY_FILE)

    def warn(self, reason: object) -> None:
        """Say that its manifest is not kept."""
        name = printable(Path(self.source.path).name)
        warnings.warn(f"The manifest of {name} is not kept: {printable(reason)}", stacklevel=2)


class NotKeptError(Exception):
    """The manifest of the ingredient of this `number` can't be kept."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number


def ingredients_of(sources: Sequence[Source]) -> list[Ingredient]:
    """Look at each file once; a child with limits is the first to read what strangers have written there.

    A manifest that can't be read is left out, with a warning.

    Raises:
        MediaError: a file is gone, or can't be read.
    """
    return [_ingredient(source) for source in sources]


def _ingredient(source: Source) -> Ingredient:
    try:
        found = examined(Path(source.path))
    except SidecarError as error:
        reason: object = error
    else:
        if "reason" not in found.answer:
            return Ingredient(source, found.kind, "state" in found.answer, found.beside)
        reason = found.answer["reason"]
    dropped = Ingredient(source, ANY_FILE)
    dropped.warn(reason)
    return dropped


def label_of(number: int) -> str:
    """How actions call the ingredient of this number."""
    return f"source-{number}"


def add(builder: Builder, ingredient: Ingredient, number: int, settings: Context) -> None:
    """Name a file that went in, not by its path, with the manifest that it brings.

    Raises:
        NotKeptError: that manifest can't be kept.
        MediaError: the file is gone.
    """
    source = ingredient.source
    relation = "parentOf" if source.parent else "componentOf"
    described: dict[str, Any] = {"label": label_of(number), "relationship": relation}
    try:
        with opened(source.path, LIMITS) as file:
            if ingredient.beside is not None:
                described |= _brought(builder, ingredient, number, file, settings)
            builder.add_ingredient(json.dumps(described), ingredient.kind, file)
    except Unreadable as reason:
        raise MediaError(f"{source.path!r} {reason}") from reason
    except C2paError as error:
        if ingredient.kind == ANY_FILE:
            raise
        raise NotKeptError(number, str(error)) from error


def _brought(
    builder: Builder, ingredient: Ingredient, number: int, file: BinaryIO, settings: Context
) -> dict[str, Any]:
    """What the description says of the manifest beside a file, which goes along as a resource."""
    with Reader(ingredient.kind, file, ingredient.beside, context=settings) as reader:
        store = json.loads(reader.json())
    file.seek(0)
    name = f"{label_of(number)}{SIDECAR}"
    builder.add_resource(name, BytesIO(ingredient.beside or b""))
    kept = {"format": "application/c2pa", "identifier": name}
    known = ("active_manifest", "validation_results")
    return {"format": ingredient.kind, "manifest_data": kept, **{key: store.get(key) for key in known}}
