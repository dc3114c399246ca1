"""Leaps: a teacher's way in one step."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_models import diffusion_networks, guides_of, shaken

from kineograph.canvas import text_canvas
from kineograph.generation import settings
from kineograph.models.adapter import Adapter
from kineograph.models.diffusion import DEFAULT_SAMPLING, LEAPING, Diffusion, load, save, spec_of
from kineograph.models.distillation import LeapLoss, LeapObjective
from kineograph.models.flow import LEAPS, LEAPT
from kineograph.models.guides import TELL_OF
from kineograph.request import Request
from kineograph.sampling.noise import Noise
from kineograph.sampling.settings import Sampling


def batch_of(networks):
    latents = torch.randn(8, 4, 16, 2, 2, generator=torch.Generator().manual_seed(0))
    caption = torch.tensor([[2, 3, 4, 0, 0, 0]] * 8)
    silent = {"open": caption[-4:, None].repeat(1, len(TELL_OF), 1)}
    return {"latents": latents, "caption": caption} | silent | guides_of(latents[:4])


def test_before_anything_is_learnt_a_leap_is_a_step_of_its_teacher():
    """Without guidance, and with one step to the teacher, there is nothing to learn."""
    networks = shaken(diffusion_networks())
    fresh = Adapter(networks.denoiser, 2, LEAPT)
    plain = LeapObjective(networks, fresh, LeapLoss(small_steps=1, guidance=1.0))
    guided = LeapObjective(networks, fresh, LeapLoss(small_steps=1, guidance=3.0))
    for seed in range(3):
        loss, figures = plain.loss(batch_of(networks), torch.Generator().manual_seed(seed))
        assert loss.item() == pytest.approx(0, abs=1e-8)
        assert set(figures) == {"leap"}
        assert guided.loss(batch_of(networks), torch.Generator().manual_seed(seed))[0].item() > 1e-4


def test_the_flow_stays_as_it_was():
    networks = shaken(diffusion_networks())
    objective = LeapObjective(networks, networks.leaps)
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    optimizer = torch.optim.SGD([p for _, p in objective.parameters()], lr=0.1)
    objective.loss(batch_of(networks), torch.Generator().manual_seed(0))[0].backward()
    optimizer.step()
    after = networks.state_dict()
    changed = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"leaps"}


def test_an_adapter_adds_to_some_parameters_the_same_in_place_and_in_a_copy():
    networks = shaken(diffusion_networks())
    denoiser, adapter = networks.denoiser, networks.leaps
    weights, applied = adapter.weights(denoiser), dict(adapter.applied(denoiser).named_parameters())
    for name, value in denoiser.named_parameters():
        added = name.startswith(LEAPT)
        assert (name in weights) == added
        assert torch.equal(applied[name], weights.get(name, value))
        assert torch.equal(applied[name], value) != added
        if added and value.dim() == 2:
            assert torch.linalg.matrix_rank(applied[name] - value, rtol=1e-3) == 2
    fresh = Adapter(denoiser, 2, LEAPT)
    assert all(
        torch.equal(p, applied)
        for p, applied in zip(denoiser.parameters(), fresh.applied(denoiser).parameters(), strict=True)
    )


@pytest.mark.slow
def test_leaps_that_are_learnt_lead_where_the_small_steps_do():
    """From the same noise, leaps come nearer to the teacher's clip than as many of its own steps."""
    torch.manual_seed(0)
    networks = diffusion_networks()
    networks.leaps = Adapter(networks.denoiser, 8, LEAPT)
    shaken(networks.denoiser)
    teacher = Diffusion(diffusion_networks(), spec_of("teacher", networks.config), torch.float32)
    teacher.networks.denoiser.load_state_dict(networks.denoiser.state_dict())
    objective = LeapObjective(networks, networks.leaps, LeapLoss(guidance=2.0))
    batch = {k: v for k, v in batch_of(networks).items() if k in ("latents", "caption")}
    optimizer = torch.optim.Adam([p for _, p in objective.parameters()], lr=1e-2)
    for step in range(150):
        optimizer.zero_grad()
        objective.loss(batch, torch.Generator().manual_seed(step))[0].backward()
        optimizer.step()
    pupil = Diffusion(networks, spec_of("pupil", networks.config, LEAPING), torch.float32)
    fine = latents_of(teacher, Sampling(LEAPS * 3, 2.0, "multistep"))
    coarse = latents_of(teacher, Sampling(LEAPS, 2.0, "euler"))
    leapt = latents_of(pupil, LEAPING)
    assert (leapt - fine).square().mean() < 0.8 * (coarse - fine).square().mean()


def latents_of(model, sampling):
    canvas = text_canvas("a red ball", frames=13, width=32, height=32, fps=8.0)
    items = model.sample(model.condition([canvas] * 4), [Noise(seed) for seed in range(4)], sampling)
    return next(item.values for item in items if hasattr(item, "values"))


def test_leaps_of_a_version_with_other_steps_are_read(tmp_path):
    networks = diffusion_networks()
    save(tmp_path / "model", networks, spec_of("tiny", networks.config, LEAPING))
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["thorough"] = {"steps": 24, "guidance": 3.0, "solver": "multistep", "interval": [0.0, 1.0]}
    path.write_text(json.dumps(config))
    model = load(tmp_path / "model")
    assert settings(Request("a", guidance=2.0), model) == Sampling(24, 2.0, "multistep")


def test_other_numbers_of_steps_and_guidance_are_taken_the_long_way():
    networks = diffusion_networks()
    model = Diffusion(networks, spec_of("tiny", networks.config, LEAPING))
    assert settings(Request("a"), model) == settings(Request("a", steps=LEAPS), model) == LEAPING
    assert settings(Request("a", steps=9), model) == replace(DEFAULT_SAMPLING, steps=9)
    assert settings(Request("a", guidance=2.0), model) == replace(DEFAULT_SAMPLING, guidance=2.0)
    assert settings(Request("a", video="a.mp4", edit=1.0), model) == LEAPING
    for long in (Request("a", video="a.mp4", edit=0.5), Request(video="a.mp4", remove=True)):
        assert settings(long, model) == DEFAULT_SAMPLING
    thorough = Diffusion(networks, spec_of("tiny", networks.config))
    assert settings(Request("a", steps=LEAPS), thorough) == replace(DEFAULT_SAMPLING, steps=LEAPS)
