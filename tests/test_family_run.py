"""Runs of the small families: from clips to a model, on the tokenizer that ships."""

from dataclasses import replace

import pytest
import torch
from test_training_run import follow, notes_of, weights_of

import kineograph
from kineograph.data.shards import Shards
from kineograph.errors import ModelError
from kineograph.evaluation import facts
from kineograph.generation import generate_batch
from kineograph.models import prompted
from kineograph.request import Request
from kineograph.training.events import Stepped
from kineograph.training.family_recipe import FamilyRecipe
from kineograph.training.presets import PRESETS
from kineograph.training.recipe import Recipe, lasting
from kineograph.training.runs import run_of

STEPS = 2
EVERY = [name for name, preset in PRESETS.items() if isinstance(preset(), FamilyRecipe)]
SMALL = [name for name in EVERY if not name.endswith("-gpu")]
every_preset = pytest.mark.parametrize("preset", SMALL)
SHIPPED = ("gan", "vae", "convlstm", "transformer", "diffusion-small")
MAIN = [name if name in SHIPPED else pytest.param(name, marks=pytest.mark.slow) for name in SMALL]


def tiny(preset: str) -> Recipe:
    """The preset on a few clips, each of its stages a few steps long."""
    recipe = replace(PRESETS[preset](), clips=4, latents=4, sheets=0)
    stages = {}
    for name, stage in recipe.stages.items():
        train = replace(stage.train, steps=STEPS, minutes=60, compile=False, checkpoint_every=1)
        rows = {"canvas": min(stage.canvas, 1), "guided": min(stage.guided, 1), "played": 0}
        stages[f"{name}_stage"] = replace(stage, batch=2, train=train, **rows)
    return replace(recipe, **stages)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Where the clips and latents of all runs lie, which the first of them makes."""
    return tmp_path_factory.mktemp("shards")


@pytest.fixture(scope="module")
def whole(shards, tmp_path_factory):
    """The folders of runs in one go, by preset."""
    made = {}

    def out_of(preset):
        if preset not in made:
            made[preset] = tmp_path_factory.mktemp(preset)
            follow(run_of(tiny(preset), made[preset], shards))
        return made[preset]

    return out_of


@every_preset
def test_a_run_makes_a_model_that_makes_clips(preset, whole, shards):
    out = whole(preset)
    assert {path.name for path in (out / "model").iterdir()} == {
        "config.json",
        "training.json",
        "weights.safetensors",
    }
    assert sum(path.stat().st_size for path in (out / "model").glob("*.safetensors")) < 4e6
    model = kineograph.load(str(out / "model"))
    assert model.spec.name == preset
    (video,) = generate_batch([Request(Shards(shards / "clips").captions[0], steps=1)], model)
    assert video.frames.shape == (17, 128, 128, 3)
    assert facts.read(out / "model").world == "small"


@every_preset
def test_what_is_compiled_is_learnt(preset):
    recipe = PRESETS[preset]()
    networks = recipe.kind.networks(replace(recipe.network, words=("a",)))
    learnt = {id(module) for own in networks.shipped().values() for module in own.modules()}
    hot = {id(module) for module in recipe.kind.hot(networks)}
    assert hot
    assert hot <= learnt


@pytest.mark.slow
@pytest.mark.parametrize("preset", SHIPPED)
def test_compiled_it_learns_the_same(preset, whole, shards, tmp_path):
    recipe = tiny(preset)
    compiled = {
        f"{name}_stage": replace(stage, train=replace(stage.train, compile=True))
        for name, stage in recipe.stages.items()
    }
    follow(run_of(replace(recipe, **compiled), tmp_path, shards))
    plain, ours = (
        torch.nn.ModuleDict(kineograph.load(str(folder / "model")).networks.shipped()).state_dict()
        for folder in (whole(preset), tmp_path)
    )
    for name, weight in plain.items():
        assert torch.allclose(weight.float(), ours[name].float(), rtol=0.02, atol=0.02), name


@pytest.mark.parametrize("preset", sorted(set(EVERY) - set(SMALL)))
def test_on_a_gpu_the_networks_are_those_that_ship(preset):
    large, usual = PRESETS[preset](), PRESETS[preset.removesuffix("-gpu")]()
    assert (large.preset, large.name, large.network) == (preset, usual.name, usual.network)
    assert (large.clips, large.latents) == (8192, 65_536)
    assert sum(stage.train.minutes for stage in large.stages.values()) == pytest.approx(4)
    for name, one in usual.stages.items():
        rows = {key: 8 * getattr(one, key) for key in ("batch", "canvas", "guided", "played")}
        minutes = large.stages[name].train.minutes
        assert large.stages[name] == lasting(replace(one, **rows), minutes)


@pytest.mark.parametrize("preset", MAIN)
def test_stopped_and_resumed_it_makes_the_same(preset, whole, shards, tmp_path):
    recipe = tiny(preset)
    for _ in range(STEPS * len(recipe.stages) - 1):
        events = run_of(recipe, tmp_path, shards).events()
        next(event for event in events if isinstance(event, Stepped))
        events.close()
    events = follow(run_of(recipe, tmp_path, shards))
    assert any("Resuming" in note for note in notes_of(events))
    assert weights_of(tmp_path) == weights_of(whole(preset))


@every_preset
def test_it_goes_on_from_a_model(preset, whole, shards, tmp_path):
    folder = whole(preset) / "model"
    networks = kineograph.load(str(folder)).networks
    recipe = replace(tiny(preset).starting_from(networks.config), init=str(folder))
    resting = {f"{name}_stage": lasting(stage, 0) for name, stage in recipe.stages.items()}
    follow(run_of(replace(recipe, **resting), tmp_path, shards))
    assert weights_of(tmp_path) == {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def test_a_model_whose_tokenizer_is_another_by_now_is_refused(whole, tmp_path, monkeypatch):
    folder = whole(SMALL[0]) / "model"
    monkeypatch.setattr(prompted, "encoder_hash", lambda tokenizer: "0" * 64)
    with pytest.raises(ModelError, match="made for another tokenizer of playground: train it again"):
        kineograph.load(str(folder))
    monkeypatch.setattr(prompted, "SHIPPED", tmp_path)
    with pytest.raises(ModelError, match="needs the tokenizer of playground, which is not there"):
        kineograph.load(str(folder))
