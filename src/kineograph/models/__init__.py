"""The families of models, by name, each a module with `load(folder)`."""

from types import ModuleType

from kineograph.models import diffusion, gan, rnn, small_diffusion, transformer, vae

MODELS: dict[str, ModuleType] = {
    "diffusion": diffusion,
    "small diffusion": small_diffusion,
    "gan": gan,
    "vae": vae,
    "rnn": rnn,
    "transformer": transformer,
}
