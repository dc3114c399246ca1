"""`python -m benchmarks.play`: how fast is a world that is played, and does it do what it is told?"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import kineograph
from benchmarks.command import run
from kineograph import catalog
from kineograph.data.lessons import random_actions
from kineograph.evaluation import cost
from kineograph.evaluation.figures import Figure, Values
from kineograph.evaluation.guiding import GROUNDS, captions_without
from kineograph.evaluation.obedience import MEASURES, asked_of, see
from kineograph.evaluation.report import table
from kineograph.generation import play
from kineograph.media.atomic import replacing
from kineograph.models.family import Model
from kineograph.request import Request
from kineograph.video import Frames
from kineograph.worlds.scene import Scene
from kineograph.worlds.world import FULL

RATE, LATENCY, CORRELATION = 24.0, 120.0, 0.9  # the aims: frames a second, milliseconds, and of steps


@dataclass(frozen=True, eq=False)
class Played:
    """A world that was played: its frames (T, H, W, 3), the seconds from each action to its frame, and those
    that all of it took from the first action on."""

    frames: Frames
    waits: Sequence[float]
    took: float

    @property
    def rate(self) -> float:
        """Frames a second."""
        return len(self.waits) / self.took


def played(request: Request, model: Model, actions: Sequence[str]) -> Played:
    """Play as fast as it goes."""
    taken: list[float] = []

    def acting() -> Iterator[str]:
        for action in actions:
            taken.append(time.perf_counter())
            yield action

    chunks = [(chunk.frames, time.perf_counter()) for chunk in play(request, model, acting())]
    shown = [at for _, at in chunks[1:]]
    waits = [at - began for at, began in zip(shown, taken, strict=True)]
    return Played(np.concatenate([frames for frames, _ in chunks]), waits, shown[-1] - taken[0])


def scenes_of(count: int, actions: int) -> list[Scene]:
    """Scenes in which a thing stands alone, each with so many actions."""
    (ground,) = (ground for ground in GROUNDS if ground.name == "actions")
    acting = [random_actions(random.Random(number), actions) for number in range(count)]
    return [replace(scene, actions=done) for scene, done in zip(ground.scenes(count), acting, strict=True)]


def steps_of(scenes: Sequence[Scene], worlds: Sequence[Played], model: Model) -> Values:
    """(N, T - 1, 2, 2) asked and seen displacements from frame to frame."""
    spec = replace(model.spec, window=len(worlds[0].frames))
    _, asked = asked_of(scenes, spec)
    read = MEASURES["actions"][0].read
    return np.stack([read(a, *see(w.frames[None], spec.fps)) for a, w in zip(asked, worlds, strict=True)])


def page(worlds: Sequence[Played], steps: Values, given: Mapping[str, float | None]) -> str:
    """The figures as a page in Markdown; `given` are options that say how frames are made."""
    machine = cost.machine()
    waits = np.concatenate([world.waits for world in worlds]) * 1000
    _, height, width, _ = worlds[0].frames.shape
    obeyed = [(measure.name, measure.figure(steps)) for measure in MEASURES["actions"]]
    rows = [
        ["frames a second, median", f"{np.median([world.rate for world in worlds]):.1f}", f"{RATE:g}"],
        ["action to frame, median", f"{np.median(waits):.0f} ms", ""],
        ["action to frame, 95% within", f"{np.percentile(waits, 95):.0f} ms", f"{LATENCY:g} ms"],
        *(
            [name, _told(figure), f"{CORRELATION:g}" if not n else ""]
            for n, (name, figure) in enumerate(obeyed)
        ),
    ]
    option = f" --worlds {len(worlds)} --actions {len(worlds[0].waits)}"
    option += "".join(f" --{name} {value:g}" for name, value in given.items() if value is not None)
    return f"""# Played worlds

    python -m benchmarks.play{option} --report docs/play.md

printed this page with kineograph {kineograph.__version__} on {machine.processor}, {machine.cores} cores, \
{machine.precision}.

{len(worlds)} worlds of {width}x{height} pixels, each begun from a prompt and played with \
{len(worlds[0].waits)} random actions,
as fast as it goes. Displacements from frame to frame, asked and found by detectors, are
compared in both directions; what is not found stands still.

{table(("", "measured", "aim"), rows)}
"""


def _told(figure: Figure) -> str:
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def main(
    *,
    worlds: int = 16,
    actions: int = 32,
    model: str = "playground",
    steps: int | None = None,
    guidance: float | None = None,
    report: Path | None = None,
) -> None:
    """Play worlds with random actions and tell how fast that goes and how well it is obeyed.

    Parameters
    ----------
    worlds
        How many.
    actions
        How many frames of each.
    model
        The model, a name or a folder.
    steps
        Network evaluations for each frame.
    guidance
        How strongly actions and prompt pull, 1 for not at all.
    report
        Write the page into this file too.
    """
    loaded, scenes = catalog.load(model), scenes_of(worlds, actions)
    done = []
    captions = captions_without(("actions",), scenes, FULL)
    for seed, (scene, prompt) in enumerate(zip(scenes, captions, strict=True)):
        done.append(played(Request(prompt, seed=seed, steps=steps, guidance=guidance), loaded, scene.actions))
        print(f"{prompt}: {done[-1].rate:.1f} frames a second", file=sys.stderr, flush=True)
    given = {"steps": steps, "guidance": guidance}
    text = page(done, steps_of(scenes, done, loaded), given)
    if report is not None:
        with replacing(report) as part:
            part.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run(main)
