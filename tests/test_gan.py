"""What holds of the GAN alone: its losses, its codes, and clips that begin as they are told."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_gan import gan_networks
from tiny_models import CAPTIONS, FPS, SIDE, WINDOW, save_latent_family, shaken

from kineograph.canvas import text_canvas
from kineograph.models import gan
from kineograph.models.family import Step
from kineograph.models.gan import (
    DiscriminatorObjective,
    GANLoss,
    GeneratorObjective,
    drawn,
    gradient_penalty,
    relativistic,
    truncation,
)
from kineograph.models.players import Resample
from kineograph.models.precision import autocast
from kineograph.sampling.noise import Noise, NoiseBetween
from kineograph.sampling.settings import Sampling

ROWS, GROUPS, CHANNELS = 6, 4, 16


@pytest.fixture(scope="module")
def networks():
    return shaken(gan_networks()).eval()


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    latents = torch.randn(ROWS, GROUPS, CHANNELS, 2, 2, generator=draw)
    return {"latents": latents, "caption": torch.randint(2, 8, (ROWS, 6), generator=draw)}


@pytest.fixture(scope="module")
def model(networks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gan")
    save_latent_family(folder, networks)
    return gan.load(folder, torch.float32)


def codes(networks, rows=ROWS):
    config, draw = networks.config, torch.Generator().manual_seed(1)
    content = torch.randn(rows, config.content, generator=draw)
    noise = torch.randn(rows, GROUPS, config.motion, generator=draw)
    return content, noise, torch.randn(rows, config.text_length, config.text_width, generator=draw)


# Losses


def test_the_loss_of_either_player_is_log_2_where_both_clips_score_alike():
    scores = torch.tensor([-3.0, 0.0, 40.0])
    assert relativistic(scores, scores).item() == pytest.approx(math.log(2))


def test_what_one_player_gains_the_other_loses():
    real, made = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([1.0, 3.0, 0.5])
    one, other = relativistic(real, made), relativistic(made, real)
    assert (one - other).item() == pytest.approx(
        (made - real).mean().item()
    )  # softplus(x) - softplus(-x) = x
    assert torch.equal(relativistic(real + 7, made + 7), one)  # only differences count


def test_the_penalty_of_a_linear_critic_is_the_square_of_its_slope():
    weight = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    clips = torch.rand(7, 3, 4, 5)
    penalty = gradient_penalty(lambda at: (at * weight).flatten(1).sum(dim=1) + 3, clips)
    assert penalty.item() == pytest.approx(weight.square().sum().item(), rel=1e-5)
    penalty.backward()
    assert torch.allclose(weight.grad, 2 * weight)


def test_the_penalties_in_half_precision_are_those_in_full(networks, batch):
    objective, slopes = DiscriminatorObjective(networks, GANLoss(penalised=1.0)), []
    for dtype in (torch.float32, torch.bfloat16):
        with autocast(torch.device("cpu"), dtype):
            _, figures = objective.loss(batch, torch.Generator().manual_seed(0))
        slopes.append(figures["slopes"].item())
    assert slopes[1] == pytest.approx(slopes[0], rel=0.05)


def test_each_player_moves_its_own_weights_alone(networks, batch):
    moved = []
    for objective in (DiscriminatorObjective(networks), GeneratorObjective(networks)):
        networks.zero_grad()
        objective.loss(batch, torch.Generator().manual_seed(0))[0].backward()
        moved.append({name for name, p in networks.named_parameters() if p.grad is not None})
        named = {id(p) for _, p in objective.parameters()}
        assert moved[-1] <= {name for name, p in networks.named_parameters() if id(p) in named}
    networks.zero_grad()
    assert moved[0].isdisjoint(moved[1])


def test_the_draw_alone_decides_over_the_losses(networks, batch):
    for objective in (DiscriminatorObjective(networks), GeneratorObjective(networks)):
        torch.manual_seed(1)
        one, again, other = (
            objective.loss(batch, torch.Generator().manual_seed(seed))[0].item() for seed in (0, 0, 1)
        )
        assert one == again != other


def test_beginnings_and_captions_are_drawn_as_often_as_asked(networks, batch):
    many = {name: values.repeat_interleave(200, 0) for name, values in batch.items()}
    shown = drawn(many, networks.config, GANLoss(begun=0.4, drop=0.1), torch.Generator().manual_seed(0))
    assert shown.clean.any(dim=1).float().mean().item() == pytest.approx(0.4, abs=0.05)
    assert (shown.caption == 0).all(dim=1).float().mean().item() == pytest.approx(0.1, abs=0.03)
    assert not shown.clean[:, -1].any()  # something is left to be made
    assert torch.equal(shown.clean, shown.clean.int().cumprod(dim=1).bool())


# The generator


@torch.no_grad()
def test_a_beginning_is_kept_and_changes_what_follows(networks, batch):
    clean = torch.arange(GROUPS).expand(ROWS, -1) < 2
    known, given = batch["latents"], codes(networks)
    one, other = (networks.generator(*given, clip, clean) for clip in (known, known.roll(1, 0)))
    assert torch.equal(one[:, :2], known[:, :2])
    assert ((one - other)[:, 2:].flatten(2).abs().amax(dim=2) > 1e-3).all()  # every frame of every clip


@torch.no_grad()
def test_what_comes_after_the_beginning_is_not_looked_at(networks, batch):
    clean = torch.arange(GROUPS) < torch.tensor([[0], [1], [3]])
    given, known = codes(networks, 3), batch["latents"][:3]
    hidden = torch.where(clean[:, :, None, None, None], known, torch.nan)
    assert torch.equal(networks.generator(*given, known, clean), networks.generator(*given, hidden, clean))


@torch.no_grad()
def test_motion_differs_by_frame_and_content_is_shared(networks):
    content, noise, text = codes(networks)
    made = networks.generator.codes(content, noise, text)
    motion = networks.config.motion
    shared, moving = made[..., :-motion], made[..., -motion:]
    assert torch.equal(shared, shared[:, :1].expand_as(shared))
    assert ((moving[:, 1:] - moving[:, :-1]).abs().amax(dim=2) > 1e-3).all()


@torch.no_grad()
def test_the_motion_of_a_frame_depends_on_its_past_alone(networks):
    content, noise, text = codes(networks)
    later = noise.clone()
    later[:, 2:] += 1
    one, other = (networks.generator.codes(content, drawn_noise, text) for drawn_noise in (noise, later))
    assert torch.equal(one[:, :2], other[:, :2])
    assert not torch.equal(one[:, 3], other[:, 3])


def test_resampling_keeps_what_is_even_and_up_is_linear():
    for size in ((8, 8), (4, 6), (3, 1)):
        half = Resample(size)(torch.ones(1, 1, *size, 1))
        assert half.shape[2:4] == (-(-size[0] // 2), -(-size[1] // 2))
        assert torch.allclose(half, torch.ones_like(half))
        assert torch.allclose(Resample(size, up=True)(half), torch.ones(1, 1, *size, 1))
    ramp = torch.arange(4.0).reshape(1, 1, 1, 4, 1).expand(1, 1, 4, 4, 1)
    inside = Resample((8, 8), up=True)(ramp)[0, 0, 0, 1:-1, 0]
    assert torch.allclose(inside.diff(), torch.full((5,), 0.5))


# The model


def latents_of(model, prompts, noises, guidance=1.0, guides=None):
    blank = [text_canvas(text, frames=WINDOW, width=SIDE, height=SIDE, fps=FPS) for text in prompts]
    canvases = [replace(canvas, guides=guides or {}) for canvas in blank]
    items = model.sample(model.condition(canvases), noises, Sampling(1, guidance))
    (made,) = (item.values for item in items if not isinstance(item, Step))
    return made


def test_the_more_guidance_the_more_alike_are_the_clips_of_a_prompt(model):
    noises = [Noise(seed) for seed in range(6)]
    prompts = [CAPTIONS[0]] * len(noises)
    spreads = [latents_of(model, prompts, noises, g).std(dim=0).mean().item() for g in (1.0, 2.0, 8.0, 1e9)]
    assert spreads[0] > spreads[1] > spreads[2] > spreads[3]
    assert spreads[3] < 1e-4


def test_guidance_of_one_or_less_leaves_codes_as_they_are():
    assert [truncation(guidance) for guidance in (-1.0, 0.5, 1.0, 2.0)] == [1, 1, 1, 0.5]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_walk_ends_at_its_two_clips(model, share):
    ends = [Noise(1), Noise(2)]
    between = NoiseBetween(*ends, share)
    walked = latents_of(model, CAPTIONS[:1], [between], guides={"walk": (CAPTIONS[1], share)})
    end = int(share)
    assert torch.allclose(walked, latents_of(model, [CAPTIONS[end]], [ends[end]]), atol=1e-4)


def test_the_discriminator_stays_at_home(model, networks, tmp_path):
    save_latent_family(tmp_path, networks)
    kept = (tmp_path / "weights.safetensors").stat().st_size
    shipped = sum(p.numel() for module in networks.shipped().values() for p in module.parameters())
    assert set(networks.shipped()) == {"text", "generator"}
    assert kept < 4 * shipped
    assert any(name.startswith("discriminator.") for name in networks.state_dict())  # a checkpoint has it
