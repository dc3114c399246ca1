"""Edits are judged by pairs of scenes that differ in one attribute."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_models import save_shaken

from kineograph.evaluation.editing import OPTIONS, edit_attribute, pairs_of
from kineograph.models import diffusion
from kineograph.worlds.holdout import is_held_out

CLIPS = 4


@pytest.mark.parametrize("attribute", OPTIONS)
def test_pairs_differ_in_the_attribute_alone(attribute):
    for before, after in pairs_of(attribute, 20):
        one, other = before.to_dict(), after.to_dict()
        if attribute in ("color", "kind"):
            one, other = one["things"][0], other["things"][0]
        assert {name for name in one if one[name] != other[name]} == {attribute}
        assert not is_held_out(after)


@pytest.mark.parametrize("attribute", OPTIONS)
def test_a_copy_keeps_all_and_changes_nothing(attribute, tmp_path):
    save_shaken(tmp_path)
    work = edit_attribute(attribute, CLIPS, diffusion.load(tmp_path), batch=3)
    done = []
    while True:
        try:
            done.append(next(work))
        except StopIteration as end:
            found = end.value
            break
    assert done == [3, 1]
    assert found.copy.changed.value == 0
    assert math.isinf(found.copy.kept.value) or np.isnan(found.copy.kept.value)
    assert found.model.kept.value < 40 or np.isnan(found.model.kept.value)
    assert found.model.all.count == CLIPS
