"""A model's card: what it is, what it learnt from, what it can and can't do, with every figure measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kineograph.canvas import GUIDES, TASKS
from kineograph.evaluation.adherence import Adherence
from kineograph.evaluation.cost import PROMPT
from kineograph.evaluation.facts import Facts
from kineograph.evaluation.filling import TASKS as FILLED
from kineograph.evaluation.learnt import Learnt, section
from kineograph.evaluation.report import Report, percent, table, tables
from kineograph.models.family import Spec
from kineograph.request import Request
from kineograph.worlds import holdout
from kineograph.worlds.world import FULL, WORLDS

SHEET, CURVES = "sheet.png", "curves.png"


def card(report: Report, pictures: Sequence[str] = ()) -> str:
    """The card in Markdown; `pictures` are those of SHEET and CURVES that lie beside it."""
    parts = [
        _head(report),
        f"![Clips of fixed prompts, a row each]({SHEET})" if SHEET in pictures else "",
        _abilities(report.spec),
        _training(report.facts, report.learnt),
        f"![Learning curves]({CURVES})" if CURVES in pictures else "",
        _limits(report),
        _vocabulary(report.spec),
        _reading(report),
        tables(report),
        _again(report),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _head(report: Report) -> str:
    spec, cost = report.spec, report.cost
    named = "" if spec.name == Request.model else f" --model {spec.name}"
    return f"""# {spec.name}

A {spec.family} model with {cost.parameters / 1e6:.1f} million parameters in {cost.megabytes:.1f} MB.
It makes {spec.window} frames of {spec.width}x{spec.height} pixels at {spec.fps:g} frames per second.
A clip takes {cost.seconds:.2f} seconds on {cost.machine.processor} with {cost.machine.threads} threads.
Its weights have the SHA-256 `{spec.weights_hash[:16]}…`.

    kineo generate "{PROMPT}"{named}"""


def _abilities(spec: Spec) -> str:
    known = {**TASKS, **GUIDES}
    lines = [f"- **{name}**: {what}." for name, what in known.items() if name in spec.abilities]
    return "\n".join(
        ["## What it can do", "", *lines, "", "Longer clips are rolled out, a window at a time."]
    )


def _training(facts: Facts | None, learnt: Learnt | None) -> str:
    if learnt is not None:
        return section(learnt)
    if facts is None:
        return "## What it learnt from\n\nNot known: no `training.json` lies beside its weights."
    rows = [
        [s.name, f"{s.minutes:.1f}", f"{s.steps:,}", f"{s.clips_per_second:.1f}", _end(s.curve, s.metric)]
        for s in facts.stages
    ]
    stages = table(("stage", "minutes", "steps", "clips a second", "at the end"), rows) if rows else ""
    before = f"\nIt went on from `{facts.init}`, whose stages come first; the rest is of what followed."
    return f"""## What it learnt from

Clips of this project's rendered world, the {facts.world} one, drawn from seed {facts.seed}.
Captions are by its grammar.
{facts.clips:,} of them were kept as pixels, {facts.latents:,} in all as latents.
There is no recorded footage, no person and nothing of anybody else's among them.
It was trained by the preset `{facts.preset}` on {facts.machine}.{before if facts.init else ""}
Its stages took {facts.minutes:.1f} minutes in all.

{stages}""".rstrip()


def _end(curve: Sequence[Sequence[float]], metric: str) -> str:
    return f"{metric} {curve[-1][1]:g}" if curve else ""


def _limits(report: Report) -> str:
    world = WORLDS[report.facts.world] if report.facts else FULL
    values = "; ".join(f"{name}: {', '.join(options)}" for name, options in world.values.items())
    lines = [
        f"It knows only its world: {values}.",
        f"It shows up to {world.most_things} things. It passes over words that are not in its vocabulary.",
        f"{report.spec.width}x{report.spec.height} pixels is the largest that it makes.",
        *map(_weakest, report.adherence),
    ]
    return "\n".join(["## What it can't do", "", *(f"- {line}" for line in lines)])


def _weakest(found: Adherence) -> str:
    """The attribute of a cell that is wrong most often."""
    named = {name: figure for name, figure in found.model.items() if name != "all"}
    name = min(named, key=lambda name: named[name].value)
    return f"Most often wrong with {found.cell} is the {name}: {percent(named[name])} are right."


def _vocabulary(spec: Spec) -> str:
    return f"## Vocabulary\n\n{' '.join(spec.vocabulary)}" if spec.vocabulary else ""


def _reading(report: Report) -> str:
    known = "; ".join(f"{FILLED[task.task].known} ({task.task})" for task in report.filling)
    return f"""## Figures

