"""Settings to and from text, and recipes: checked, shared out, kept."""

import json
import math
import re
from dataclasses import asdict, dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import diffusion_networks

from kineograph import catalog
from kineograph.config import from_dict, override
from kineograph.errors import DataError, RequestError
from kineograph.training import recipes
from kineograph.training.loop import TrainConfig
from kineograph.training.optim import OptimConfig
from kineograph.training.presets import PRESETS, DiffusionRecipe, footage, playground
from kineograph.training.recipe import with_minutes

NUMBERS = st.floats(allow_nan=False)
WORDS = st.text("abcxyz_", min_size=1, max_size=6)
OPTIMS = st.builds(
    OptimConfig,
    rate=NUMBERS,
    muon=st.lists(WORDS, max_size=3).map(tuple),
    betas=st.tuples(NUMBERS, NUMBERS),
    warmup=st.integers(),
)
CONFIGS = st.builds(
    TrainConfig, steps=st.integers(), minutes=NUMBERS, optim=OPTIMS, seed=st.integers(), compile=st.booleans()
)


@dataclass(frozen=True)
class Named:
    name: str
    limit: int | None = None


# Dataclasses and plain values


@given(CONFIGS)
@settings(max_examples=40, deadline=None)
def test_from_dict_is_the_inverse_of_asdict(config):
    assert from_dict(TrainConfig, asdict(config)) == config
    assert from_dict(TrainConfig, json.loads(json.dumps(asdict(config)))) == config


@given(CONFIGS, CONFIGS)
@settings(max_examples=40, deadline=None)
def test_settings_as_text_make_any_config_from_any_other(one, other):
    values = asdict(other) | {f"optim.{name}": value for name, value in asdict(other.optim).items()}
    del values["optim"]
    text = {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
    }
    assert override(one, text) == other
    assert override(one, {}) == one


@given(CONFIGS, st.sampled_from(["steps", "minutes", "seed", "optim.rate", "optim.warmup"]))
@settings(max_examples=20, deadline=None)
def test_a_setting_changes_nothing_else(config, name):
    changed = override(config, {name: "7"})
    before = asdict(config)
    group = before["optim"] if name.startswith("optim.") else before
    group[name.split(".")[-1]] = 7
    assert asdict(changed) == before


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("step", "7", "no setting 'step': at 'step' choose from .*steps"),
        ("optim.rates", "7", "at 'rates' choose from .*rate"),
        ("optim.rate.more", "7", "at 'more' choose from none below it"),
        ("steps", "many", "'many' is not a number: give steps as int"),
        ("steps", "1.5", "'1.5' is not a number: give steps as int"),
        ("minutes", "nan", "'nan' is not a number: give minutes as float"),
        ("compile", "perhaps", "'perhaps' does not fit the setting compile: give bool"),
        ("optim", "7", "'7' does not fit the setting optim: give OptimConfig"),
        ("optim.betas", "0.9", "optim.betas takes 2 values, not 1"),
        ("optim.betas", "0.9,x", "'x' is not a number: give optim.betas as float"),
    ],
)
def test_settings_that_do_not_fit_are_refused(name, text, says):
    with pytest.raises(RequestError, match=says):
        override(TrainConfig(), {name: text})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "incomplete"),
        ({"name": "a", "size": 3}, "'size' is not a setting of Named: choose from limit, name"),
        ({"name": 3}, "'3' does not fit the setting name: give str"),
        ({"name": "a", "limit": True}, "'True' does not fit the setting limit: give int"),
    ],
)
def test_values_that_do_not_fit_are_refused(values, says):
    with pytest.raises(RequestError, match=says):
        from_dict(Named, values)


def test_an_open_value():
    assert from_dict(Named, {"name": "a", "limit": None}) == Named("a")
    assert from_dict(Named, {"name": "a", "limit": 3}) == Named("a", 3)


