"""Recipes by name, checked before anything is done, and kept beside what they made.

OUT/recipe.json   the recipe, from which a run is resumed
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kineograph import catalog
from kineograph.config import from_dict
from kineograph.errors import DataError, ModelError, RequestError
from kineograph.evaluation import facts
from kineograph.evaluation.facts import Facts
from kineograph.models.family import Spec
from kineograph.models.tokenizer import SPACE_STRIDE
from kineograph.training.loop import TrainConfig
from kineograph.training.presets import PRESETS
from kineograph.training.recipe import Recipe
from kineograph.worlds.world import WORLDS

RECIPE = "recipe.json"
MAY_CHANGE = ("name", "sheets")  # on resuming, beside the stages
PIXELS = ("tokenizer", "decoder")  # stages that learn pixels


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

    networks: Any
    spec: Spec
    facts: Facts | None


def init_of(recipe: Recipe, model: str) -> Init:
    """The model of that name or in that folder, to train further by the recipe.

    Raises:
        ModelError: there is no such model, or it is of another family.
    """
    found: Any = catalog.load(model)
    if found.spec.family != recipe.family:
        raise ModelError(
            f"{model} is of the family {found.spec.family}; start from one of the family {recipe.family}."
        )
    return Init(found.networks.cpu().float().train(), found.spec, facts.read(catalog.folder_of(model)))


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
        values = json.loads((out / RECIPE).read_text())
        preset = values.get("preset") or values["name"]  # presets were not kept at first
        recipe: Recipe = from_dict(type(named(preset)), values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RequestError) as error:
        raise DataError(f"{out / RECIPE} is damaged: mend it, or begin again in another --out.") from error
    return replace(recipe, preset=preset)


def check_resumable(recipe: Recipe, begun: Recipe) -> None:
    """What is on disk must be what `recipe` would have made; lengths and rates may change.

    Raises:
        RequestError: something else differs.
    """
    lasting = [field.name for field in fields(recipe) if not field.name.endswith("_stage")]
    for name in lasting:
        if name in MAY_CHANGE:
            continue
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
        recipe.try_networks()
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise RequestError(f"The networks of the recipe don't fit together: {reason}.") from error


def check_init(recipe: Recipe, init: Init) -> None:
    """The model to start from must have the recipe's networks and, where that is known, its hash of weights.

    Raises:
        RequestError: it has not.
    """
    if not recipe.fits(init.networks.config):
        raise RequestError("The model to start from has other networks: leave out settings of theirs.")
    if recipe.init_hash not in ("", init.spec.weights_hash):
        raise RequestError(
            f"The model {recipe.init} has changed since this run began with it: bring it back as it was, "
            "or give another --out."
        )


def _rules(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    yield recipe.clips >= 1, f"clips must be at least 1, not {recipe.clips}."
    yield 0 <= recipe.seed < 2**63, f"seed must be from 0 to less than 2**63, not {recipe.seed}."
    yield 0 <= recipe.sheets < math.inf, f"sheets must be minutes, 0 for none, not {recipe.sheets:g}."
    yield recipe.world in WORLDS, f"world must be {' or '.join(WORLDS)}, not {recipe.world}."
    yield from recipe.rules()
    for name, stage in recipe.stages.items():
        yield stage.batch >= 1, f"{name}_stage.batch must be at least 1, not {stage.batch}."
        for field, rows in (("canvas", stage.canvas), ("guided", stage.guided)):
            fits = 0 <= rows < stage.batch
            yield fits, f"{name}_stage.{field} must be from 0 to less than the batch, not {rows}."
            learns = name not in (*PIXELS, "text")
            yield rows == 0 or learns, f"{name}_stage.{field} must be 0: it learns no latents."
        most = max(0, stage.guided - stage.canvas)
        unfit = f"{name}_stage.played must be from 0 to guided less canvas, {most}, not {stage.played}."
        yield 0 <= stage.played <= most, unfit
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