All were measured at one setting: {report.spec.sampling}.
In brackets stands the interval that holds the figure 95 times in 100.

**Follows the prompt.** Each clip is made from a caption that names everything. Detectors read the clip.
An attribute counts as right if it is right for every thing. `all` needs every attribute to be right.
`truth` is what the detectors read from the rendered scene, `ceiling` from that scene's decoded latents.
The small world has fewer kinds, colors and motions, clear weather, a plain style and a camera at rest.
Held-out combinations, which no training clip shows:
{_held_out()}.

**Fills canvases.** Some pixels of a rendered clip are known, and the caption is given.
Known are {known}.
PSNR is of the mean squared error over the unknown pixels of all clips, over those that show a thing, and over
those at the seam, within 4 pixels and one frame of known ones.
`hold` repeats the nearest known frame, `blend` mixes those before and after, `across` mixes left and right.
There are many right ways to go on; the model is compared with one of them. `ceiling` is as above.

**Continues.** Clips are continued by half windows after a half one. Each added frame is compared with the
truth, over all clips; `holding` repeats the last known frame.

**Clips of one prompt.** How far apart they lie, as five frames of 16x16 pixels, in levels of 0 to 255, beside
rendered clips of different scenes; 0% would be always the same clip.

**Changes a clip.** A rendered clip of one thing is given, and the caption of the same scene with one
attribute changed. For `… of a clip` another clip that has it is given and no caption; for `removal`
the prompt is `nothing`, and making begins with a tenth of the clip, or where the rest is told its caption;
for `insertion` the clip shows no thing, and the caption names one.
`as asked` is how often detectors read the new value, no thing, or one thing of the right kind and color.
`all right` is all that the caption names. PSNR is to the clip that the change leads to, over the pixels in
which that differs from the given clip, and over the rest. `copy` is the given clip.
Where an inserted thing goes is left open, so that its PSNR says little.

**Follows guides.** Clips of the world that it learnt are made from captions that leave motion open, or how
the camera moves, and from one guide, the rendered truth. `unguided` is made from the caption alone;
`ceiling` as above. Detectors find the thing that looks most like each one that is asked for. Distances are in
shares of the frame's width; a thing that is not seen is infinitely far away. Whatever is seen nearest may be
another thing.
Boxes overlap by their intersection over their union.
There is no detector of depth: what is measured is how the silhouettes of all things overlap with those that
the asked depth shows. Outlines are those of the things found; they are right within 2 pixels.
Joints are those of the stride, of 24, that explains a robot best where it is found.
Steps are displacements from frame to frame; what is not seen stands still.

**Fréchet distance.** How far made clips, as a set, lie from rendered ones of other scenes, in the features of
a network with random weights. Rendered clips are the floor; shuffled or held frames show that it rises.
It compares with no figure that another program prints.

**Nearest training clip.** Distances of clips as five frames of 16x16 pixels, in levels of 0 to 255.
A model that repeats its training has a ratio far below 1. Unseen clips are rendered from the same scenes.
One clip in 100 is nearer than 99 in 100 unseen ones by chance."""


def _held_out() -> str:
    every = (
        holdout.HELD_OUT_KIND_COLOR | holdout.HELD_OUT_FULL_KIND_COLOR,
        holdout.HELD_OUT_KIND_MOTION | holdout.HELD_OUT_FULL_KIND_MOTION,
        holdout.HELD_OUT_STYLE_TIME,
        holdout.HELD_OUT_WEATHER_GROUND,
    )
    return ";\n".join(", ".join(" ".join(pair) for pair in sorted(pairs)) for pairs in every)


def _again(report: Report) -> str:
    option = "".join(f" --clips {found.model['all'].count}" for found in report.adherence[:1])
    return f"""## Print these figures again

    kineo evaluate {report.spec.name}{option}

Scenes are drawn from seed {report.scene_seed}, which no training uses; the i-th clip has the random seed i.
This took {report.minutes:.0f} minutes with kineograph {report.version}."""


def plot_curves(facts: Facts, path: Path) -> None:
    """Draw the learning curve of each stage as an image; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(facts.stages), 3), layout="constrained")
    for axes, stage in zip(
        figure.subplots(1, len(facts.stages), squeeze=False)[0], facts.stages, strict=True
    ):
        axes.plot(*zip(*stage.curve, strict=True))
        axes.set(title=stage.name, xlabel="step", ylabel=stage.metric)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
