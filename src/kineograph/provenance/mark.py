"""The only door from frames in memory to a released file; nothing else may call the encoder.

Whoever takes frames as an array instead takes them unmarked, which is in the open.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from kineograph.media.encode import open_encoder, save_image
from kineograph.media.sheets import contact_sheet
from kineograph.provenance.claim import Claim
from kineograph.video import Chunk, Frames, Video


@dataclass(frozen=True)
class Saved:
    """A file that was written, with the number, size in pixels and rate of its frames."""

    path: Path
    frames: int
    width: int
    height: int
    fps: float


class _NothingYetError(Exception):
    """Ends a trial without leaving a file."""


def check(path: str | Path, fps: float) -> None:
    """Refuse before any work what `save` would refuse after it: folder, permission, suffix, frame rate.

    Raises:
        OutputError: the file can't be written.
    """
    with suppress(_NothingYetError), open_encoder(path, 16, 16, fps):
        raise _NothingYetError


def save(items: Iterable[object], claim: Claim, path: str | Path, fps: float) -> Saved:
    """Write the chunks among `items` as they come, with the claim in the container's metadata.

    The file appears under its name only when it is whole; an older one of that name is then replaced.

    Args:
        items: what `generate` yields; whatever is no `Chunk` is passed over. At least one chunk.
        claim: what the file says about itself.
        path: the file; its suffix names the container.
        fps: frames per second.

    Raises:
        OutputError: the file can't be written.
    """
    chunks = (item for item in items if isinstance(item, Chunk))
    first = next(chunks, None)
    assert first is not None, "there are no frames to save"
    _, height, width, _ = first.frames.shape
    count = 0
    with open_encoder(path, width, height, fps, claim.metadata()) as encoder:
        for chunk in chain([first], chunks):
            encoder.write(frames(chunk.frames))
            count += len(chunk.frames)
    return Saved(Path(path), count, width, height, fps)


def frames(pixels: Frames) -> Frames:
    """Mark frames (T, H, W, 3) that are shown or shared without a file of their own.

    Every frame that leaves the program passes here: those of files, previews, notebooks and contact sheets.
    The pixels are left as they are; what marks a file is the claim in its metadata.
    """
    return pixels


def save_sheet(
    videos: Sequence[Video], labels: Sequence[str], columns: int, claim: Claim, path: str | Path
) -> Path:
    """Write a contact sheet of `videos` as an image with the claim in its metadata.

    Raises:
        OutputError: the file can't be written.
    """
    shown = [Video(frames(video.frames), video.fps) for video in videos]
    save_image(path, contact_sheet(shown, labels, columns), claim.metadata())
    return Path(path)


@dataclass(frozen=True, eq=False)
class MadeVideo(Video):
    """A clip that was made: a `Video` that knows its claim, saves itself marked and shows in a notebook."""

    claim: Claim

    def save(self, path: str | Path) -> Saved:
        """Write the clip as a marked file, see `save`."""
        return save([Chunk(self.frames, 0)], self.claim, path, self.fps)

    def _repr_html_(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            data = base64.b64encode(self.save(Path(folder) / "clip.mp4").path.read_bytes()).decode()
        return (
            f'<video controls loop autoplay muted width="{max(self.width, 256)}" '
            f'src="data:video/mp4;base64,{data}"></video>'
        )
