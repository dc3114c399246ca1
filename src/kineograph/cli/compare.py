"""`kineo compare`: the families against one another."""

from __future__ import annotations

import math
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from kineograph.cli.output import print_json, say
from kineograph.cli.train import explaining_disk, interruptible
from kineograph.errors import RequestError
from kineograph.heap import keep_freed

if TYPE_CHECKING:
    from kineograph.cli.watch import News as Line
    from kineograph.cli.watch import Teller
    from kineograph.compare.contest import Entry, News, Terms

LEAST, MOST = 4, 4096  # clips of a cell
WorldName = Literal["small", "full"]


def compare(
    *families: str,
    budget: float = 12,
    data: Path | None = None,
    allow_unlicensed: Annotated[bool, Parameter(negative=())] = False,
    world: WorldName = "small",
    seed: int = 1,
    clips: int = 64,
    report: Path = Path("comparison"),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Train models of several families on the same clips for the same time, and measure all alike.

    A comparison that was stopped goes on where it was, if the same is asked for again.

    Examples:

        kineo compare --budget 12 --report comparison

        kineo compare rnn transformer --budget 3 --clips 16

        kineo compare unet diffusion-small --budget 3

        kineo compare --data clips --budget 5

    Parameters
    ----------
    families
        What to compare, families or presets: rnn stands for convlstm, its main preset. All five unless given.
    budget
        Minutes of training for each; for fewer than 12, fewer clips are made.
    data
        A folder of your own clips to learn from in place of a world's. Every fifth is kept from training, and
        the models are measured by it. See `kineo train` for captions and licences.
    allow_unlicensed
        Learn from clips of which sources.json says nothing too.
    world
        The world whose clips they learn from.
    seed
        The random seed of the clips and of the training.
    clips
        How many to make for each kind of scenes, 4 to 4096.
    report
        The folder for everything: README.md, comparison.html, comparison.json, and the models.
    json
        Print the reports as one JSON object at the end.
    """
    keep_freed()
    from kineograph.compare import page
    from kineograph.compare.contest import Terms, entrants

    if not LEAST <= clips <= MOST:
        raise RequestError(f"clips must be a whole number from {LEAST} to {MOST}, not {clips}.")
    if not 0 < budget < math.inf:
        raise RequestError(f"budget must be minutes above 0, not {budget:g}.")
    own = str(data.resolve()) if data else ""
    terms = Terms(entrants(families), budget, world, seed=seed, judged=clips, data=own)
    terms = replace(terms, allow_unlicensed=allow_unlicensed).in_proportion()
    with explaining_disk(report):
        entries = _follow(terms, report)
        for path in page.write(entries, terms, report):
            say(f"wrote {path}")
    if json:
        print_json({entry.preset: entry.report for entry in entries})


def _follow(terms: Terms, report: Path) -> list[Entry]:
    """Go through the comparison and show how far it is."""
    from kineograph.cli.watch import shown
    from kineograph.compare.contest import Trained
    from kineograph.compare.contest import compare as contest

    told = _Told()
    try:
        with interruptible() as interrupt, shown() as show, closing(contest(terms, report)) as news:
            while True:
                item = next(news)
                show(told.line(item))
                interrupt.check(item.event if isinstance(item, Trained) else None)
    except StopIteration as end:
        entries: list[Entry] = end.value
        return entries
    except KeyboardInterrupt:
        say("Stopped; to go on, ask for the same again.")
        raise


class _Told:
    """Puts news into words, those of each model by itself."""

    def __init__(self) -> None:
        from kineograph.cli.watch import Teller

        self._tellers = defaultdict[str, "Teller"](Teller)

    def line(self, news: News) -> Line:
        from kineograph.cli.watch import News as Line
        from kineograph.compare.contest import Measured

        preset = news.preset
        if isinstance(news, Measured):
            progress = news.progress
            done = progress.done / progress.total
            return Line(f"{preset}: measuring {progress.part}", f"{preset} measured", done)
        line = self._tellers[preset].tell(news.event)
        return Line(f"{preset}: {line.text}", line.about and f"{preset} {line.about}", line.done)
