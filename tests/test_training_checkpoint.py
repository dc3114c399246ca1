"""Checkpoints: what comes back is what went in, and what is damaged does not come back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.training import checkpoint
from kineograph.training.checkpoint import Checkpoint

FILES = ("weights.safetensors", "optimizer0.safetensors", "state.json", "manifest.json")


def of(step):
    weights = {"a": torch.full((3, 4), float(step)).T}
    groups = {"weights": weights, "optimizer0": {"0.step": torch.tensor(step)}}
    return Checkpoint(groups, {"step": step, "cooldown": [3, 9]})


def same(one, other):
    return one.state == other.state and all(
        torch.equal(one.tensors[group][name], value)
        for group, values in other.tensors.items()
        for name, value in values.items()
    )


def test_what_comes_back_is_what_went_in(tmp_path):
    assert checkpoint.newest(tmp_path) is None
    assert not checkpoint.exists(tmp_path)
    checkpoint.save(of(7), tmp_path, 7)
    assert same(checkpoint.newest(tmp_path), of(7))


@given(st.lists(st.integers(0, 10**8 - 1), min_size=1, max_size=6, unique=True), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_the_newest_stay_in_whatever_number_is_kept(tmp_path_factory, steps, keep):
    run = tmp_path_factory.mktemp("run")
    for step in sorted(steps):
        checkpoint.save(of(step), run, step, keep)
    names = [folder.name for folder in sorted(run.iterdir())]
    assert names == [f"step-{step:08d}" for step in sorted(steps)[-keep:]]
    assert same(checkpoint.newest(run), of(max(steps)))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_one_is_passed_over(tmp_path, name, harm):
    for step in (1, 2):
        checkpoint.save(of(step), tmp_path, step)
    file = tmp_path / "step-00000002" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 64
    if harm == "remove":
        file.unlink()
    else:
        file.write_bytes(data if harm == "flip" else data[: len(data) // 2])
    assert same(checkpoint.newest(tmp_path), of(1))
    checkpoint.save(of(2), tmp_path, 2)
    assert same(checkpoint.newest(tmp_path), of(2))


def test_leftovers_and_an_undone_future_go(tmp_path):
    (tmp_path / ".step-00000003.part").mkdir(parents=True)
    (tmp_path / ".step-00000003.part" / "weights.safetensors").touch()
    checkpoint.save(of(9), tmp_path, 9)
    checkpoint.save(of(4), tmp_path, 4)
    assert [folder.name for folder in tmp_path.iterdir()] == ["step-00000004"]


def test_only_the_bad_one_is_retreated_from_and_never_the_last(tmp_path):
    for step in (1, 2):
        checkpoint.save(of(step), tmp_path, step)
    for step, left in ((1, 2), (2, 1), (1, 1)):
        checkpoint.retreat(tmp_path, step)
        assert len(list(tmp_path.iterdir())) == left
    assert same(checkpoint.newest(tmp_path), of(1))
