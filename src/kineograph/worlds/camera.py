"""How a camera moves: sideways, past things that shift the more the nearer they are, or with its lens.

A path holds, for each time, the shift of what is nearest, in fractions of the frame's width to the right, and
the zoom about FOCUS. Both start (for `zoom out`: end) at rest and come to rest after CAMERA_SECONDS.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kineograph.worlds.world import FULL

CAMERAS = FULL.cameras
CAMERA_SECONDS = 2.0
PAN = 0.16  # shift of the nearest ground, in fractions of the frame's width
ZOOM = 1.22
FOCUS = (0.5, 0.72)  # what stays in place when the camera zooms
SKY, HILLS = 0.03, 0.12  # how much of the shift they follow


def camera_path(camera: Tensor, t: Tensor) -> Tensor:
    """(N,) numbers of cameras, (T,) seconds → (N, T, 2) shift and zoom, float64."""
    share = (t / CAMERA_SECONDS).clamp(max=1)
    still = torch.zeros_like(share)
    nearer, farther = 1 + (ZOOM - 1) * share, ZOOM - (ZOOM - 1) * share
    shifts = torch.stack([still, PAN * share, -PAN * share, still, still])
    zooms = torch.stack([still + 1, still + 1, still + 1, nearer, farther])
    return torch.stack([shifts[camera], zooms[camera]], -1)


def follow(p: Tensor) -> Tensor:
    """How much of the shift the ground follows at p, from 0 at the horizon to 1 at the bottom edge."""
    return HILLS + (1 - HILLS) * p
