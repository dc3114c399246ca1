"""Audits: what is skewed is flagged, what is fair is not, and nothing is guessed where nobody reads."""

import json
import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from command import imported, kineo, refusal
from hypothesis import given
from hypothesis import strategies as st
from plain_model import SPEC, PlainModel
from tiny_models import save_shaken

import benchmarks.audit as benchmark
from kineograph import catalog
from kineograph.cli.audit import _last
from kineograph.errors import RequestError
from kineograph.evaluation import facts
from kineograph.evaluation.audit import page, statistics
from kineograph.evaluation.audit.findings import Audit, Verdict
from kineograph.evaluation.audit.measuring import Options, audit
from kineograph.evaluation.audit.mitigation import Asked, completed, reweighted
from kineograph.evaluation.audit.plan import Plan, built_in, filled, plan_of, read_plan, slot_of
from kineograph.evaluation.audit.scoring import WorldScorer, confusion
from kineograph.evaluation.audit.truth import true_sharpness
from kineograph.evaluation.facts import Facts
from kineograph.evaluation.figures import bootstrap
from kineograph.evaluation.making import fill
from kineograph.video import Chunk
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import Scene, Thing
from kineograph.worlds.world import FULL, SMALL

COLORS = ("red", "blue")
PLAN = Plan(("a {color} ring moves right over grass by day",), {"color": COLORS})
WORLD_SPEC = replace(SPEC, width=64, height=64, window=9)


class Painter(PlainModel):
    """A model that shows stripes of the color that it is asked for and else, of a share of its seeds, red
    ones. Of `failing` colors it shows nothing."""

    def __init__(self, red=0.5, failing=()):
        super().__init__(replace(WORLD_SPEC, abilities=WORLD_SPEC.abilities | {"walk"}))
        self.red, self.failing = red, failing

    def sample(self, canvases, noises, sampling):
        yield canvases, noises

    def decode(self, latents):
        canvases, noises = latents
        shown = [self._color(*pair) for pair in zip(canvases, noises, strict=True)]
        return [Chunk(clip, 0) for clip in self._drawn(shown, len(canvases[0]))]

    def _color(self, canvas, noise):
        """Of two prompts the one with more weight is followed."""
        towards, weight = canvas.guides.get("walk", ("", 0.0))
        said = [color for color in COLORS if color in (towards if weight > 0.5 else canvas.prompt)]
        drawn = np.random.default_rng(noise.seed).random() < self.red
        return said[0] if said else ("blue", "red")[int(drawn)]

    def _drawn(self, shown, frames):
        clips = np.zeros((len(shown), frames, 64, 64, 3), np.uint8)
        for clip, color in zip(clips, shown, strict=True):
            if color not in self.failing:
                clip[:, :, ::4, 2 * COLORS.index(color)] = 200
        return clips


class Renderer(Painter):
    """The same with rings of the world."""

    def _drawn(self, shown, frames):
        things = [Thing("ring", color, "large", "right", 0.3, 0.7) for color in shown]
        return render([Scene((thing,), "grass", "day") for thing in things], frames, 64, 8.0).frames.numpy()


class ByMean:
    """A scorer that knows red from blue."""

    name = "the mean"

    def reads(self, group, labels):
        return set(labels) <= set(COLORS)

    def score(self, frames, labels):
        means = frames.mean(axis=(1, 2, 3))
        return np.array([[float(mean[2 * COLORS.index(label)] > 9) for label in labels] for mean in means])


def found_in(model, plan=PLAN, clips=64, scorer=ByMean(), **options):  # noqa: B008
    return _last(audit(model, plan, [scorer] if scorer else [], Options(clips, 16, **options)), Audit)


@pytest.fixture(scope="module")
def skewed():
    return found_in(Painter(red=0.9), complete=True, reweight=0.75)


@pytest.fixture(scope="module")
def fair():
    return found_in(Painter())


# What is flagged


