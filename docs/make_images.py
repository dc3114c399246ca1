"""Draw the pictures of the README and the docs with the shipped model: `python docs/make_images.py`."""

from __future__ import annotations

from pathlib import Path

import kineograph
from kineograph.evaluation.release import sheet_claim
from kineograph.generation import generate_batch
from kineograph.provenance import mark

COLUMNS = 6  # frames of each clip
IMAGES = Path(__file__).parent / "images"
PROMPTS = (
    "a small red ball bounces over sand at sunset",
    "a large blue box moves left on grass by day",
    "a medium white car moves right on snow at night",
    "a large green ring circles over water by day",
    "a medium purple star goes up over grass at sunset",
    "a large yellow ball moves right on sand by day and a small blue car stays still",
)


def main() -> None:
    """Write `images/playground.png`: a row of frames for each prompt, seed 0."""
    model = kineograph.load("playground")
    videos = generate_batch([kineograph.Request(prompt) for prompt in PROMPTS], model)
    print(mark.save_sheet(videos, PROMPTS, COLUMNS, sheet_claim(model.spec), IMAGES / "playground.png"))


if __name__ == "__main__":
    main()
