"""An audit from its plan to what it found: clips are made, read, and compared, with progress on the way.

N clips (or seeds) of each prompt; L labels of a group.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

import kineograph
from kineograph.evaluation.audit import statistics
from kineograph.evaluation.audit.findings import (
    LEAST_READ,
    Audit,
    Measure,
    Mended,
    Opened,
    Parity,
    Read,
    Verdict,
    threshold,
    verdict,
)
from kineograph.evaluation.audit.mitigation import REWEIGHTING, Asked, completed, reweighted
from kineograph.evaluation.audit.plan import Open, Plan, filled
from kineograph.evaluation.audit.scoring import Confusion, Scorer, confusion
from kineograph.evaluation.audit.truth import true_sharpness
from kineograph.evaluation.audit.work import Work
from kineograph.evaluation.figures import Figure, Values, bootstrap
from kineograph.evaluation.making import fill
from kineograph.evaluation.suite import Progress
from kineograph.models.family import Model, Spec
from kineograph.video import Frames
from kineograph.worlds.world import World

FLAT = 2.0  # levels: a clip whose pixels deviate less from their mean shows no picture
ALL = "all prompts"
CHECKED = 16  # rendered clips of each label, on which a scorer is tested


@dataclass(frozen=True)
class Options:
    """`clips` of each prompt, `batch` of them at once. `world` is what scorers are tested on, None if there
    is no truth to test them on. Open prompts are made once more, completed, if `complete`, and once more with
    guidance re-weighted by `reweight`, 0 to 1, unless that is 0."""

    clips: int
    batch: int = 16
    world: World | None = None
    complete: bool = False
    reweight: float = 0.0


@dataclass
class _Shown:
    """What clips of some prompts show: scores (N, L) of each group that is read, sharpness (N,), and which of
    them show no picture (N,)."""

    scores: dict[str, Values] = field(default_factory=dict)
    sharpness: Values = field(default_factory=lambda: np.zeros(0))
    flat: Values = field(default_factory=lambda: np.zeros(0))

    def add(self, clips: Frames, readers: Mapping[str, Scorer], plan: Plan, groups: set[str]) -> None:
        for group in groups & readers.keys():
            scores = readers[group].score(clips, plan.groups[group])
            self.scores[group] = np.concatenate([self.scores.get(group, scores[:0]), scores])
        self.sharpness = np.concatenate([self.sharpness, statistics.sharpness(clips)])
        flat = clips.reshape(len(clips), -1).std(axis=1) < FLAT
        self.flat = np.concatenate([self.flat, flat.astype(float)])


def audit(
    model: Model, plan: Plan, scorers: Sequence[Scorer], options: Options
) -> Iterator[Progress | Audit]:
    """Make and read all clips that the plan asks for, the i-th of each prompt with the random seed i; the
    last item is the `Audit`.

    Args:
        model: one that is able to "text" and, if guidance is to be re-weighted, to "walk".
        plan: prompts, groups and targets.
        scorers: who may read a group; the first that can does. Groups that none reads get no verdict.
        options: how much is made.
    """
    started = time.monotonic()
    readers = {
        name: scorer
        for name, labels in plan.groups.items()
        for scorer in reversed(scorers)
        if scorer.reads(name, labels)
    }
    assert not options.reweight or REWEIGHTING in model.spec.abilities, model.spec.abilities
    asked, tested = _asked(plan, options), readers if options.world else {}
    checks = sum(CHECKED * len(plan.groups[name]) for name in tested)
    work = Work(len(asked) * options.clips + checks)
    shown = yield from _make(model, plan, asked, readers, options, work)
    known = yield from _errors(plan, tested, options, model.spec, work)
    yield Audit(
        spec=model.spec,
        version=kineograph.__version__,
        plan=plan.to_dict(),
        clips=options.clips,
        scorers=tuple(
            Read(name, readers[name].name if name in readers else None, known.get(name))
            for name in plan.groups
        ),
        opened=tuple(_opened(plan, shown, known, options)),
        parity=tuple(_parity(plan, shown, known, options, model.spec)),
        reweight=options.reweight,
        minutes=round((time.monotonic() - started) / 60, 1),
    )


def _errors(
    plan: Plan, tested: Mapping[str, Scorer], options: Options, spec: Spec, work: Work
) -> Generator[Progress, None, dict[str, Confusion | None]]:
    found: dict[str, Confusion | None] = {}
    for name, scorer in tested.items():
        assert options.world is not None
        labels = plan.groups[name]
        found[name] = confusion(scorer, labels, options.world, spec, CHECKED)
        yield work.progress(f"testing what is read of each {name}", CHECKED * len(labels))
    return found


# Making


def _asked(plan: Plan, options: Options) -> dict[Asked, set[str]]:
    """All that is asked for, each once, and the groups that are to be read of its clips."""
    asked: dict[Asked, set[str]] = {}
    for one in plan.left_open():
        for remedied in (_same(one.prompt, options), *_remedies(one, plan, options).values()):
            asked.setdefault(remedied, set()).add(one.group)
    for group, values in plan.groups.items():
        for template in plan.compared(group):
            for value in values:
                asked.setdefault(_same(filled(template, value), options), set()).add(group)
    return asked


def _same(prompt: str, options: Options) -> Asked:
    return Asked((prompt,) * options.clips)


def _remedies(one: Open, plan: Plan, options: Options) -> dict[str, Asked]:
    """What an open prompt becomes, by the field of `Opened` that tells what came of it."""
    if not one.template:
        return {}
    told = one.template, plan, one.group, options.clips
    remedies = {"completed": completed(*told)} if options.complete else {}
    return remedies | ({"reweighted": reweighted(*told, options.reweight)} if options.reweight else {})


def _make(
    model: Model,
    plan: Plan,
    asked: Mapping[Asked, set[str]],
    readers: Mapping[str, Scorer],
    options: Options,
    work: Work,
) -> Generator[Progress, None, dict[Asked, _Shown]]:
    shown = {one: _Shown() for one in asked}
    for one, groups in asked.items():
        for start in range(0, options.clips, options.batch):
            canvases = one.canvases(start, start + options.batch, model.spec)
            shown[one].add(fill(canvases, model, seed=start).frames, readers, plan, groups)
            yield work.progress(one.prompts[0] or "no prompt", len(canvases))
    return shown


# What prompts leave open

Errors = Mapping[str, Confusion | None]


def _opened(plan: Plan, shown: Mapping[Asked, _Shown], known: Errors, options: Options) -> Iterator[Opened]:
    """A row for each prompt and group and, where there are several prompts, one for all of them."""
    for group in plan.groups:
        every = [one for one in plan.left_open() if one.group == group]
        rows = [(one.prompt, [one]) for one in every]
        for prompt, ones in [*rows, (ALL, every)] if len(every) > 1 else rows:
            scores = _scores(group, [_same(one.prompt, options) for one in ones], shown)
            row = _opened_row(plan, group, prompt, len(ones) * options.clips, scores, known.get(group))
            mended = {} if row.variation is None else _mended(ones, plan, shown, options)
            yield replace(row, completed=mended.get("completed"), reweighted=mended.get("reweighted"))


def _mended(
    ones: Sequence[Open], plan: Plan, shown: Mapping[Asked, _Shown], options: Options
) -> dict[str, Mended]:
    """What came of each remedy that all of these prompts have, if enough of its clips can be read."""
    group, remedies = ones[0].group, [_remedies(one, plan, options) for one in ones]
    found = {}
    for name in set.intersection(*map(set, remedies)):
        scores = _scores(group, [remedy[name] for remedy in remedies], shown)
        if scores is not None and _read(scores) >= LEAST_READ:
            found[name] = Mended(_variation(scores, plan.shares(group)), _read(scores))
    return found


def _scores(group: str, every: Sequence[Asked], shown: Mapping[Asked, _Shown]) -> Values | None:
    """Scores (N, L) of the clips of all these; None without a scorer."""
    found = [shown[one].scores.get(group) for one in every]
    scores = [one for one in found if one is not None]
    return np.concatenate(scores) if scores else None


def _read(scores: Values) -> int:
    """In how many clips any label was seen."""
    return int((scores.sum(axis=1) > 0).sum())


def _opened_row(
    plan: Plan,
    group: str,
    prompt: str,
    clips: int,
    scores: Values | None,
    error: Confusion | None,
) -> Opened:
    labels, target = plan.groups[group], tuple(plan.shares(group))
    if scores is None:
        return Opened(group, prompt, labels, target, clips, Verdict.NO_SCORER)
    read = _read(scores)
    if read < LEAST_READ:
        return Opened(group, prompt, labels, target, clips, Verdict.TOO_FEW, read)
    found, chance = _variation(scores, target), statistics.variation_by_chance(target, read)
    bias = error.bias if error else 0.0
    return Opened(
        group=group,
        prompt=prompt,
        labels=labels,
        target=target,
        clips=clips,
        verdict=verdict(found, chance, bias),
        read=read,
        shares=tuple(statistics.distribution(scores).tolist()),
        entropy=bootstrap(lambda rows: statistics.entropy(statistics.distribution(rows)), scores),
        variation=found,
        threshold=threshold(chance, bias),
    )


def _variation(scores: Values, target: Sequence[float]) -> Figure:
    return bootstrap(
        lambda rows: statistics.total_variation(statistics.distribution(rows), target),
        scores,
    )


# Whether groups are served alike


def _parity(
    plan: Plan, shown: Mapping[Asked, _Shown], known: Errors, options: Options, spec: Spec
) -> Iterator[Parity]:
    for group, labels in plan.groups.items():
        templates = plan.compared(group)
        if not templates:
            continue
        rows = [[shown[_same(filled(t, label), options)] for label in labels] for t in templates]
        measures = (
            _adherence(group, rows, labels, known.get(group)),
            _measure("failure", _stacked([[_failed(one, group) for one in row] for row in rows]), labels),
            _sharpness(rows, _truths(templates, labels, options, spec), labels),
        )
        yield Parity(group, labels, len(templates) * options.clips, measures)


def _adherence(
    group: str, rows: Sequence[Sequence[_Shown]], labels: Sequence[str], error: Confusion | None
) -> Measure:
    """The probability that the scorer gives to what was asked for."""
    if group not in rows[0][0].scores:
        return Measure("adherence", (), None, None, Verdict.NO_SCORER)
    values = [[one.scores[group][:, at] for at, one in enumerate(row)] for row in rows]
    own = [row[at] for at, row in enumerate(error.rows)] if error else [0.0]
    return _measure("adherence", _stacked(values), labels, bias=max(own) - min(own))


def _failed(shown: _Shown, group: str) -> Values:
    """Clips (N,) without a picture, or in which the scorer sees none of the labels."""
    if group not in shown.scores:
        return shown.flat
    unseen = (shown.scores[group].sum(axis=1) == 0).astype(float)
    return np.asarray(np.maximum(shown.flat, unseen), np.float64)


def _truths(
    templates: Sequence[str], labels: Sequence[str], options: Options, spec: Spec
) -> list[list[float]] | None:
    """The sharpness of rendered clips by template and label; None if not all of them can be rendered."""
    if options.world is None:
        return None
    prompts = [[filled(template, label) for label in labels] for template in templates]
    found = [[true_sharpness(prompt, options.world, spec) for prompt in row] for row in prompts]
    known = [[value for value in row if value is not None] for row in found]
    return known if [len(row) for row in known] == [len(labels)] * len(templates) else None


def _sharpness(
    rows: Sequence[Sequence[_Shown]], truths: Sequence[Sequence[float]] | None, labels: Sequence[str]
) -> Measure:
    """As a share of that of rendered clips of the same prompt, as what is asked for may be less sharp; in
    levels and without a verdict where there are none."""
    if truths is None:
        means = _stacked([[one.sharpness for one in row] for row in rows]).mean(axis=0)
        return Measure("sharpness", tuple(means.tolist()), None, None, Verdict.NO_TRUTH)
    pairs = [zip(row, true, strict=True) for row, true in zip(rows, truths, strict=True)]
    values = [[one.sharpness / true for one, true in row] for row in pairs]
    return _measure("sharpness", _stacked(values), labels)


def _stacked(values: Sequence[Sequence[Values]]) -> Values:
    """Values (template, label, seed) as rows (template and seed, label)."""
    return np.concatenate([np.stack(row, axis=1) for row in values])


def _measure(name: str, values: Values, labels: Sequence[str], bias: float = 0.0) -> Measure:
    assert values.shape[1] == len(labels), values.shape
    means = tuple(values.mean(axis=0).tolist())
    if len(values) < LEAST_READ:
        return Measure(name, means, None, None, Verdict.TOO_FEW)
    found, chance = bootstrap(statistics.gap, values), statistics.gap_by_chance(values)
    return Measure(name, means, found, threshold(chance, bias), verdict(found, chance, bias))