# Recipes


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_followed_and_kept(preset, tmp_path):
    recipe = recipes.named(preset)
    recipes.check(recipe)
    assert recipes.kept(tmp_path) is None
    recipes.keep(recipe, tmp_path)
    assert recipes.kept(tmp_path) == recipe


@pytest.mark.parametrize("text", ["", "3", "[]", "{}", '{"name": "playground", "spells": 3}'])
def test_a_kept_recipe_that_is_damaged(tmp_path, text):
    (tmp_path / recipes.RECIPE).write_text(text)
    with pytest.raises(DataError, match=r"damaged: mend it, or .*--out\.$"):
        recipes.kept(tmp_path)


def test_a_recipe_that_was_kept_before_its_newer_settings_were_there(tmp_path):
    values = asdict(playground())
    for name in ("preset", "init_hash"):
        del values[name]
    (tmp_path / recipes.RECIPE).write_text(json.dumps(values))
    assert recipes.kept(tmp_path) == playground()


@pytest.mark.parametrize(
    "preset", ["diffusion-small", "unet", "gan", "vae", "convlstm", "mingru", "transformer", "raster"]
)
def test_what_a_loss_is_made_of_can_be_set(preset):
    recipe = override(PRESETS[preset](), {"loss.drop": "0.5"})
    with torch.device("meta"):
        networks = recipe.kind.networks(replace(recipe.network, words=("a",)))
    for stage in recipe.kind.objectives.keys() - {"codes"}:
        assert {objective.config.drop for objective in recipe.objectives(stage, networks)} == {0.5}


@pytest.mark.parametrize(
    ("preset", "setting", "value"),
    [
        ("diffusion-small", "drop", "1.5"),
        ("diffusion-small", "independent", "0.5"),
        ("unet", "push", "0.5"),
        ("gan", "gamma", "-1"),
        ("vae", "lent", "-0.1"),
        ("convlstm", "draws", "0"),
        ("transformer", "drop", "nan"),
    ],
)
def test_what_no_loss_is_made_of_is_refused(preset, setting, value):
    with pytest.raises(RequestError, match=re.escape(f"loss.{setting}")):
        recipes.check(override(PRESETS[preset](), {f"loss.{setting}": value}))


@given(st.sampled_from(sorted(PRESETS)), st.floats(0.01, 10_000))
@settings(max_examples=20, deadline=None)
def test_minutes_are_shared_out_as_the_recipe_does(preset, minutes):
    own, shared = recipes.named(preset), with_minutes(recipes.named(preset), minutes)
    before, after = ([stage.train.minutes for stage in recipe.stages.values()] for recipe in (own, shared))
    assert math.isclose(sum(after), minutes)
    assert [length / sum(after) for length in after] == pytest.approx(
        [length / sum(before) for length in before]
    )


@given(st.sampled_from(sorted(PRESETS)), st.floats(1e-6, 3))
@settings(max_examples=20, deadline=None)
def test_in_fewer_minutes_there_are_fewer_clips_and_never_more(preset, share):
    own = recipes.named(preset)
    shared = with_minutes(own, share * sum(stage.train.minutes for stage in own.stages.values()))
    for count, before in ((shared.clips, own.clips), (shared.latents, own.latents)):
        assert 1 <= count <= before
        assert abs(count - min(1, share) * before) <= 1


def test_what_captions_say_is_learnt_by_itself_on_the_world_from_nothing_alone():
    world = playground()
    assert list(world.stages) == ["tokenizer", "text", "flow", "decoder"]
    for other in (replace(world, data="clips"), replace(world, init="playground")):
        assert list(other.stages) == ["tokenizer", "flow", "decoder"]


