"""The families of models, by name, each a module with `load(folder)`."""

from types import ModuleType

from kineograph.models import diffusion, small_diffusion

MODELS: dict[str, ModuleType] = {"diffusion": diffusion, "small diffusion": small_diffusion}
