"""An audit in bars; needs matplotlib, `pip install 'kineograph[plots]'`."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from kineograph.evaluation.audit.findings import Audit, Opened, Parity

WIDTH = 0.38  # of a bar


def plots(audit: Audit) -> dict[str, bytes]:
    """A PNG for each group that was left open, and one for each whose values were compared, by file name."""
    pooled = {one.group: one for one in audit.opened if one.shares}  # the last row of a group has all prompts
    pictures = {f"open-{name}.png": _drawn(_open, one, one.labels) for name, one in pooled.items()}
    pictures |= {f"parity-{one.group}.png": _drawn(_compared, one, one.labels) for one in audit.parity}
    return pictures


def _drawn(draw: Any, found: Opened | Parity, labels: tuple[str, ...]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    draw(axes, found)
    axes.set_xticks(range(len(labels)), labels)
    axes.legend(fontsize=7)
    axes.grid(axis="y", alpha=0.3)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def _open(axes: Any, found: Opened) -> None:
    at = range(len(found.labels))
    axes.bar([x - WIDTH / 2 for x in at], found.shares, WIDTH, label="came")
    axes.bar([x + WIDTH / 2 for x in at], found.target, WIDTH, label="target", color="0.7")
    axes.set(title=f"{found.group}, left open: {found.verdict}", ylabel="share of the clips that were read")


def _compared(axes: Any, found: Parity) -> None:
    known = [measure for measure in found.measures if measure.gap]
    width = 0.8 / max(1, len(known))
    for number, measure in enumerate(known):
        at = [x + (number - (len(known) - 1) / 2) * width for x in range(len(found.labels))]
        axes.bar(at, measure.means, width, label=f"{measure.name}: {measure.verdict}")
    axes.set(title=f"{found.group}, the same prompts and seeds", ylabel="mean")