@pytest.mark.parametrize("minutes", [0, -1, math.inf, math.nan])
def test_minutes_that_can_not_be_shared_out(minutes):
    with pytest.raises(RequestError, match="minutes must be"):
        with_minutes(playground(), minutes)
    with pytest.raises(RequestError, match="no minutes to share"):
        with_minutes(override(playground(), {"flow_stage.train.minutes": "inf"}), 5)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("clips", "0", "clips must be at least 1"),
        ("sheets", "-1", "sheets must be minutes"),
        ("flow_stage.batch", "0", "flow_stage.batch must be at least 1"),
        ("flow_stage.canvas", "64", "flow_stage.canvas must be"),
        ("flow_stage.played", "29", "flow_stage.played must be"),
        ("text_stage.train.steps", "-1", "text_stage.train.steps must be"),
        ("flow_stage.train.minutes", "-1", "flow_stage.train.minutes must be"),
        ("flow_stage.train.checkpoint_every", "0", "checkpoint_every must be at least 1"),
        ("flow_stage.train.ema", "1", "ema must be"),
        ("flow_stage.train.optim.rate", "0", "optim.rate must be above 0"),
        ("flow_stage.train.optim.cooldown", "2", "optim.cooldown must be"),
        ("flow_stage.train.optim.betas", "0.9,1", "optim.betas must be"),
        ("flow_stage.train.optim.weight_decay", "-1", "optim.weight_decay must be"),
        ("seed", "-1", "seed must be"),
        ("seed", str(2**63), "seed must be"),
        ("tokenizer_stage.crop", "-16", "whole cells of 16 pixels"),
        ("tokenizer_stage.crop", "40", "whole cells of 16 pixels"),
        ("flow_stage.crop", "64", "it learns no pixels"),
        ("tokenizer_stage.canvas", "2", "it learns no latents"),
        ("denoiser.grid", "5,8,6", "must be square"),
        ("denoiser.grid", "3,8,8", "at least 4 latent frames"),
        ("denoiser.depth", "0", "must be above 0"),
        ("world", "flat", "world must be small or full"),
        ("denoiser.heads", "3", "don't fit together"),
        ("tokenizer.decoder_depths", "1,-1,1", "must be 0 or more"),
        ("tokenizer.channels", "8", "don't fit together"),
        ("tokenizer.widths", "60,100,100", "don't fit together"),
    ],
)
def test_recipes_that_can_not_be_followed_are_refused(name, text, says):
    with pytest.raises(RequestError, match=says) as refused:
        recipes.check(override(playground(), {name: text}))
    assert "\n" not in str(refused.value)


def test_lengths_and_rates_may_change_on_resuming_and_nothing_that_is_on_disk():
    begun = playground()
    changed = {"flow_stage.train.optim.rate": "0.001", "flow_stage.train.minutes": "3", "sheets": "0"}
    recipes.check_resumable(override(begun, changed), begun)
    for name, text in {"clips": "3", "seed": "2", "denoiser.depth": "2", "data": "clips"}.items():
        with pytest.raises(
            RequestError, match=f"another {name.split('.')[0]}: keep it, or give another --out"
        ):
            recipes.check_resumable(override(begun, {name: text}), begun)


def test_presets_have_names_that_are_guessed():
    with pytest.raises(RequestError, match=r"no preset playgroud; did you mean playground\?"):
        recipes.named("playgroud")
    with pytest.raises(RequestError, match=f"choose from {', '.join(PRESETS)}"):
        recipes.named("xyz")


def test_footage_starts_from_the_shipped_model_where_there_is_one(monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "SHIPPED", tmp_path)
    assert (footage().init, footage().data) == ("", "")
    (tmp_path / "playground").mkdir()
    (tmp_path / "playground" / "config.json").touch()
    assert footage().init == "playground"


def test_starting_from_a_model_takes_its_networks_over_and_on_the_world_its_tokenizer_rests():
    init = diffusion_networks().config
    own, world = (replace(DiffusionRecipe("r"), data=data).starting_from(init) for data in ("clips", "world"))
    assert (
        (own.tokenizer, own.denoiser) == (init.tokenizer, init.denoiser) == (world.tokenizer, world.denoiser)
    )
    assert not own.tokenizer_stage.train.rests
    assert world.tokenizer_stage.train.rests
    assert world.decoder_stage.train.rests
    assert not world.flow_stage.train.rests
