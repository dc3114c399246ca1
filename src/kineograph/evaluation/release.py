"""A report in a folder: README.md, which is the card, report.json, a contact sheet and learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from kineograph.evaluation.card import CURVES, SHEET, card, plot_curves
from kineograph.evaluation.report import Report
from kineograph.media.atomic import explaining, replacing
from kineograph.provenance import mark
from kineograph.provenance.claim import sheet_claim
from kineograph.video import Video

COLUMNS = 6  # frames of each clip on the sheet
CARD, FIGURES = "README.md", "report.json"


def open_folder(folder: Path) -> None:
    """Make the folder, and refuse before any work one that can't be written to.

    Raises:
        OutputError: it can't be made or written to.
    """
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".kineograph-trial"
        trial.touch()
        trial.unlink()


def write(report: Report, clips: Sequence[Video], prompts: Sequence[str], folder: Path) -> None:
    """Write the report and a sheet of `clips`, made from `prompts`; files of these names are replaced.

    The figures come first, as they took longest, and the card last, as it shows the pictures.

    Raises:
        OutputError: one of them can't be written.
    """
    _write_text(folder / FIGURES, report.to_json() + "\n")
    mark.save_sheet(clips, prompts, COLUMNS, sheet_claim(report.spec), folder / SHEET)
    pictures = [SHEET]
    if report.facts is not None and report.facts.stages and find_spec("matplotlib"):
        with replacing(folder / CURVES) as part:
            plot_curves(report.facts, part)
        pictures.append(CURVES)
    _write_text(folder / CARD, card(report, pictures))


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
