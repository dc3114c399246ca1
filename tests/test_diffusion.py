"""How the diffusion family is sampled: where guidance leads to, and away from."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_models import save_shaken

from kineograph import catalog
from kineograph.generation import fill, prepare
from kineograph.request import Request
from kineograph.video import Chunk


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shaken") / "model"
    save_shaken(folder)
    return catalog.load(str(folder))


def unprompted(request, model):
    canvas = replace(prepare(request, model), prompt="")
    chunks = (item for item in fill(canvas, request, model) if isinstance(item, Chunk))
    return np.concatenate([chunk.frames for chunk in chunks])


@pytest.mark.parametrize(
    "guide", [{"tracks": ("0.1,0.2 0.9,0.8",)}, {"actions": "right*8"}, {"camera": "0,1 0.3,2"}]
)
def test_guidance_pulls_towards_guides_too(guide, model):
    """Without a prompt nothing else could pull; what is rounded otherwise is a level at most."""
    plain = Request("a ball", frames=model.spec.window, steps=2, guidance=1.0)
    pulled = replace(plain, guidance=6.0)
    rounded, apart = (
        np.abs(np.subtract(*(unprompted(replace(one, **told), model).astype(int) for one in (plain, pulled))))
        for told in ({}, guide)
    )
    assert rounded.max() <= 1
    assert apart.mean() > 1
