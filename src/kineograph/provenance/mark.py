"""The only door from frames in memory to a released file; nothing else may call the encoder.

On the way out: words in a corner if they are asked for, then the invisible watermark, the encoder, metadata
in the container, and a C2PA signature last, which is read back before the file appears. Whoever takes frames
as an array instead takes them unmarked, which is in the open.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from kineograph.media.atomic import explaining, replacing
from kineograph.media.encode import Seal, open_encoder, save_image
from kineograph.media.sheets import contact_sheet
from kineograph.media.xmp import add_source_type
from kineograph.provenance.claim import Claim, Source
from kineograph.provenance.identity import identity, watermark_key
from kineograph.provenance.ingredients import Ingredient, ingredients_of
from kineograph.provenance.label import Label
from kineograph.provenance.manifests import needs_sidecar, sidecar_of
from kineograph.provenance.marking import MARKED, Marking
from kineograph.provenance.signing import sign, try_out
from kineograph.provenance.watermark import Watermark, Watermarker
from kineograph.video import Chunk, Frames, Video


@dataclass(frozen=True)
class Saved:
    """A file that was written, with the number, size in pixels and rate of its frames.

    `sidecar` is the signed manifest beside it, where the container has no room for one.
    """

    path: Path
    frames: int
    width: int
    height: int
    fps: float
    sidecar: Path | None = None


TRIAL = 16  # pixels a side


class _NothingYetError(Exception):
    """Ends a trial without leaving a file."""


def check(path: str | Path, fps: float, marking: Marking = MARKED) -> None:
    """Refuse before any work what `save` would refuse after it: folder, permission, suffix, rate, key, label.

    Raises:
        OutputError: the file can't be written or signed.
        RequestError: the signer or key that is configured, or a label, can't be used.
    """
    with suppress(_NothingYetError), open_encoder(path, TRIAL, TRIAL, fps):
        raise _NothingYetError
    if needs_sidecar(Path(path)):
        with suppress(_NothingYetError), replacing(sidecar_of(Path(path))):
            raise _NothingYetError
    if marking.label:
        Label(marking.label, TRIAL, TRIAL)
    if marking.watermark:
        watermark_key()
    if marking.sign:
        try_out(identity())


def save(
    items: Iterable[object],
    claim: Claim,
    path: str | Path,
    fps: float,
    marking: Marking = MARKED,
    sources: Sequence[Source] = (),
    watermarker: Watermarker | None = None,
) -> Saved:
    """Write the chunks among `items` as they come, marked.

    The file appears under its name only when it is whole and signed; an older one is then replaced.

    Args:
        items: what `generate` yields; whatever is no `Chunk` is passed over. At least one chunk.
        claim: what the file says about itself.
        path: the file; its suffix names the container.
        fps: frames per second.
        marking: which marks it gets. What is left out stands in the claim.
        sources: the files that went in. Their own signed manifests are kept in that of this file; one that
            can't be is left out, with a warning.
        watermarker: one that stands in for ours, such as a learned one; the claim names its class.

    Raises:
        OutputError: the file can't be written or signed.
        MediaError: a file that went in is gone, or can't be read.
        RequestError: a label doesn't fit into the frames, or the signer that is configured can't be used.
    """
    path, claim = Path(path), _recorded(claim, marking, watermarker)
    ingredients = ingredients_of(sources) if marking.sign else []
    chunks = (item for item in items if isinstance(item, Chunk))
    first = next(chunks, None)
    assert first is not None, "there are no frames to save"
    _, height, width, _ = first.frames.shape
    pen, count = _Pen(claim, marking, height, width, watermarker), 0
    with (
        _sealing(path, claim, marking, ingredients) as seal,
        open_encoder(path, width, height, fps, _tags(claim, marking), seal) as encoder,
    ):
        for chunk in chain([first], chunks):
            encoder.write(pen.mark(chunk.frames))
            count += len(chunk.frames)
    signed_beside = marking.sign and needs_sidecar(path)
    return Saved(path, count, width, height, fps, sidecar_of(path) if signed_beside else None)


def frames(pixels: Frames, claim: Claim) -> Frames:
    """Mark frames (T, H, W, 3) that are shown or shared without a file of their own, such as previews."""
    return _Pen(claim, MARKED, *pixels.shape[1:3]).mark(pixels)


def save_sheet(
    videos: Sequence[Video], labels: Sequence[str], columns: int, claim: Claim, path: str | Path
) -> Path:
    """Write a contact sheet of `videos` as a marked image. The sheet as a whole carries the watermark.

    Raises:
        OutputError: the file can't be written or signed.
    """
    sheet = frames(contact_sheet(videos, labels, columns)[None], claim)[0]
    path = Path(path)
    with _sealing(path, claim, MARKED, ()) as seal:
        save_image(path, sheet, _tags(claim, MARKED), seal)
    return path


@dataclass(frozen=True, eq=False)
class MadeVideo(Video):
    """A clip that was made: a `Video` that knows its claim, saves itself marked and shows in a notebook."""

    claim: Claim
    sources: tuple[Source, ...] = ()

    def save(self, path: str | Path, marking: Marking = MARKED) -> Saved:
        """Write the clip as a marked file, see `save`."""
        return save([Chunk(self.frames, 0)], self.claim, path, self.fps, marking, self.sources)

    def _repr_html_(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            data = base64.b64encode(self.save(Path(folder) / "clip.mp4").path.read_bytes()).decode()
        return (
            f'<video controls loop autoplay muted width="{max(self.width, 256)}" '
            f'src="data:video/mp4;base64,{data}"></video>'
        )


class _Pen:
    """Puts into frames of one size what is to be in the pixels."""

    def __init__(
        self, claim: Claim, marking: Marking, height: int, width: int, other: Watermarker | None = None
    ) -> None:
        self._label = Label(marking.label, width, height) if marking.label else None
        ours = other or Watermark(watermark_key(), claim.payload(), height, width)
        self._watermark = ours if marking.watermark else None

    def mark(self, pixels: Frames) -> Frames:
        labelled = self._label.draw(pixels) if self._label else pixels
        return self._watermark.embed(labelled) if self._watermark else labelled


def _recorded(claim: Claim, marking: Marking, watermarker: Watermarker | None) -> Claim:
    """The claim with what is left out, and what stands in for our watermark."""
    other = type(watermarker).__name__ if watermarker and marking.watermark else None
    return replace(claim, left_out=marking.left_out or None, watermarker=other)


def _tags(claim: Claim, marking: Marking) -> dict[str, str]:
    """What goes into the container or image as plain metadata.

    `AIGC` is the implicit label of GB 45438-2025, annex E; Label 1 says that the content is generated.
    """
    tags = {"comment": claim.to_json()}
    if marking.producer is None:
        return tags
    identifier = hashlib.sha256(claim.to_json().encode()).hexdigest()[:16]
    label = {"Label": "1", "ContentProducer": marking.producer, "ProduceID": identifier, "ReservedCode1": ""}
    spread = {"ContentPropagator": "", "PropagateID": "", "ReservedCode2": ""}
    return tags | {"AIGC": json.dumps(label | spread, ensure_ascii=False)}


@contextmanager
def _sealing(path: Path, claim: Claim, marking: Marking, ingredients: Sequence[Ingredient]) -> Iterator[Seal]:
    """What makes a finished file a released one; a manifest beside it appears right after it, or never."""
    seal = partial(_seal, claim=claim, marking=marking, ingredients=ingredients, path=path)
    if marking.sign and needs_sidecar(path):
        with replacing(sidecar_of(path)) as beside:
            yield partial(seal, sidecar=beside)
        return
    yield seal
    if needs_sidecar(path):  # one of a file that was replaced
        with explaining(sidecar_of(path)):
            sidecar_of(path).unlink(missing_ok=True)


def _seal(
    part: Path,
    claim: Claim,
    marking: Marking,
    ingredients: Sequence[Ingredient],
    path: Path,
    sidecar: Path | None = None,
) -> None:
    with explaining(path):
        add_source_type(part, claim.digital_source_type)
        if marking.sign:
            sign(part, claim, ingredients, identity(), sidecar)
