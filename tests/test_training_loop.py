"""The training loop: interruptions leave no trace, schedules depend on the step alone, bad losses stop it."""

import json
import math
import random
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from killed import CONFIG, EVERY, STEPS, child, outcome, train, trainer, truncate_newest

from kineograph.errors import TrainingError
from kineograph.training import checkpoint, log
from kineograph.training.loop import TrainConfig
from kineograph.training.optim import OptimConfig, learning_rate


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted") / "flow"
    train(out)
    lines, _ = done = outcome(out)
    assert [line["step"] for line in lines] == list(range(STEPS))
    return done


# Kills


@pytest.mark.slow
def test_kills_at_every_kind_of_moment_leave_no_trace(tmp_path, uninterrupted):
    """24 times a child dies the moment that it opens, renames or removes its n-th file; once more a
    checkpoint is cut short."""
    out, draw = tmp_path / "flow", random.Random(0)
    half_written = 0
    for kill in range(24):
        process = child(out, touches=draw.randint(1, 60))
        process.join()
        assert process.exitcode == -9
        half_written += any(out.glob(".step-*.part"))
        if kill == 12:
            truncate_newest(out)
    process = child(out)
    process.join()
    assert process.exitcode == 0
    assert half_written > 3
    assert outcome(out) == uninterrupted
    assert not list(out.glob(".*"))
    assert len(list(out.glob("step-*"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_moments_leave_no_trace(tmp_path, seed):
    """20 kills from outside, whenever."""
    steps, draw = 4000, random.Random(seed)
    for _ in range(20):
        process = child(tmp_path / "killed", steps=steps)
        begun = len(log.read(tmp_path / "killed"))
        while process.is_alive() and len(log.read(tmp_path / "killed")) in (0, begun):
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.2))
        process.kill()
        process.join()
        assert process.exitcode == -9, "it came to its end before it was killed often enough"
    train(tmp_path / "killed", steps=steps)
    train(tmp_path / "whole", steps=steps)
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_closing_and_resuming_leaves_no_trace(tmp_path, uninterrupted):
    out = tmp_path / "flow"
    for steps in (3, 7, 20):
        resumed = trainer(out)
        resumed.resume()
        steps_made = resumed.run()
        for _ in range(steps):
            next(steps_made)
        resumed.save()
        steps_made.close()
        assert checkpoint.newest(out).state["step"] == resumed.progress.step
    train(out)
    assert outcome(out) == uninterrupted


def test_a_finished_run_is_left_as_it_is(tmp_path, uninterrupted):
    out = tmp_path / "flow"
    train(out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    train(out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert outcome(out) == uninterrupted


def test_a_kill_before_the_first_checkpoint_leaves_no_line(tmp_path):
    begun = trainer(tmp_path)
    next(begun.run())
    assert len(log.read(tmp_path)) == 1
    again = trainer(tmp_path)
    assert not again.resume()
    next(again.run())
    assert [line["step"] for line in log.read(tmp_path)] == [0]


def test_damaged_checkpoints_are_never_passed_over_in_silence_to_the_very_start(tmp_path):
    steps = trainer(tmp_path).run()
    for _ in range(EVERY):
        next(steps)
    truncate_newest(tmp_path)
    with pytest.raises(TrainingError, match="is damaged: remove"):
        trainer(tmp_path).resume()


def test_checkpoints_of_other_networks_are_refused(tmp_path):
    train(tmp_path)
    other = trainer(tmp_path)
    other.trainable.module.blocks.append(torch.nn.Linear(6, 6))
    with pytest.raises(TrainingError, match="of other networks"):
        other.resume()


# The log


def test_a_log_line_is_whole_or_not_there(tmp_path):
    (tmp_path / log.LOG).write_text('{"step": 0, "loss": 1.0}\n{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert [line["step"] for line in log.read(tmp_path)] == [0, 1]
    with log.open_at(tmp_path, 1) as lines:
        log.write(lines, {"step": 1, "loss": 3.0})
    assert [line["loss"] for line in log.read(tmp_path)] == [1.0, 3.0]


# Losses that are not finite


@pytest.mark.parametrize(("bad", "kept"), [(7, 6), (6, 4), (1, None)])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(tmp_path, bad, kept):
    """A checkpoint right before the bad step is no good: from it the same step would follow."""
    out = tmp_path / "flow"
    with pytest.raises(TrainingError, match=r"at step \d: .* --set flow_stage.train.optim.rate=0.01\.$"):
        for _ in trainer(out, bad=bad).run():
            pass
    found = checkpoint.newest(out)
    assert (found and found.state["step"]) == kept
    if found is not None:
        assert all(bool(torch.isfinite(value).all()) for value in found.tensors["weights"].values())
    train(out)
    assert [line["step"] for line in log.read(out)] == list(range(STEPS))


# Schedules

OPTIMS = st.builds(OptimConfig, rate=st.floats(1e-6, 1), warmup=st.integers(0, 50), cooldown=st.floats(0, 1))
COOLDOWNS = st.none() | st.tuples(st.integers(0, 500), st.integers(1, 500)).map(lambda c: (c[0], c[0] + c[1]))


@given(OPTIMS, COOLDOWNS, st.integers(0, 1200))
@settings(max_examples=60, deadline=None)
def test_the_rate_rises_stays_and_falls_to_nothing(config, cooldown, step):
    rate = learning_rate(config, step, cooldown)
    assert 0 <= rate <= config.rate
    if cooldown is None or step < cooldown[0]:
        assert rate == pytest.approx(config.rate * min(1, (step + 1) / max(1, config.warmup)))
        assert rate <= learning_rate(config, step + 1, None)
    elif step >= config.warmup:
        assert learning_rate(config, step + 1, cooldown) <= rate
    if cooldown is not None and step >= cooldown[1]:
        assert rate == 0


def test_the_rate_in_the_log_depends_on_the_step_alone(uninterrupted):
    lines, _ = uninterrupted
    cooldown = (math.ceil(STEPS * (1 - CONFIG.optim.cooldown)), STEPS)
    assert [line["rate"] for line in lines] == [
        learning_rate(CONFIG.optim, step, cooldown) for step in range(STEPS)
    ]


def test_a_cooldown_that_the_clock_began_is_kept(tmp_path):
    """Once it is in a checkpoint, the end of the run is a step, however slow the machine becomes."""
    config = TrainConfig(minutes=1e-3, optim=OptimConfig(cooldown=0.5), checkpoint_every=1)
    first = trainer(tmp_path, config)
    for _ in first.run():
        if first.progress.cooldown is not None:
            break
    begin, end = first.progress.cooldown
    assert json.loads(sorted(tmp_path.glob("step-*/state.json"))[-1].read_text())["cooldown"] == [begin, end]
    resumed = trainer(tmp_path, config)
    assert resumed.resume()
    assert resumed.progress.cooldown == (begin, end)
    rates = [step.rate for step in resumed.run()]
    assert resumed.progress.step == end
    assert rates == [learning_rate(config.optim, step, (begin, end)) for step in range(begin, end)]


@pytest.mark.parametrize("config", [TrainConfig(steps=0), TrainConfig(minutes=0)])
def test_a_stage_may_rest(tmp_path, config):
    assert config.rests
    resting = trainer(tmp_path / "flow", config)
    assert not resting.resume()
    assert list(resting.run()) == []
    assert list(tmp_path.iterdir()) == []


def test_every_objective_has_the_same_draws_whenever_a_step_is_made(tmp_path):
    """The loss of step 5 does not depend on how many steps this process has made before."""
    whole = [step.loss for step in trainer(tmp_path / "a").run()]
    first = trainer(tmp_path / "b")
    steps = first.run()
    for _ in range(5):
        next(steps)
    first.save()
    resumed = trainer(tmp_path / "b")
    resumed.resume()
    assert next(resumed.run()).loss == whole[5]
