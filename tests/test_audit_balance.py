"""Balanced sampling: of each class equally often, whatever there is of it, the same at every step."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kineograph.data import latents, truth, world
from kineograph.data.balance import NONE, Balanced, classes_of
from kineograph.data.lessons import lessons
from kineograph.data.shards import write
from kineograph.errors import DataError
from kineograph.text.vocabulary import Vocabulary
from kineograph.worlds.world import FULL


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 24))
def test_every_class_comes_equally_often_and_every_clip_of_it(classes, count):
    draws = Balanced(classes, seed=3)
    kinds = len(set(classes))
    steps = -(-len(classes) * kinds // count)
    drawn = [index for step in range(steps) for index in draws.indices(count, step)]
    times = Counter(classes[index] for index in drawn)
    assert max(times.values()) - min(times.values()) <= 1
    assert set(drawn) == set(range(len(classes)))
    assert draws.indices(count, 2) == Balanced(classes, seed=3).indices(count, 2)


def shards(folder, captions, **fields):
    frames = torch.zeros(len(captions), 2, 4, 4, 3, dtype=torch.uint8)
    return write(folder, [({"frames": frames, **fields}, captions)], 8.0)


def test_classes_are_what_shards_know_or_captions_say(tmp_path):
    captions = ["a red ball", "a blue ball", "a ball"]
    made = shards(tmp_path, captions, color=torch.tensor([2, 0, 2], dtype=torch.uint8))
    assert classes_of(made, "color") == [2, 0, 2]
    assert classes_of(made, "red,blue") == [0, 1, NONE]
    with pytest.raises(DataError, match="can't be balanced by size"):
        classes_of(made, "size")


def test_of_the_world_color_and_kind_are_known():
    learnt = lessons(8, 1)
    known = truth.pack(world.render([lesson.scene for lesson in learnt], 9, 32, 8.0), learnt)
    assert [FULL.colors[n] for n in known["color"]] == [lesson.scene.things[0].color for lesson in learnt]
    assert [FULL.kinds[n] for n in known["kind"]] == [lesson.scene.things[0].kind for lesson in learnt]


def test_batches_are_drawn_in_balance(tmp_path):
    captions = ["a blue ball"] + ["a red ball"] * 9
    clips = shards(tmp_path / "clips", captions[:2])
    made = write(tmp_path / "latents", [({"latents": torch.zeros(10, 2, 1, 1, 1)}, captions)], 8.0)
    words = Vocabulary.of(captions)
    data = latents.FlowBatches(made, clips, words, 3, 8, 2, 0, 0, 0, "red,blue")
    said = Counter(row[1] for step in range(3) for row in data.batch(step)["caption"].tolist())
    assert len(set(said.values())) == 1
