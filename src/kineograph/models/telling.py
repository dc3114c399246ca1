"""From canvases to what guides a window of them: paths scaled to the native frame, maps, latents of clips.

B clips, T frames, H x W pixels; t latent frames, h x w cells, C latent channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from kineograph.canvas import Canvas
from kineograph.controls import ACTIONS
from kineograph.models.family import Spec
from kineograph.models.guides import KINDS, MAP_CELL, PER_FRAME, style_of, untold
from kineograph.models.tokenizer import SPACE_STRIDE, to_signal
from kineograph.video import Frames

Values = NDArray[np.float32]

MAP_PIXELS = SPACE_STRIDE // MAP_CELL  # along the side of a map's cell


class Telling:
    """What the canvases of a batch are told, on a latent grid (t, h, w); `encode` makes latents
    (B, t, C, h, w) of frames (B, T, 3, H, W) in [-1, 1]."""

    def __init__(
        self, spec: Spec, grid: tuple[int, int, int], channels: int, encode: Callable[[Tensor], Tensor]
    ) -> None:
        self.spec, self.grid, self.channels, self.encode = spec, grid, channels, encode

    def styles(self, canvases: Sequence[Canvas]) -> Tensor:
        """The style (B, 2 C) of each canvas's clips, what lies between if there are several; NaN if none."""
        nothing = torch.full((2 * self.channels,), torch.nan)
        wanted = [canvas.guides.get("style") for canvas in canvases]
        return torch.stack([self._style(clips) if clips else nothing for clips in wanted])

    def _style(self, clips: Sequence[Frames]) -> Tensor:
        return torch.stack([self._style_of(clip) for clip in clips]).mean(dim=0).cpu()

    def _style_of(self, clip: Frames) -> Tensor:
        """The mean style (2 C,) of a clip's windows, by how much of the clip each of them shows."""
        starts = range(0, len(clip), self.spec.window)
        styles = torch.cat([style_of(self.encode(self._window_of([clip], at))) for at in starts])
        shown = torch.tensor([min(self.spec.window, len(clip) - at) for at in starts]).to(styles)
        return (shown[:, None] * styles).sum(dim=0) / len(clip)

    def window(self, canvases: Sequence[Canvas], styles: Tensor, start: int) -> dict[str, Tensor] | None:
        """All kinds of guides of the window that begins at the frame `start`; None if nothing is told."""
        if not any(canvas.source or canvas.guides.keys() & set(KINDS) for canvas in canvases):
            return None
        told = untold(len(canvases), self.grid, self.channels) | {"style": styles}
        inside = slice(max(0, start), start + self.spec.window)
        before = max(0, -start)
        for row, canvas in enumerate(canvases):
            for kind in canvas.guides.keys() & set(PER_FRAME):
                values = torch.from_numpy(self._native(kind, canvas, inside))
                told[kind][row, before : before + len(values)] = values
        changed = {row: canvas.source.frames for row, canvas in enumerate(canvases) if canvas.source}
        if changed:
            told["source"][list(changed)] = self.encode(self._window_of(list(changed.values()), start)).cpu()
        return told

    def _native(self, kind: str, canvas: Canvas, inside: slice) -> Values:
        """A guide of some frames, as `untold` has it: in fractions of a native frame."""
        values = canvas.guides[kind][inside]
        if kind == "actions":
            return np.eye(len(ACTIONS), dtype=np.float32)[[ACTIONS.index(action) for action in values]]
        if kind in ("depth", "edges"):
            return self._map(np.asarray(values, np.float32), outlines=kind == "edges")
        across, down = canvas.width / self.spec.width, canvas.height / self.spec.height
        scale = (across, 1.0) if kind == "camera" else (across, down) * (values.shape[-1] // 2)
        return np.asarray(values * np.array(scale), np.float32)

    def _map(self, values: Values, outlines: bool) -> Values:
        """Maps (T, H, W) padded to the native size, in the cells of a guide: (T, g, g)."""
        beside = [(0, self.spec.height - values.shape[1]), (0, self.spec.width - values.shape[2])]
        padded = np.pad(values, ((0, 0), *beside), mode="constant" if outlines else "edge")
        cells = rearrange(padded, "t (h p) (w q) -> t h w (p q)", p=MAP_PIXELS, q=MAP_PIXELS)
        return np.asarray((cells.max(axis=-1) >= 0.5) if outlines else cells.mean(axis=-1), np.float32)

    def _window_of(self, clips: Sequence[Frames], start: int) -> Tensor:
        """The frames of a window of clips that are given whole; edges and ends are continued."""
        shown = []
        for clip in clips:
            length, height, width, _ = clip.shape
            at = np.arange(start, start + self.spec.window).clip(0, length - 1)
            beside = ((0, 0), (0, self.spec.height - height), (0, self.spec.width - width), (0, 0))
            shown.append(np.pad(clip[at], beside, mode="edge"))
        return to_signal(torch.from_numpy(np.stack(shown)))
