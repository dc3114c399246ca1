"""What a model repeats of its training: planted duplicates are found, all of them, and nothing else is."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from command import kineo, refusal
from media_clips import moving
from media_clips import write as write_clip
from plain_model import SPEC, PlainModel
from tiny_models import save_shaken

from kineograph.cli.audit import _last
from kineograph.data.shards import write
from kineograph.evaluation import facts
from kineograph.evaluation.audit.memory import SEED, Known, Memory, compare, measure, own, rendered
from kineograph.evaluation.facts import Facts
from kineograph.video import Chunk

SIZE, FRAMES, COUNT = 32, 9, 48
FACTS = Facts("vae", 64, 64, 1, "a machine", world="small")
WORLD_SPEC = replace(SPEC, width=SIZE, height=SIZE, window=FRAMES)


def known(points):
    return Known(points, [str(number) for number in range(len(points))])


def test_planted_duplicates_are_found_all_of_them_and_nothing_else():
    rng = np.random.default_rng(0)
    training, held, fresh = (rng.uniform(0, 255, (n, 64)).astype(np.float32) for n in (300, 300, 100))
    planted = np.concatenate([training[:20] + rng.normal(0, 1, (20, 64)), fresh[20:]]).astype(np.float32)
    found = compare(known(planted), known(training), known(held))
    assert {(copy.seed, copy.training) for copy in found.copies} >= {(n, n) for n in range(20)}
    assert found.found <= 21
    honest = compare(known(fresh), known(training), known(held))
    assert honest.found <= 2
    assert honest.closer.low < 0.5 < honest.closer.high
    assert not honest.repeats


def test_clips_that_are_far_from_all_repeat_nothing():
    """An unlearnt model shows grey, which happens to lie on the side of what was learnt."""
    rng = np.random.default_rng(0)
    training, held = (rng.normal(level, 5, (40, 64)).astype(np.float32) for level in (60, 50))
    found = compare(known(rng.normal(128, 1, (32, 64)).astype(np.float32)), known(training), known(held))
    assert found.closer.value == 1
    assert (found.repeats, found.found) == (False, 0)


class Parrot(PlainModel):
    """A model that gives back clips: of half of its seeds those it learnt from, of the others new ones."""

    def __init__(self, learnt, new, share):
        super().__init__(WORLD_SPEC)
        self.learnt, self.new, self.share = learnt, new, share

    def sample(self, canvases, noises, sampling):
        yield [noise.seed for noise in noises]

    def decode(self, seeds):
        chosen = [self.learnt if seed < self.share * COUNT else self.new for seed in seeds]
        return [Chunk(clips[seed], 0) for clips, seed in zip(chosen, seeds, strict=True)]


def frames(seed):
    parts = rendered(FACTS, WORLD_SPEC, seed).parts
    return np.concatenate([fields["frames"].numpy() for fields, _ in parts])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_parrot_of_the_world_is_flagged(share):
    model = Parrot(frames(FACTS.seed), frames(3), share)
    sets = (rendered(FACTS, WORLD_SPEC, seed) for seed in (FACTS.seed, SEED))
    found = _last(measure(model, *sets, COUNT), Memory)
    planted = {int(seed) for seed in range(COUNT) if seed < share * COUNT}
    assert found.repeats == (share > 0)
    assert found.found >= len(planted)
    assert {copy.seed for copy in found.copies if copy.apart == 0} <= planted
    assert (found.nearest.training_clips, found.equal, found.closer.count) == (64, 64, COUNT)


def shards(folder, seed):
    clips = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (12, 13, SIZE, SIZE, 3), np.uint8))
    return write(folder, [({"frames": clips}, ["a red ball"] * 12)], 8.0)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run on somebody's own clips, and clips that it didn't see."""
    shards(tmp_path / "run" / "clips", 1)
    save_shaken(tmp_path / "run" / "model")
    write_clip(tmp_path / "held.mkv", moving(40), fps=Fraction(8))
    (tmp_path / "held").mkdir()
    (tmp_path / "held.mkv").rename(tmp_path / "held" / "a wave.mkv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_own_clips_are_found_beside_the_model(run, capsys):
    arguments = ("run/model", "--memory", "--held", "held", "--clips", 16, "--report", "out", "--json")
    assert kineo("audit", *arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["memory"]["nearest"]["training_clips"] == 12
    assert printed["opened"] == printed["parity"] == []
    assert printed["verdict"] in ("flagged", "not flagged")
    assert "Nearest training clip" in (run / "out" / "README.md").read_text()
    supply = own(run / "run" / "clips", WORLD_SPEC)
    assert sum(len(captions) for _, captions in supply.parts) == supply.count == 12


def test_those_of_a_comparison_too(run):
    shards(run / "held", 2)
    (run / "run").rename(run / "preset")
    (run / "preset" / "clips").rename(run / "clips")
    assert kineo("audit", "preset/model", "--memory", "--clips", 16) == 0


REFUSED = {
    "nothing held out": ["run/model", "--memory"],
    "nothing to ask": ["run/model"],
    "training unknown": ["other", "--memory", "--held", "held"],
    "no such folder": ["other", "--memory", "--data", "none", "--held", "held"],
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED.keys())
def test_refused_at_once(arguments, run, capsys):
    save_shaken(run / "other")
    assert kineo("audit", *arguments) == 2
    assert refusal(capsys)


def test_what_is_held_out_must_not_be_what_was_learnt_from(run, capsys):
    assert kineo("audit", "run/model", "--memory", "--held", "run/clips", "--clips", 16) == 2
    assert "Most clips held out are among those that it learnt from" in capsys.readouterr().err


def test_of_the_world_nothing_has_to_be_given(tmp_path, capsys):
    save_shaken(tmp_path / "tiny")
    facts.write(tmp_path / "tiny", replace(FACTS, clips=8))
    groups = {"templates": ["a {who} waves"], "groups": {"who": ["woman", "man"]}}
    (tmp_path / "groups.json").write_text(json.dumps(groups))
    options = ("--memory", "--clips", 16, "--groups", tmp_path / "groups.json")
    assert kineo("audit", tmp_path / "tiny", *options) == 0
    printed = capsys.readouterr().out
    assert "| 8 " in printed
    assert "no scorer" in printed