def test_nine_to_one_is_flagged_and_both_remedies_mend_it(skewed):
    (opened,) = skewed.opened
    assert skewed.verdict == opened.verdict == Verdict.FLAGGED
    assert opened.read == 64
    assert opened.shares[0] > 0.75
    assert opened.variation.low > opened.threshold > 0.1
    assert opened.completed.variation.high < opened.variation.low
    assert opened.reweighted == opened.completed
    assert opened.completed.read == 64


def test_the_worlds_detectors_see_it_too():
    plan = replace(PLAN, templates=("a ring moves right over grass by day",))
    scorer = WorldScorer(SMALL, 8.0)
    (opened,) = found_in(Renderer(red=1.0), plan, 16, scorer).opened
    assert (opened.verdict, opened.read, opened.variation.value) == (Verdict.FLAGGED, 16, 0.5)


def test_what_is_fair_is_not_flagged(fair):
    (opened,) = fair.opened
    assert fair.verdict == opened.verdict == Verdict.NOT_FLAGGED
    assert opened.entropy.value > 0.9
    verdicts = [measure.verdict for measure in fair.parity[0].measures]
    assert verdicts == [Verdict.NOT_FLAGGED, Verdict.NOT_FLAGGED, Verdict.NO_TRUTH]


def test_what_keeps_to_a_declared_target_is_not_flagged():
    target = {"color": {"red": 0.9, "blue": 0.1}}
    assert found_in(Painter(red=0.9), replace(PLAN, target=target)).opened[0].verdict == Verdict.NOT_FLAGGED


def test_a_group_that_is_served_worse_is_flagged():
    found = found_in(Painter(failing=("blue",)), world=SMALL)
    measures = {measure.name: measure for measure in found.parity[0].measures}
    assert measures["adherence"].means == pytest.approx((1, 0))
    assert measures["failure"].gap.value == 1
    assert {one.verdict for one in measures.values()} == {Verdict.FLAGGED}


def test_what_is_less_sharp_by_nature_is_not_held_against_a_model():
    red, white = (
        true_sharpness(f"a large {color} ring moves right over snow", SMALL, WORLD_SPEC)
        for color in ("red", "white")
    )
    assert red > 1.05 * white
    for prompt in ("a woman walks", "over snow", "a red ball and a blue box"):
        assert true_sharpness(prompt, SMALL, WORLD_SPEC) is None


def test_without_a_scorer_nothing_is_guessed():
    found = found_in(Painter(), scorer=None)
    assert found.opened[0].verdict == found.parity[0].measures[0].verdict == Verdict.NO_SCORER
    assert found.opened[0].shares == found.parity[0].measures[0].means == ()
    text = page.markdown(found)
    assert "no scorer" in text
    people = Plan(("a {who} walks",), {"who": ("woman", "man")})
    assert found_in(Painter(), people).scorers[0].scorer is None


def test_the_detectors_error_is_measured():
    error = confusion(WorldScorer(SMALL, 8.0), COLORS, SMALL, WORLD_SPEC, 4)
    assert error.right.value == 1
    assert error.rows == ((1, 0), (0, 1))
    assert error.bias == 0


def test_what_the_world_can_not_show_has_no_known_error():
    scorer = WorldScorer(SMALL, 8.0)
    assert confusion(scorer, ("left", "right"), SMALL, WORLD_SPEC, 2) is None
    assert confusion(scorer, ("woman", "man"), SMALL, WORLD_SPEC, 2) is None


# The figures


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(lambda values: sum(values) > 0.01))
def test_entropy_and_total_variation_lie_between_0_and_1(values):
    shares = np.array(values) / sum(values)
    assert -1e-9 <= statistics.entropy(shares) <= 1 + 1e-9
    assert 0 <= statistics.total_variation(shares, [1 / len(values)] * len(values)) < 1
    assert statistics.total_variation(shares, shares) == 0


def test_chance_alone_is_not_flagged():
    rng, target = np.random.default_rng(1), [0.25] * 4
    chance = statistics.variation_by_chance(target, 64)
    flagged = 0
    for _ in range(40):
        scores = np.eye(4)[rng.integers(0, 4, 64)]
        found = bootstrap(
            lambda rows: statistics.total_variation(statistics.distribution(rows), target), scores
        )
        flagged += found.low > chance + statistics.MARGIN
    assert flagged == 0
    values = rng.random((64, 4))
    assert statistics.gap(values) < 2 * statistics.gap_by_chance(values)


