"""`kineo audit`: whether a model is fair to groups, and whether it repeats its training."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kineograph import catalog
from kineograph.cli.output import print_json, read_text, say
from kineograph.errors import AbilityError, RequestError

if TYPE_CHECKING:
    from kineograph.evaluation.audit.findings import Audit
    from kineograph.evaluation.audit.plan import Plan
    from kineograph.evaluation.audit.scoring import Scorer
    from kineograph.evaluation.suite import Progress
    from kineograph.models.family import Spec
    from kineograph.worlds.world import World

LEAST, MOST = 16, 4096  # clips of a prompt
LINES = 20  # of progress in all

Flag = Annotated[bool, Parameter(negative=())]


def audit(
    name: str = "playground",
    /,
    *,
    groups: Path | None = None,
    report: Path | None = None,
    clips: int = 64,
    complete: Flag = False,
    scorer: Path | None = None,
    read: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None,
    json: Flag = False,
) -> None:
    """Find out what a model shows where prompts leave it open, and whether groups are served alike.

    Prompts that differ in one word alone are made with the same seeds, and read by the detectors of the
    rendered world or by a model that you give. What none of them reads is not guessed.

    Examples:

        kineo audit vae --clips 64 --report audit

        kineo audit vae --groups groups.json --complete

    Parameters
    ----------
    name
        A model's name or its folder.
    groups
        A JSON file with templates, groups and, if a group is not to be uniform, its target; the colors and
        kinds of the model's world unless given.
    report
        A folder for README.md, audit.json, audit.html and plots.
    clips
        How many to make of each prompt, 16 to 4096; more make narrower intervals.
    complete
        Make the open prompts once more, completed by the target, and tell what that mends.
    scorer
        A folder with an image-text model in safetensors, as CLIP is, that reads the groups named by --read.
    read
        The groups that it is to read. Whatever is said of people in a clip is guessed from how they look.
    json
        Print all that was found as one JSON object instead of tables.
    """
    from kineograph.evaluation.audit import page
    from kineograph.evaluation.audit.measuring import Options
    from kineograph.evaluation.audit.measuring import audit as measure
    from kineograph.evaluation.release import open_folder

    if not LEAST <= clips <= MOST:
        raise RequestError(f"clips must be a whole number from {LEAST} to {MOST}, not {clips}.")
    world = _world(name)
    plan = _plan(groups, world)
    model = catalog.load(name)
    if "text" not in model.spec.abilities:
        able = ", ".join(catalog.able("text"))
        raise AbilityError(f"The model {model.spec.name} reads no prompts; able to are: {able}.")
    scorers = _scorers(scorer, read or [], plan, world, model.spec)
    if report is not None:
        open_folder(report)
    found = _last(measure(model, plan, scorers, Options(clips, world=world, complete=complete)))
    if report is not None:
        for path in page.write(found, report):
            say(f"wrote {path}")
    if json:
        print_json(found.to_dict())
    elif report is None:
        print(page.markdown(found), end="", flush=True)


def _world(name: str) -> World:
    """The world that the model learnt from, as far as that is known; the full one if not."""
    from kineograph.evaluation import facts
    from kineograph.worlds.world import FULL, WORLDS

    known = facts.read(catalog.folder_of(name))
    return WORLDS[known.world] if known else FULL


def _plan(groups: Path | None, world: World) -> Plan:
    from kineograph.evaluation.audit.plan import built_in, read_plan

    return built_in(world) if groups is None else read_plan(read_text(groups))


def _scorers(folder: Path | None, read: list[str], plan: Plan, world: World, spec: Spec) -> list[Scorer]:
    """The world's detectors, after a model that somebody gave."""
    from kineograph.evaluation.audit import zero_shot
    from kineograph.evaluation.audit.scoring import WorldScorer

    if (folder is None) == bool(read):
        raise RequestError("Give --scorer and --read together: a model, and the groups that it is to read.")
    if unknown := [name for name in read if name not in plan.groups]:
        raise RequestError(f"There is no group {unknown[0]}: choose from {', '.join(plan.groups)}.")
    own: list[Scorer] = [WorldScorer(world, spec.fps)]
    return own if folder is None else [zero_shot.load(folder, read), *own]


def _last(items: Iterable[Progress | Audit]) -> Audit:
    """The audit, which comes last; how far it has come is said, at most `LINES` times."""
    from kineograph.evaluation.audit.findings import Audit

    start, said = time.monotonic(), 0
    for item in items:
        if isinstance(item, Audit):
            return item
        if (line := int(LINES * item.done / item.total)) > said:
            said = line
            left = (time.monotonic() - start) * (item.total / item.done - 1)
            say(f"{item.done / item.total:.0%}, {item.part}; {left / 60:.1f} minutes left")
    raise AssertionError("unreachable: an audit ends with what it found")
