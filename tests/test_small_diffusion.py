"""The small diffusion family: one flow, two networks."""

from dataclasses import replace

import pytest
import torch
from tiny_models import latents_and_captions, shaken, small_diffusion_networks

from kineograph.models.flow import FlowObjective
from kineograph.models.small_diffusion import SmallDiffusionNetworks
from kineograph.training.family_presets import diffusion_small, unet

MOST = 4e6  # bytes of all but the tokenizer, matrices in bfloat16


def networks_of(network):
    config = small_diffusion_networks().config
    return SmallDiffusionNetworks(replace(config, network=network, width=32, hidden=48, depth=2, heads=2))


@pytest.mark.parametrize("network", ["transformer", "unet"])
def test_either_network_learns(network):
    networks = networks_of(network)
    batch, objective = latents_and_captions(networks, 2), FlowObjective(networks)
    optimizer = torch.optim.Adam([p for _, p in objective.parameters()], lr=3e-3)
    losses = []
    for step in range(60):
        loss, _ = objective.loss(batch, torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="must be transformer or unet, not mixer"):
        networks_of("mixer")


def test_a_unet_looks_at_all_frames_and_places():
    """Of what one cell's prediction depends on, nothing is missing."""
    networks = shaken(networks_of("unet"))
    z = torch.randn(1, 4, 16, 2, 2, requires_grad=True)
    text = torch.randn(1, 6, 16)
    networks.denoiser(z, torch.rand(1, 4), text)[0, 2, :, 0, 1].sum().backward()
    assert bool((z.grad.abs().sum(dim=2) > 0).all())


@pytest.mark.parametrize("preset", [diffusion_small, unet])
def test_the_presets_keep_to_the_size_that_ships(preset):
    networks = SmallDiffusionNetworks(replace(preset().network, words=("a",) * 200))
    sizes = [p.numel() * (2 if p.ndim > 1 else 4) for _, p in networks.learning()]
    assert sum(sizes) < MOST