def test_a_row_in_which_nothing_is_read_does_not_count():
    scores = np.array([[1, 0], [0, 0], [0.5, 0.5]], float)
    assert statistics.distribution(scores).tolist() == [0.75, 0.25]
    assert np.isnan(statistics.distribution(scores[1:2])).all()


# The plan


def test_a_template_is_filled_or_left_open():
    template = "a {color} ring rises"
    assert (slot_of(template), slot_of("a ring")) == ("color", "")
    assert [filled(template, value) for value in ("red", "")] == ["a red ring rises", "a ring rises"]


@pytest.mark.parametrize("world", [SMALL, FULL], ids=lambda world: world.name)
def test_the_built_in_plan_can_be_read_and_keeps_to_its_world(world):
    plan = built_in(world)
    assert plan_of(json.loads(json.dumps(plan.to_dict()))) == plan
    scorer = WorldScorer(world, 8.0)
    assert all(scorer.reads(name, labels) for name, labels in plan.groups.items())
    assert {(one.prompt, one.group) for one in plan.left_open() if not one.template} == {
        ("", "color"),
        ("", "kind"),
    }


def test_a_prompt_that_names_a_value_leaves_nothing_open():
    plan = Plan(("a red ring",), {"color": COLORS, "kind": ("ball", "box")})
    assert [one.group for one in plan.left_open()] == ["kind"]


def test_completion_keeps_to_the_target():
    plan = replace(PLAN, target={"color": {"red": 0.0, "blue": 1.0}})
    asked = completed(plan.templates[0], plan, "color", 20)
    assert set(asked.prompts) == {"a blue ring moves right over grass by day"}
    assert len(set(completed(PLAN.templates[0], PLAN, "color", 20).prompts)) == 2


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_guidance_leads_from_the_open_prompt_to_the_completed_one(weight, tmp_path):
    save_shaken(tmp_path / "tiny")
    model = catalog.load(str(tmp_path / "tiny"))
    template = PLAN.templates[0]
    asked = reweighted(template, PLAN, "color", 2, weight)
    ends = (Asked((filled(template, ""),) * 2), completed(template, PLAN, "color", 2))
    led, unsaid, said = (fill(one.canvases(0, 2, model.spec), model).frames for one in (asked, *ends))
    assert np.array_equal(led, unsaid) == (weight == 0)
    assert np.array_equal(led, said) == (weight == 1)


GOOD = {"templates": ["a {color} ring"], "groups": {"color": ["red", "blue"]}}
BAD = {
    "no JSON": "{",
    "no object": [],
    "unknown key": GOOD | {"seeds": 3},
    "no groups": {"templates": ["a ring"]},
    "empty groups": GOOD | {"groups": {}},
    "one value": GOOD | {"groups": {"color": ["red"]}},
    "a value twice": GOOD | {"groups": {"color": ["red", "Red"]}},
    "a value of no words": GOOD | {"groups": {"color": ["red", "-"]}},
    "values that are no list": GOOD | {"groups": {"color": "red"}},
    "no templates": GOOD | {"templates": []},
    "two slots": GOOD | {"templates": ["a {color} {color} ring"]},
    "a broken slot": GOOD | {"templates": ["a {color ring"]},
    "an unknown slot": GOOD | {"templates": ["a {kind} ring"]},
    "a template twice": GOOD | {"templates": ["a ring", "a ring"]},
    "a target of nothing": GOOD | {"target": {"kind": {}}},
    "half a target": GOOD | {"target": {"color": {"red": 1.0}}},
    "too much": GOOD | {"target": {"color": {"red": 1.0, "blue": 0.5}}},
    "less than nothing": GOOD | {"target": {"color": {"red": 1.5, "blue": -0.5}}},
    "no numbers": GOOD | {"target": {"color": {"red": "all", "blue": True}}},
    "no target": GOOD | {"target": 1},
}


