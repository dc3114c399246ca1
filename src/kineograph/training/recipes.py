"""Recipes by name, checked before anything is done, and kept beside what they made.

OUT/recipe.json   the recipe, from which a run is resumed
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch

from kineograph import catalog
from kineograph.config import from_dict
from kineograph.errors import DataError, ModelError, RequestError
from kineograph.models.diffusion import CONTEXT, Diffusion, DiffusionConfig, DiffusionNetworks
from kineograph.models.tokenizer import SPACE_STRIDE, TIME_STRIDE, latent_frames_of
from kineograph.training.loop import TrainConfig
from kineograph.training.presets import PRESETS, WORLD, Recipe, Stage

RECIPE = "recipe.json"
CANVAS = 4 * TIME_STRIDE * SPACE_STRIDE**2  # colours and mask of what one latent cell stands for
BEGUN_WITH = ("name", "data", "init", "clips", "latents", "seed", "tokenizer", "denoiser")


def named(preset: str) -> Recipe:
    """The recipe of a preset.

    Raises:
        RequestError: there is no such preset.
    """
    if preset in PRESETS:
        return PRESETS[preset]()
    close = difflib.get_close_matches(preset, PRESETS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(PRESETS)}."
    raise RequestError(f"There is no preset {preset}; {hint}")


def networks_of(model: str) -> DiffusionNetworks:
    """The networks of a model by its name or from its folder, to train further.

    Raises:
        ModelError: there is no such model, or it is of a family that no recipe trains.
    """
    found = catalog.load(model)
    if not isinstance(found, Diffusion):
        raise ModelError(f"{model} is of the family {found.spec.family}; start from a diffusion model.")
    return found.networks.cpu().train()


def starting_from(recipe: Recipe, init: DiffusionConfig) -> Recipe:
    """The recipe with the networks of the model that it starts from. On the world, whose clips its tokenizer
    knows, that one rests."""
    taken = replace(recipe, tokenizer=init.tokenizer, denoiser=init.denoiser)
    if recipe.data != WORLD:
        return taken
    return replace(
        taken, tokenizer_stage=_resting(taken.tokenizer_stage), decoder_stage=_resting(taken.decoder_stage)
    )


def _resting(stage: Stage) -> Stage:
    return replace(stage, train=replace(stage.train, minutes=0))


# The file


def keep(recipe: Recipe, out: Path) -> None:
    """Write the recipe into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    aside = out / f".{RECIPE}.part"
    aside.write_text(json.dumps(asdict(recipe), indent=1))
    aside.replace(out / RECIPE)


def kept(out: Path) -> Recipe | None:
    """The recipe that `out` was begun with, None if there is none.

    Raises:
        DataError: it can't be read.
    """
    try:
        return from_dict(Recipe, json.loads((out / RECIPE).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RequestError) as error:
        raise DataError(f"{out / RECIPE} can't be read: remove it to resume with the preset.") from error


def check_resumable(recipe: Recipe, begun: Recipe) -> None:
    """What is on disk must be what `recipe` would have made; lengths and rates may change.

    Raises:
        RequestError: something else differs.
    """
    for name in BEGUN_WITH:
        before, now = getattr(begun, name), getattr(recipe, name)
        if before != now:
            raise RequestError(f"This run was begun with another {name}: keep it, or give another --out.")


# The checks


def check(recipe: Recipe) -> None:
    """Make sure that the recipe can be followed, as far as that can be told without doing so.

    Raises:
        RequestError: a setting is out of range, or the networks don't fit together.
    """
    for right, sentence in _rules(recipe):
        if not right:
            raise RequestError(sentence)
    try:
        _try_networks(recipe)
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise RequestError(f"The tokenizer and the denoiser don't fit together: {reason}.") from error


def check_init(recipe: Recipe, init: DiffusionConfig) -> None:
    """The networks of the model to start from must be those of the recipe.

    Raises:
        RequestError: they are not.
    """
    if (recipe.tokenizer, recipe.denoiser) != (init.tokenizer, init.denoiser):
        raise RequestError("The model to start from has other networks: leave out settings of theirs.")


def _rules(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    frames, height, width = recipe.denoiser.grid
    yield recipe.clips >= 1, f"clips must be at least 1, not {recipe.clips}."
    yield 0 <= recipe.sheets < math.inf, f"sheets must be minutes, 0 for none, not {recipe.sheets:g}."
    least = latent_frames_of(CONTEXT + 1)
    yield frames >= least, f"denoiser.grid must begin with at least {least} latent frames, not {frames}."
    yield (
        min(recipe.denoiser.depth, recipe.denoiser.width, height) >= 1,
        "denoiser.width, depth and grid must be above 0.",
    )
    yield height == width, f"denoiser.grid must be square, not {height} by {width} cells."
    for name, stage in recipe.stages.items():
        yield stage.batch >= 1, f"{name}_stage.batch must be at least 1, not {stage.batch}."
        fits = 0 <= stage.canvas < stage.batch
        yield fits, f"{name}_stage.canvas must be from 0 to less than the batch, not {stage.canvas}."
        whole = stage.crop >= 0 and stage.crop % SPACE_STRIDE == 0
        yield whole, f"{name}_stage.crop must be 0 or whole cells of {SPACE_STRIDE} pixels, not {stage.crop}."
        yield from _train_rules(f"{name}_stage.train", stage.train)


def _train_rules(name: str, train: TrainConfig) -> Iterator[tuple[bool, str]]:
    optim = train.optim
    yield train.steps >= 0, f"{name}.steps must be 0 or more, not {train.steps}."
    yield train.minutes >= 0, f"{name}.minutes must be 0 or more, not {train.minutes:g}."
    yield train.checkpoint_every >= 1, f"{name}.checkpoint_every must be at least 1 step."
    yield 0 <= train.ema < 1, f"{name}.ema must be from 0 to less than 1, not {train.ema:g}."
    yield 0 < optim.rate < math.inf, f"{name}.optim.rate must be above 0, not {optim.rate:g}."
    yield 0 <= optim.cooldown <= 1, f"{name}.optim.cooldown must be from 0 to 1, not {optim.cooldown:g}."
    yield optim.warmup >= 0, f"{name}.optim.warmup must be 0 steps or more, not {optim.warmup}."
    yield optim.clip > 0, f"{name}.optim.clip must be above 0, not {optim.clip:g}."


@torch.inference_mode()
def _try_networks(recipe: Recipe) -> None:
    """Build the networks and run each once, over few pixels."""
    networks = DiffusionNetworks(DiffusionConfig(("a",), recipe.tokenizer, recipe.denoiser))
    latents = networks.tokenizer.encode(torch.zeros(1, 1, 3, SPACE_STRIDE, SPACE_STRIDE))
    networks.tokenizer.decode(latents)
    groups, height, width = recipe.denoiser.grid
    caption = networks.text(torch.zeros(1, networks.config.text_length, dtype=torch.long))
    canvas = torch.zeros(1, groups, height, width, CANVAS)
    networks.velocity(latents.expand(-1, groups, -1, height, width), torch.zeros(1, groups), caption, canvas)
