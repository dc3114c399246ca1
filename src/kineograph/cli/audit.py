"""`kineo audit`: whether a model is fair to groups, and whether it repeats its training."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from kineograph import catalog
from kineograph.cli.output import print_json, read_text, say
from kineograph.errors import AbilityError, RequestError

if TYPE_CHECKING:
    from kineograph.evaluation.audit.memory import Supply
    from kineograph.evaluation.audit.plan import Plan
    from kineograph.evaluation.audit.scoring import Scorer
    from kineograph.evaluation.suite import Progress
    from kineograph.models.family import Spec
    from kineograph.worlds.world import World

T = TypeVar("T")

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
    reweight: float = 0.0,
    scorer: Path | None = None,
    read: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None,
    memory: Flag = False,
    data: Path | None = None,
    held: Path | None = None,
    json: Flag = False,
) -> None:
    """Find out what a model shows where prompts leave it open, and whether groups are served alike.

    Prompts that differ in one word alone are made with the same seeds, and read by the detectors of the
    rendered world or by a model that you give. What none of them reads is not guessed.

    Examples:

        kineo audit vae --clips 64 --report audit

        kineo audit diffusion-small --groups groups.json --complete --reweight 0.75

        kineo audit runs/clips/model --memory --held others

    Parameters
    ----------
    name
        A model's name or its folder.
    groups
        A JSON file with templates, groups and, if a group is not to be uniform, its target; the colors and
        kinds of the model's world unless given. A model of your own clips has no world.
    report
        A folder for README.md, audit.json, audit.html and plots.
    clips
        How many to make of each prompt, 16 to 4096; more make narrower intervals.
    complete
        Make the open prompts once more, completed by the target, and tell what that mends.
    reweight
        Make the open prompts once more, guided towards a value that the target draws with this weight: 0 is
        not at all, 1 as if the prompt named it (docs/fairness.md used 0.75). Needs a model that can walk.
    scorer
        A folder with an image-text model in safetensors, as CLIP is, that reads the groups named by --read.
    read
        The groups that it is to read. Whatever is said of people in a clip is guessed from how they look.
    memory
        Find out whether it repeats its training too: compare what it makes with clips that it learnt from,
        and with as many that it did not.
    data
        The folder of clips that it learnt from, where they are your own; those of its run unless given.
    held
        A folder of clips of the same kind that it did not learn from; `kineo compare` keeps some.
    json
        Print all that was found as one JSON object instead of tables.
    """
    from kineograph.evaluation.audit import memory as memories
    from kineograph.evaluation.audit import page
    from kineograph.evaluation.audit.findings import Audit
    from kineograph.evaluation.audit.measuring import Options
    from kineograph.evaluation.audit.measuring import audit as measure
    from kineograph.evaluation.audit.mitigation import REWEIGHTING
    from kineograph.evaluation.release import open_folder

    if not LEAST <= clips <= MOST:
        raise RequestError(f"clips must be a whole number from {LEAST} to {MOST}, not {clips}.")
    if not 0 <= reweight <= 1:
        raise RequestError(f"reweight must be a number from 0 to 1, not {reweight}.")
    world = _world(name)
    plan = _plan(name, groups, world, memory)
    model = catalog.load(name)
    _require(model.spec, "text", "reads no prompts")
    if reweight:
        _require(model.spec, REWEIGHTING, "can't be guided by two prompts at once, as --reweight asks")
    scorers = _scorers(scorer, read or [], plan, world, model.spec)
    compared = _compared(name, data, held, model.spec) if memory else None
    if report is not None:
        open_folder(report)
    options = Options(clips, world=world, complete=complete, reweight=reweight)
    found = _last(measure(model, plan, scorers, options), Audit)
    if compared is not None:
        found = replace(found, memory=_last(memories.measure(model, *compared, clips), memories.Memory))
    if report is not None:
        for path in page.write(found, report):
            say(f"wrote {path}")
    if json:
        print_json(found.to_dict())
    elif report is None:
        print(page.markdown(found), end="", flush=True)


def _require(spec: Spec, ability: str, lack: str) -> None:
    if ability not in spec.abilities:
        able = ", ".join(catalog.able(ability))
        raise AbilityError(f"The model {spec.name} {lack}; able to are: {able}.")


def _world(name: str) -> World | None:
    """The world that the model learnt from; None where it isn't known to have learnt from one alone."""
    from kineograph.evaluation import facts
    from kineograph.worlds.world import WORLDS

    known = facts.read(catalog.folder_of(name))
    return None if known is None else WORLDS[known.world]


def _plan(name: str, groups: Path | None, world: World | None, memory: bool) -> Plan:
    from kineograph.evaluation.audit.plan import Plan, built_in, read_plan

    if groups is not None:
        return read_plan(read_text(groups))
    if world is not None:
        return built_in(world)
    if not memory:
        raise RequestError(f"{name} learnt from no world alone: say with --groups what to ask for.")
    return Plan((), {})


def _scorers(
    folder: Path | None, read: list[str], plan: Plan, world: World | None, spec: Spec
) -> list[Scorer]:
    """A model that somebody gave, then the detectors of the model's world."""
    from kineograph.evaluation.audit import zero_shot
    from kineograph.evaluation.audit.scoring import WorldScorer

    if (folder is None) == bool(read):
        raise RequestError("Give --scorer and --read together: a model, and the groups that it is to read.")
    if unknown := [name for name in read if name not in plan.groups]:
        raise RequestError(f"There is no group {unknown[0]}: choose from {', '.join(plan.groups) or 'none'}.")
    own: list[Scorer] = [] if world is None else [WorldScorer(world, spec.fps)]
    return own if folder is None else [zero_shot.load(folder, read), *own]


def _compared(name: str, data: Path | None, held: Path | None, spec: Spec) -> tuple[Supply, Supply]:
    """The clips that the model learnt from, and others."""
    from kineograph.evaluation import facts
    from kineograph.evaluation.audit.memory import SEED, own, rendered

    known = facts.read(catalog.folder_of(name))
    if known is not None:
        return rendered(known, spec, known.seed), rendered(known, spec, SEED)
    training, others = data or _beside(name, "clips"), held or _beside(name, "held")
    if training is None:
        raise RequestError(f"It isn't known where the clips are that {name} learnt from: give --data.")
    if others is None:
        raise RequestError(f"Whether {name} repeats its training is told by clips it never saw: give --held.")
    return own(training, spec), own(others, spec)


def _beside(name: str, clips: str) -> Path | None:
    """Shards of that name in the folder of a run, or of a comparison that it is a part of."""
    above = list(catalog.folder_of(name).absolute().parents)[:2]
    return next((folder / clips for folder in above if (folder / clips / "index.json").exists()), None)


def _last(items: Iterable[Progress | T], kind: type[T]) -> T:
    """What was found, which comes last; how far it has come is said, at most `LINES` times."""
    from kineograph.evaluation.suite import Progress

    start, said = time.monotonic(), 0
    for item in items:
        if isinstance(item, kind):
            return item
        assert isinstance(item, Progress)
        said = _said(item, said, time.monotonic() - start)
    raise AssertionError("unreachable: what was found comes last")


def _said(progress: Progress, said: int, seconds: float) -> int:
    """Say how far it is and how long is left, if that is more than a line since; how many lines by now."""
    line = int(LINES * progress.done / progress.total)
    if line > said:
        left = seconds * (progress.total / progress.done - 1)
        say(f"{progress.done / progress.total:.0%}, {progress.part}; {left / 60:.1f} minutes left")
    return max(line, said)