@pytest.mark.parametrize("values", BAD.values(), ids=BAD.keys())
def test_a_wrong_plan_is_refused_in_one_sentence(values):
    with pytest.raises(RequestError, match=r"^[^\n]+\.$"):
        read_plan(values if isinstance(values, str) else json.dumps(values))


# The report and the command


def test_the_page_needs_nothing_beside_itself(skewed, tmp_path):
    pytest.importorskip("matplotlib")
    names = {path.name for path in page.write(skewed, tmp_path)}
    assert names == {"README.md", "audit.json", "audit.html", "open-color.png", "parity-color.png"}
    text = (tmp_path / "audit.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,20})', text)
    assert len(sources) == 2
    assert all(source.startswith("data:image/png") for source in sources)
    assert 'class="flagged"' in text
    values = json.loads((tmp_path / "audit.json").read_text())
    assert values["verdict"] == "flagged"
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("# Audit of plain: flagged")
    assert "Flagged is what lies" in card
    assert "![open-color](open-color.png)" in card
    assert "re-weighted by 0.75" in card


def test_the_command_prints_and_writes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_shaken(tmp_path / "tiny")
    facts.write(tmp_path / "tiny", Facts("playground", 6, 20, 1, "a slow machine", world="small"))
    groups = {"templates": ["a {who} waves"], "groups": {"who": ["woman", "man"]}}
    (tmp_path / "groups.json").write_text(json.dumps(groups))
    assert kineo("audit", "tiny", "--groups", "groups.json", "--clips", 16, "--report", "out", "--json") == 0
    printed, said = capsys.readouterr()
    assert "minutes left" in said
    assert "wrote out/audit.html" in said
    assert json.loads(printed) == json.loads((tmp_path / "out" / "audit.json").read_text())


REFUSED = {
    "too few clips": ["tiny", "--clips", 4],
    "no groups": ["tiny", "--groups", "none.json"],
    "wrong groups": ["tiny", "--groups", "wrong.json"],
    "unknown model": ["tin"],
    "a scorer that reads nothing": ["tiny", "--scorer", "tiny"],
    "no scorer to read": ["tiny", "--read", "color"],
    "no such group": ["tiny", "--scorer", "tiny", "--read", "age"],
    "no prompts": ["silent"],
    "too much weight": ["tiny", "--reweight", 1.5],
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED.keys())
def test_refused_at_once(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("tiny", "silent"):
        save_shaken(tmp_path / name)
    config = json.loads((tmp_path / "silent" / "config.json").read_text())
    (tmp_path / "silent" / "config.json").write_text(json.dumps(config | {"abilities": ["image"]}))
    (tmp_path / "wrong.json").write_text("{}")
    assert kineo("audit", *arguments) == 2
    assert refusal(capsys)


def test_only_a_model_that_stands_between_prompts_can_be_re_weighted(capsys):
    assert kineo("audit", "convlstm", "--reweight", 0.5) == 2
    assert "can't be guided by two prompts at once" in refusal(capsys)


def test_help_needs_no_torch():
    printed, packages = imported(["audit", "--help"])
    assert "--complete" in printed
    assert packages == set()


# The benchmark that shows that it bites


def test_the_clips_of_the_benchmark_are_as_skewed_as_they_say():
    for shares in (benchmark.SKEWED, benchmark.BALANCED):
        scenes = benchmark.scenes_of(shares, 100)
        colors = Counter(scene.things[0].color for scene in scenes)
        assert colors == {color: round(100 * share) for color, share in shares.items()}
        draw = random.Random(1)
        named = [bool({*benchmark.COLORS} & {*benchmark.caption_of(scene, draw).split()}) for scene in scenes]
        assert 30 < sum(named) < 70


@pytest.mark.slow
def test_the_benchmark_prints_its_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmark, "CLIPS", 64)
    benchmark.main(minutes=0.02, clips=16, seeds=1, out=tmp_path)
    printed = capsys.readouterr().out
    assert all(f"| {case.name}" in printed for case in benchmark.CASES)
