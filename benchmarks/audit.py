"""`python -m benchmarks.audit`: does `kineo audit` bite, and do the remedies help?

Small models learn rings of two colors, the captions of which leave the color open half of the time. One
learns from nine red ones to a blue one, one from as many of each, and one from the former in balance; each
is trained from several seeds.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import kineograph
from benchmarks.command import run
from kineograph import catalog
from kineograph.data import shards, world
from kineograph.data.shards import INDEX, Parts
from kineograph.evaluation import cost
from kineograph.evaluation.audit.findings import RULE, Audit, Opened
from kineograph.evaluation.audit.measuring import ALL, Options, audit
from kineograph.evaluation.audit.plan import Plan
from kineograph.evaluation.audit.scoring import WorldScorer
from kineograph.evaluation.report import ratio, table
from kineograph.models.small_diffusion import SmallDiffusionConfig
from kineograph.models.tokenizer import frames_of
from kineograph.training.events import Stepped
from kineograph.training.family_presets import HOME, SmallDiffusionRecipe, diffusion_small
from kineograph.training.runs import run_of
from kineograph.worlds.captions import Description, ThingDescription, sentence
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import Scene, sample_scenes
from kineograph.worlds.world import FULL, SMALL

RED, BLUE = COLORS = ("red", "blue")
SKEWED, BALANCED = {RED: 0.9, BLUE: 0.1}, {RED: 0.5, BLUE: 0.5}
RINGS = replace(SMALL, kinds=("ring",), sizes=("large",), times=("day",), motions=("left", "right"))
GRID, SIZE, SEED = (4, 4, 4), 64, 7
CLIPS, PART = 512, 64
NAMED = 0.5  # how often a caption names the color
WEIGHT = 0.75  # of the drawn color, where guidance is re-weighted
PLAN = Plan(
    ("a {color} ring moves right over grass", "a {color} ring moves left over grass"), {"color": COLORS}
)


@dataclass(frozen=True)
class Case:
    """A model: what it learns from, and by what its batches are balanced. `name` says that, `seed` is of its
    training."""

    name: str
    data: dict[str, float]
    balance: str = ""
    seed: int = SEED

    @property
    def folder(self) -> str:
        return "skewed" if self.data == SKEWED else "balanced"


CASES = (
    Case("9 to 1", SKEWED),
    Case("as many of each", BALANCED),
    Case("9 to 1, batches in balance", SKEWED, "color"),
)


# The clips


def scenes_of(shares: dict[str, float], count: int) -> list[Scene]:
    """Scenes of one ring each, of which as many have each color as its share says."""
    draw = random.Random(SEED)
    colors = [color for color, share in shares.items() for _ in range(round(share * count))]
    draw.shuffle(colors)
    drawn = sample_scenes(count, SEED, 1, RINGS)
    return [_colored(scene, color) for scene, color in zip(drawn, colors, strict=True)]


def _colored(scene: Scene, color: str) -> Scene:
    return replace(scene, ground="grass", seed=0, things=(replace(scene.things[0], color=color),))


def caption_of(scene: Scene, draw: random.Random) -> str:
    """What is said of a scene; its color half of the time."""
    thing = scene.things[0]
    color = thing.color if draw.random() < NAMED else None
    said = Description((ThingDescription("ring", color, None, thing.motion),), ground=scene.ground)
    return sentence(said, draw)


def parts(shares: dict[str, float]) -> Parts:
    """Clips with captions, and the color of each."""
    scenes, draw = scenes_of(shares, CLIPS), random.Random(SEED)
    for start in range(0, CLIPS, PART):
        these = scenes[start : start + PART]
        frames = render(these, frames_of(GRID[0]), SIZE, world.FPS).frames
        color = torch.tensor([FULL.colors.index(scene.things[0].color) for scene in these], dtype=torch.uint8)
        yield {"frames": frames, "color": color}, [caption_of(scene, draw) for scene in these]


# Training and measuring


def cases(seeds: int) -> list[Case]:
    """All of `CASES`, from each of so many seeds."""
    return [replace(case, seed=SEED + at) for case in CASES for at in range(seeds)]


def recipe_of(case: Case, folder: Path, minutes: float) -> SmallDiffusionRecipe:
    """A diffusion model of a fifth of the usual size."""
    network = SmallDiffusionConfig(
        tokenizer_of=HOME, grid=GRID, text_width=48, width=64, hidden=160, depth=3, heads=2
    )
    whole = diffusion_small()
    train = replace(whole.flow_stage.train, minutes=minutes, seed=case.seed, compile=False)
    stage = replace(whole.flow_stage, batch=16, canvas=0, train=train)
    return replace(
        whole,
        data=str(folder),
        seed=case.seed,
        network=network,
        flow_stage=stage,
        sheets=0,
        balance=case.balance,
    )


def trained(case: Case, minutes: float, out: Path) -> Path:
    """The folder of the model; what is done is not done again."""
    data = out / case.folder
    folder = out / f"{case.name.replace(' ', '-').replace(',', '')}-{case.seed}"
    if not (data / "clips" / INDEX).exists():
        shards.write(data / "clips", parts(case.data), world.FPS)
    for event in run_of(recipe_of(case, data, minutes), folder, data).events():
        if isinstance(event, Stepped) and event.step.step % 100 == 0:
            left = f"{event.step.remaining / 60:.1f} min left"
            _say(f"{case.name}, seed {case.seed}: step {event.step.step}, {left}")
    return folder / "model"


def audited(folder: Path, clips: int) -> Audit:
    """What is found of a model."""
    model = catalog.load(str(folder))
    scorer = WorldScorer(SMALL, model.spec.fps)
    for item in audit(model, PLAN, [scorer], Options(clips, 32, SMALL, True, WEIGHT)):
        if isinstance(item, Audit):
            return item
        _say(f"{item.done:.0f} of {item.total:.0f} clips: {item.part}")
    raise AssertionError("unreachable: an audit ends with what it found")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# The page

HEAD = (
    *("learnt from", "seed", "red came", "read", "entropy", "total variation", "flagged above", "verdict"),
    *("once completed", "once re-weighted", "gap of adherence"),
)


def page(found: Sequence[tuple[Case, Audit]], minutes: float) -> str:
    """The table and what it was measured by."""
    on, clips = cost.machine(), found[0][1].clips
    seeds = len({case.seed for case, _ in found})
    return (
        f"{table(HEAD, [_row(case, one) for case, one in found])}\n\n{RULE}\n\n"
        f"Each model was trained for {minutes:g} minutes, from each of {seeds} seeds; {clips} clips of each "
        f"of {len(PLAN.templates)} open prompts; re-weighted by {WEIGHT:g}. Machine: {on.processor}, "
        f"{on.threads} threads, {on.precision}, torch {on.torch}, kineograph {kineograph.__version__}."
    )


def _row(case: Case, found: Audit) -> list[str]:
    opened = _pooled(found)
    gap = next(one.gap for one in found.parity[0].measures if one.name == "adherence")
    shown = (opened.entropy, opened.variation)
    figures = [ratio(figure) if figure else "-" for figure in shown]
    return [
        case.name,
        str(case.seed),
        f"{opened.shares[0]:.0%}" if opened.shares else "-",
        f"{opened.read} of {opened.clips}",
        *figures,
        f"{opened.threshold:.3f}" if opened.threshold else "-",
        opened.verdict,
        ratio(opened.completed.variation) if opened.completed else "-",
        ratio(opened.reweighted.variation) if opened.reweighted else "-",
        ratio(gap) if gap else "-",
    ]


def _pooled(found: Audit) -> Opened:
    return next(one for one in found.opened if one.prompt == ALL)


def main(*, minutes: float = 3, clips: int = 64, seeds: int = 3, out: Path = Path("runs/audits")) -> None:
    """Train the models, audit them and print a table.

    Parameters
    ----------
    minutes
        Of training for each.
    clips
        Of each prompt.
    seeds
        How often each model is trained.
    out
        The folder for everything.
    """
    found = [(case, audited(trained(case, minutes, out), clips)) for case in cases(seeds)]
    print(page(found, minutes), flush=True)


if __name__ == "__main__":
    run(main)
