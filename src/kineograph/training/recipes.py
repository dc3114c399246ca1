"""Recipes by name, checked before anything is done, and kept beside what they made.

OUT/recipe.json   the recipe, from which a run is resumed
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from kineograph import catalog
from kineograph.config import from_dict
from kineograph.errors import DataError, ModelError, RequestError
from kineograph.evaluation import facts
from kineograph.evaluation.facts import Facts
from kineograph.models.diffusion import Diffusion
from kineograph.models.family import Spec
from kineograph.models.flow import DiffusionConfig, DiffusionNetworks
from kineograph.models.guides import fold_guides, untold
from kineograph.models.tokenizer import SPACE_STRIDE, TIME_STRIDE, latent_frames_of
from kineograph.models.windows import CONTEXT
from kineograph.training.loop import TrainConfig
from kineograph.training.presets import PRESETS, WORLD, Recipe, Stage

RECIPE = "recipe.json"
CANVAS = 4 * TIME_STRIDE * SPACE_STRIDE**2  # colours and mask of what one latent cell stands for
BEGUN_WITH = ("preset", "data", "init", "init_hash", "clips", "latents", "seed", "tokenizer", "denoiser")
PIXELS = ("tokenizer", "decoder")  # stages that learn pixels
FLOWS = ("flow", "leap")  # stages that learn latents


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


@dataclass(frozen=True)
class Init:
    """A model to start from; `facts` of its training are None where they aren't known."""

    networks: DiffusionNetworks
    spec: Spec
    facts: Facts | None


def init_of(model: str) -> Init:
    """The model of that name or in that folder, to train further.

    Raises:
        ModelError: there is no such model, or it is of a family that no recipe trains.
    """
    found = catalog.load(model)
    if not isinstance(found, Diffusion):
        raise ModelError(f"{model} is of the family {found.spec.family}; start from a diffusion model.")
    return Init(found.networks.cpu().float().train(), found.spec, facts.read(catalog.folder_of(model)))


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
    """Write the recipe into the folder `out`, whole or not at all."""
    aside = out / f".{RECIPE}.part"
    aside.write_text(json.dumps(asdict(recipe), indent=1))
    aside.replace(out / RECIPE)


def kept(out: Path) -> Recipe | None:
    """The recipe that `out` was begun with, None if there is none.

    Raises:
        DataError: it can't be read.
    """
    try:
        recipe = from_dict(Recipe, json.loads((out / RECIPE).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, RequestError) as error:
        raise DataError(f"{out / RECIPE} is damaged: mend it, or begin again in another --out.") from error
    return replace(recipe, preset=recipe.preset or recipe.name)  # presets were not kept at first


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


def check_init(recipe: Recipe, init: Init) -> None:
    """The model to start from must have the recipe's networks and, where that is known, its hash of weights.

    Raises:
        RequestError: it has not.
    """
    config = init.networks.config
    if (recipe.tokenizer, recipe.denoiser) != (config.tokenizer, config.denoiser):
        raise RequestError("The model to start from has other networks: leave out settings of theirs.")
    if recipe.init_hash not in ("", init.spec.weights_hash):
        raise RequestError(
            f"The model {recipe.init} has changed since this run began with it: bring it back as it was, "
            "or give another --out."
        )


def _rules(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    frames, height, width = recipe.denoiser.grid
    yield recipe.clips >= 1, f"clips must be at least 1, not {recipe.clips}."
    yield 0 <= recipe.seed < 2**63, f"seed must be from 0 to less than 2**63, not {recipe.seed}."
    yield 0 <= recipe.sheets < math.inf, f"sheets must be minutes, 0 for none, not {recipe.sheets:g}."
    least = latent_frames_of(CONTEXT + 1)
    yield frames >= least, f"denoiser.grid must begin with at least {least} latent frames, not {frames}."
    yield (
        min(recipe.denoiser.depth, recipe.denoiser.width, height) >= 1,
        "denoiser.width, depth and grid must be above 0.",
    )
    depths = (*recipe.tokenizer.encoder_depths, *recipe.tokenizer.decoder_depths)
    yield min(depths) >= 0, "tokenizer.encoder_depths and decoder_depths must be 0 or more."
    yield height == width, f"denoiser.grid must be square, not {height} by {width} cells."
    for name, stage in recipe.stages.items():
        yield stage.batch >= 1, f"{name}_stage.batch must be at least 1, not {stage.batch}."
        for field, rows in (("canvas", stage.canvas), ("guided", stage.guided)):
            fits = 0 <= rows < stage.batch
            yield fits, f"{name}_stage.{field} must be from 0 to less than the batch, not {rows}."
            yield rows == 0 or name in FLOWS, f"{name}_stage.{field} must be 0: only the flow has any."
        whole = stage.crop >= 0 and stage.crop % SPACE_STRIDE == 0
        yield whole, f"{name}_stage.crop must be 0 or whole cells of {SPACE_STRIDE} pixels, not {stage.crop}."
        yield stage.crop == 0 or name in PIXELS, f"{name}_stage.crop must be 0: it learns no pixels."
        yield from _train_rules(f"{name}_stage.train", stage.train)


def _train_rules(name: str, train: TrainConfig) -> Iterator[tuple[bool, str]]:
    optim = train.optim
    yield train.steps >= 0, f"{name}.steps must be 0 or more, not {train.steps}."
    yield train.minutes >= 0, f"{name}.minutes must be 0 or more, not {train.minutes:g}."
    yield train.checkpoint_every >= 1, f"{name}.checkpoint_every must be at least 1 step."
    yield 0 <= train.ema < 1, f"{name}.ema must be from 0 to less than 1, not {train.ema:g}."
    yield 0 < optim.rate < math.inf, f"{name}.optim.rate must be above 0, not {optim.rate:g}."
    steady = all(0 <= beta < 1 for beta in optim.betas)
    yield steady, f"{name}.optim.betas must be from 0 to less than 1, not {optim.betas}."
    decays = 0 <= optim.weight_decay < math.inf
    yield decays, f"{name}.optim.weight_decay must be 0 or more, not {optim.weight_decay:g}."
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
    guides = fold_guides(untold(1, recipe.denoiser.grid, recipe.denoiser.channels))
    z = latents.expand(-1, groups, -1, height, width)
    networks.velocity(z, torch.zeros(1, groups), caption, canvas, guides)
