"""Tiny models of all families and of their variants, by name."""

from dataclasses import replace
from functools import partial

from tiny_gan import GAN
from tiny_models import (
    Family,
    diffusion_networks,
    diffusion_stages,
    save_diffusion,
    save_latent_family,
    small_diffusion_networks,
    small_diffusion_stages,
)
from tiny_rnn import FAMILY as RNN
from tiny_rnn import rnn_networks
from tiny_transformer import MASKED, RASTER
from tiny_vae import FAMILY as VAE

FAMILIES = {
    "diffusion": Family(diffusion_networks, diffusion_stages, save_diffusion),
    "gan": GAN,
    "rnn": RNN,
    "small diffusion": Family(small_diffusion_networks, small_diffusion_stages, save_latent_family),
    "transformer": MASKED,
    "transformer in raster order": RASTER,
    "vae": VAE,
}
CELLS = ("lstm", "gru", "convgru", "mingru", "predrnn")
VARIANTS = {f"rnn of {cell}": replace(RNN, networks=partial(rnn_networks, cell)) for cell in CELLS}
VARIANTS["small diffusion in a transformer"] = replace(
    FAMILIES["small diffusion"], networks=partial(small_diffusion_networks, "transformer")
)
