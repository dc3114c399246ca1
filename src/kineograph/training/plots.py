"""The loss of a stage as a curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kineograph.training import log

PLOT = "loss.png"


def plot_loss(folder: Path) -> Path:
    """Draw the log in `folder` into its loss.png: every step faintly, and a running mean.

    Raises:
        ImportError: matplotlib is missing; it comes with `pip install 'kineograph[plots]'`.
    """
    from matplotlib.figure import Figure

    lines = log.read(folder)
    steps, losses = (np.array([line[name] for line in lines]) for name in ("step", "loss"))
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, losses, color="0.8", linewidth=0.7, label="each step")
    axes.plot(steps, running_mean(losses), color="tab:blue", label="running mean")
    axes.set(
        title=folder.name, xlabel="step", ylabel="loss", yscale="log" if (losses > 0).all() else "linear"
    )
    axes.grid(alpha=0.3)
    axes.legend()
    aside = folder / f".{PLOT}.part"
    figure.savefig(aside, format="png", dpi=120)
    return aside.replace(folder / PLOT)


def running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the values (N,) up to and with each, over a fiftieth of them or ten."""
    width = max(10, len(values) // 50)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - width)
    means: NDArray[np.float64] = (sums[ends] - sums[begins]) / (ends - begins)
    return means
