"""Edits are judged by pairs of scenes that differ in one thing: truth is right, the unchanged clip is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_models import save_shaken

from kineograph.evaluation.editing import EDITS, Edit, judge_edit, measure_edit, pairs_of, work_of
from kineograph.models import diffusion
from kineograph.models.family import Spec
from kineograph.sampling.settings import Sampling
from kineograph.worlds.holdout import is_held_out
from kineograph.worlds.world import SMALL

SPEC = Spec("any", "any", frozenset(), 64, 64, 8.0, 9, Sampling(1, 1.0, "euler"), ())
CLIPS = 4
edits = pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)


def measured(edit: Edit, model: diffusion.Diffusion):
    """The clips done at each step, and what was found."""
    work, done = measure_edit(edit, CLIPS, model, batch=3), []
    while True:
        try:
            done.append(next(work))
        except StopIteration as end:
            return done, end.value


@edits
def test_pairs_differ_in_the_attribute_alone(edit):
    for before, after in pairs_of(edit, 20):
        one, other = before.to_dict(), after.to_dict()
        if edit.attribute in ("color", "kind"):
            one, other = one["things"][0], other["things"][0]
        differing = {name for name in one if one[name] != other[name]}
        assert differing == ({edit.attribute} if edit.attribute else set())
        assert not is_held_out(after)


@edits
def test_the_truth_is_as_asked_and_the_unchanged_clip_is_not(edit):
    work = work_of(edit, pairs_of(edit, CLIPS), slice(None), SPEC)
    right = judge_edit(edit, work.captions, work.after, SPEC.fps)
    wrong = judge_edit(edit, work.captions, work.before, SPEC.fps)
    assert sum(verdict["asked"] for verdict in right) >= CLIPS - 1
    assert not any(verdict["asked"] or verdict["all"] for verdict in wrong)


@edits
def test_the_canvas_holds_the_given_clip_and_says_what_is_wanted(edit):
    work = work_of(edit, pairs_of(edit, CLIPS), slice(1, None), SPEC)
    assert len(work.canvases) == len(work.captions) == CLIPS - 1
    for canvas, clip, text in zip(work.canvases, work.before, work.captions, strict=True):
        np.testing.assert_array_equal(canvas.source.frames, clip)
        assert edit.needs == {canvas.task, *canvas.guides}
        untold = "" if edit.guides else "nothing"
        assert canvas.prompt == (untold if edit.guides or not edit.tells else text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "edit", [e for e in EDITS if e.world == SMALL or e.task == "removal"], ids=lambda edit: edit.name
)
def test_a_copy_keeps_all_and_changes_nothing(edit, tmp_path):
    save_shaken(tmp_path)
    done, found = measured(edit, diffusion.load(tmp_path))
    assert done == [3, 1]
    assert found.copy.changed.value == 0
    assert math.isinf(found.copy.kept.value) or np.isnan(found.copy.kept.value)
    assert found.copy.new.value < 40
    assert found.model.kept.value < 40 or np.isnan(found.model.kept.value)
    assert found.model.all.count == CLIPS
