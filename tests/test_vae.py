"""Laws of the vae family: normal distributions, causality, style and content, what is known, guidance."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import tiny_vae
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import shaken

from kineograph.canvas import Source, edit_canvas
from kineograph.evaluation.making import fill, text_canvases
from kineograph.models.folding import fold_canvas
from kineograph.models.gaussians import Gaussian, divergence, guided_prior
from kineograph.models.guides import style_of
from kineograph.models.stochastic import Cue, VaeConfig
from kineograph.models.style import statistics
from kineograph.models.tokenizer import to_signal
from kineograph.models.vae import FAMILY, VaeLoss, VaeNetworks, VaeObjective
from kineograph.sampling.noise import Noise

GROUPS, CHANNELS, SIDE = 4, 16, 2
seeds = st.integers(0, 2**32)


def gaussian(draw, *shape):
    return Gaussian(
        torch.randn(shape, generator=draw), torch.randn(shape, generator=draw).exp().clamp(0.1, 10)
    )


@pytest.fixture(scope="module")
def networks():
    return shaken(tiny_vae.networks()).eval()


def clips(rows, seed=0):
    """Latents (B, t, C, h, w)."""
    return Noise(seed).normal("clips", 0, (rows, GROUPS, CHANNELS, SIDE, SIDE))


def noises(config, rows, seed=1):
    shapes = config.levels.items()
    return [
        [Noise(seed).normal(level, number, (rows, *shape)) for level, shape in shapes]
        for number in range(GROUPS)
    ]


def cue_of(networks, content, read=True, held=False, **changes):
    """All read and nothing held, unless it is said otherwise."""
    rows = len(content)
    everywhere = torch.ones(rows, GROUPS, dtype=torch.bool)
    draw = torch.Generator().manual_seed(3)
    moods = [torch.randn(rows, networks.config.mood, generator=draw) for _ in range(2)]
    canvas = networks.canvas(None, rows)
    cue = Cue(moods[:1], canvas, content, read & everywhere, content, held & everywhere)
    return replace(cue, **changes), moods


@torch.no_grad()
def unrolled(networks, cue, seed=1):
    return list(networks.dynamics.unroll(cue, noises(networks.config, len(cue.seen), seed)))


def contents(made):
    return torch.stack([frame.content for frame in made], dim=1)


# Normal distributions


@given(seeds)
@settings(max_examples=30)
def test_divergence_is_that_of_the_textbook(seed):
    draw = torch.Generator().manual_seed(seed)
    q, p = (gaussian(draw, 3, 4, 2, 2) for _ in range(2))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(*q), normal(*p)).flatten(1).sum(dim=1)
    assert torch.allclose(divergence(q, p), expected, rtol=1e-4)
    assert torch.allclose(divergence(q, q), torch.zeros(3), atol=1e-6)


@given(seeds, st.floats(0, 5))
@settings(max_examples=30)
def test_guidance_is_the_power_of_one_prior_over_the_other(seed, scale):
    """log p^scale p0^(1 - scale) of one deviation is, but for a constant, that of the guided prior."""
    draw = torch.Generator().manual_seed(seed)
    with_caption, without = gaussian(draw, 1, 5), gaussian(draw, 1, 5)
    without = Gaussian(without.mean, with_caption.deviation)
    pushed = guided_prior([with_caption, without], torch.tensor([scale]))
    places = torch.randn(2, 1, 5, generator=draw)
    of = [torch.distributions.Normal(*p).log_prob(places) for p in (with_caption, without, pushed)]
    expected = scale * of[0] + (1 - scale) * of[1]
    assert torch.allclose(of[2].diff(dim=0), expected.diff(dim=0), rtol=1e-2, atol=1e-2)
    assert torch.equal(guided_prior([with_caption], None).mean, with_caption.mean)


def test_numbers_drawn_at_a_temperature_are_so_much_nearer_to_the_mean():
    prior = gaussian(torch.Generator().manual_seed(0), 2, 3)
    noise = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    away = prior.sample(noise) - prior.mean
    assert torch.allclose(prior.tempered(0.25).sample(noise) - prior.mean, 0.25 * away, atol=1e-6)


# Frames


def test_later_frames_leave_earlier_posteriors_priors_and_frames_as_they_are(networks):
    content = clips(3)
    changed = torch.cat([content[:, :2], clips(3, seed=1)[:, 2:]], dim=1)
    one, other = (unrolled(networks, cue_of(networks, c, held=True)[0]) for c in (content, changed))
    for number in range(2):
        for (q, p), (q_other, p_other) in zip(one[number].levels, other[number].levels, strict=True):
            assert torch.equal(q.mean, q_other.mean)
            assert torch.equal(p.mean, p_other.mean)
        assert torch.equal(one[number].content, other[number].content)
    (q, p), (q_other, p_other) = one[2].levels[0], other[2].levels[0]
    assert not torch.allclose(q.mean, q_other.mean)
    assert torch.equal(p.mean, p_other.mean)  # it knows what is before the frame alone
    assert not torch.allclose(one[3].levels[0][1].mean, other[3].levels[0][1].mean)


def test_what_is_drawn_from_the_prior_knows_nothing_of_the_clip(networks):
    one, other = (unrolled(networks, cue_of(networks, clips(3, s), read=False)[0]) for s in (0, 1))
    assert torch.equal(contents(one), contents(other))
    assert not torch.equal(contents(one), contents(unrolled(networks, cue_of(networks, clips(3))[0])))


def test_frames_depend_on_their_noise_and_on_that_of_those_before(networks):
    cue, _ = cue_of(networks, clips(3), read=False)
    plain = noises(networks.config, 3)
    late = [*plain[:2], *noises(networks.config, 3, seed=2)[2:]]
    with torch.no_grad():
        one, other = (contents(networks.dynamics.unroll(cue, several)) for several in (plain, late))
    assert torch.equal(one[:, :2], other[:, :2])
    assert not torch.isclose(one[:, 2:], other[:, 2:]).all(dim=(2, 3, 4)).any()


def test_without_guidance_what_no_caption_says_does_not_count(networks):
    plain, moods = cue_of(networks, clips(3), read=False)
    at_one = contents(unrolled(networks, replace(plain, moods=moods)))
    assert torch.allclose(at_one, contents(unrolled(networks, plain)), atol=1e-5)
    pushed = contents(unrolled(networks, replace(plain, moods=moods, scale=torch.full((3,), 3.0))))
    assert not torch.allclose(pushed, at_one, atol=1e-3)


def test_guidance_leaves_the_style_of_a_clip_to_its_caption(networks, monkeypatch):
    styles, on = [], networks.style.on
    monkeypatch.setattr(
        networks.style, "on", lambda content, style: styles.append(style) or on(content, style)
    )
    model = FAMILY.modelled("vae", networks)
    models = [model.at(model.spec.setting(guidance=scale)) for scale in (1.0, 5.0)]
    plain, pushed = (fill(text_canvases(tiny_models.CAPTIONS[:2], each.spec), each).frames for each in models)
    assert all(torch.equal(style, styles[0]) for style in styles)
    assert (plain != pushed).any()


def test_a_long_edit_goes_on_in_the_style_that_it_has_begun_in(networks, monkeypatch):
    """Its second window is in no other style if the clip that it changes ends in another."""
    styles, on = [], networks.style.on
    monkeypatch.setattr(
        networks.style, "on", lambda content, style: styles.append(style) or on(content, style)
    )
    model = FAMILY.modelled("vae", networks)
    window, short = model.spec.window, tiny_models.CLIPS[0][:1]
    given = np.concatenate([tiny_models.CLIPS[0][:window], *[short] * 4])
    told = []
    for level in (0, 255):
        given[window:] = level
        fill([edit_canvas(tiny_models.CAPTIONS[0], Source(given.copy(), 1.0), model.spec.fps)], model)
        told.append(torch.stack(styles))
        styles.clear()
    assert len(told[0]) == 2 * GROUPS
    assert torch.equal(*told)


def test_cold_clips_are_all_the_same(networks):
    cold, _ = cue_of(networks, clips(2), read=False, temperature=0.0)
    warm = replace(cold, temperature=1.0)
    assert torch.equal(*(contents(unrolled(networks, cold, seed)) for seed in (1, 2)))
    assert not torch.equal(*(contents(unrolled(networks, warm, seed)) for seed in (1, 2)))


# Style


def test_statistics_of_whole_clips_are_their_style():
    latents = 3 * clips(5) + 1
    everywhere = torch.ones(5, GROUPS, dtype=torch.bool)
    assert torch.allclose(statistics(latents, everywhere), style_of(latents), atol=1e-5)
    begun = everywhere & (torch.arange(GROUPS) < 2)
    assert torch.allclose(statistics(latents, begun), style_of(latents[:, :2]), atol=1e-5)
    assert not statistics(latents, torch.zeros_like(begun)).any()


@given(seeds)
@settings(max_examples=10)
def test_a_style_comes_off_and_on_again(seed):
    networks = shaken(tiny_vae.networks())
    latents, style = clips(2, seed), Noise(seed).normal("style", 0, (2, networks.config.style))
    content = networks.style.off(latents, style)
    assert torch.allclose(networks.style.on(content, style), latents, atol=1e-4)
    assert not torch.allclose(content, latents, atol=1e-2)


def restyled(networks, latents, looks):
    """Clips as their z has them, in the style that statistics tell; captions say nothing."""
    config, rows = networks.config, len(latents)
    own = statistics(latents, torch.ones(rows, GROUPS, dtype=torch.bool))
    noise = torch.zeros(rows, config.style)
    summary = networks.reader(networks.text(torch.zeros(rows, config.text_length, dtype=torch.long)))
    style = networks.style.posterior(looks).sample(noise)
    cue, _ = cue_of(networks, networks.content(latents, own, noise))
    cue = replace(cue, moods=[networks.style.mood(summary, style)])
    return networks.style.on(contents(unrolled(networks, cue)), style)


def two_styles(rows, seed):
    """Clips whose one half is bright and of high contrast, the other dark and dull."""
    manner = (torch.arange(rows) % 2)[:, None, None, None, None]
    return torch.where(manner == 1, 1.0 + 1.2 * clips(rows, seed), -1.0 + 0.3 * clips(rows, seed))


@pytest.fixture(scope="module")
def stylist():
    """A model that has seen clips of two styles for a short time, and no captions."""
    networks = tiny_vae.networks()
    objective = VaeObjective(networks, VaeLoss(beta=0.01))
    optimizer = torch.optim.Adam([p for _, p in objective.parameters()], lr=3e-3)
    caption = torch.zeros(16, networks.config.text_length, dtype=torch.long)
    for step in range(160):
        batch = {"latents": two_styles(16, step), "caption": caption}
        optimizer.zero_grad()
        objective.loss(batch, torch.Generator().manual_seed(step))[0].backward()
        optimizer.step()
    return networks.eval()


@pytest.mark.slow
@torch.no_grad()
def test_the_style_of_another_clip_is_taken_on_and_ones_own_changes_nothing(stylist):
    latents = two_styles(8, seed=1000)
    own, other = style_of(latents), style_of(latents.roll(1, 0))
    plain, again, swapped = (restyled(stylist, latents, looks) for looks in (own, own.clone(), other))
    assert torch.equal(plain, again)
    apart = (style_of(plain) - other).abs().mean()
    assert (style_of(swapped) - other).abs().mean() < 0.5 * apart
    assert (style_of(plain) - own).abs().mean() < 0.5 * apart


def in_two_lights(seed, length):
    """Clips (16, ...) that are bright or dark, some dull, some of high contrast; the same in the other light;
    captions that say how light they are, and both said in numbers."""
    light = torch.where(torch.arange(16) % 2 == 0, 1.0, -1.0)
    contrast = torch.where(torch.arange(16) // 2 % 2 == 0, 1.2, 0.4)
    shown = [each[:, None, None, None, None] for each in (light, contrast)]
    content = clips(16, seed)
    caption = torch.where(light > 0, 2, 3)[:, None].expand(-1, length)
    return shown[0] + shown[1] * content, shown[1] * content - shown[0], caption, light, contrast


@pytest.mark.slow
def test_an_edit_changes_of_a_style_what_its_caption_says_and_keeps_the_rest():
    networks = tiny_vae.networks()
    objective = VaeObjective(networks, VaeLoss(beta=0.01, drop=0.0, edited=1.0))
    optimizer = torch.optim.Adam([p for _, p in objective.parameters()], lr=3e-3)
    for step in range(480):
        clean, source, caption, *_ = in_two_lights(step, networks.config.text_length)
        alone = torch.full((16, 2 * CHANNELS), torch.nan)  # no third clip lends its style
        batch = {"latents": clean, "caption": caption, "source": source, "style": alone}
        optimizer.zero_grad()
        objective.loss(batch, torch.Generator().manual_seed(step))[0].backward()
        optimizer.step()
    _, source, caption, light, contrast = in_two_lights(1000, networks.config.text_length)
    with torch.no_grad():
        summary, canvas = networks.reader(networks.text(caption)), networks.canvas(None, 16)
        wanted = networks.style.prior(summary, canvas, style_of(source)).mean
        mean, deviation = networks.style.statistics(wanted).chunk(2, dim=1)
    assert (mean.mean(dim=1) * light > 0.5).all()
    assert deviation[contrast > 1].mean(dim=1).min() > 1.5 * deviation[contrast < 1].mean(dim=1).max()


# What is known


def test_a_canvas_steers_frames_before_it_and_after(networks):
    canvas = torch.zeros(2, GROUPS, SIDE, SIDE, 4096)
    canvas[1, 2] = Noise(0).normal("canvas", 0, (SIDE, SIDE, 4096))
    seen, blank = networks.canvas(canvas, 2), networks.canvas(None, 2)
    assert torch.equal(blank[0], seen[0])
    cue, _ = cue_of(networks, clips(2), read=False)
    one, other = (contents(unrolled(networks, replace(cue, canvas=c))) for c in (seen, blank))
    assert torch.equal(one[0], other[0])
    assert not torch.isclose(one[1], other[1]).flatten(1).all(dim=1).any()


def test_inpainting_follows_what_is_in_sight():
    """Of clips that are wholly bright or wholly dark, what is missing learns to be as the rest."""
    networks = tiny_vae.networks()
    objective = VaeObjective(networks, VaeLoss(drop=0.0))
    optimizer = torch.optim.Adam([p for _, p in objective.parameters()], lr=3e-3)
    bright = torch.arange(8) % 2 == 0
    level = torch.where(bright, 1.0, -1.0)[:, None, None, None, None]
    frames = torch.where(bright, 230, 25).to(torch.uint8)[:, None, None, None, None]
    batch = {
        "latents": level.expand(-1, GROUPS, CHANNELS, SIDE, SIDE) + 0.1 * clips(8),
        "caption": torch.zeros(8, networks.config.text_length, dtype=torch.long),
        "frames": frames.expand(-1, 13, 32, 32, 3).contiguous(),
    }
    for step in range(60):
        optimizer.zero_grad()
        objective.loss(batch, torch.Generator().manual_seed(step))[0].backward()
        optimizer.step()
    made = inpainted(networks.eval(), batch["frames"], draw_seed=5)
    assert made[bright].mean() > 0.5
    assert made[~bright].mean() < -0.5


@torch.no_grad()
def inpainted(networks, frames, draw_seed):
    """Latents made of clips of which all but the middle is known."""
    rows, config = len(frames), networks.config
    known = torch.ones(frames.shape[:4], dtype=torch.bool)
    known[:, :, 8:24, 8:24] = False
    canvas = networks.canvas(fold_canvas(to_signal(frames), known), rows)
    summary = networks.reader(networks.text(torch.zeros(rows, config.text_length, dtype=torch.long)))
    unchanged = torch.zeros(rows, 2 * CHANNELS)
    style = networks.style.prior(summary, canvas, unchanged).sample(
        Noise(draw_seed).normal("s", 0, (rows, config.style))
    )
    cue, _ = cue_of(networks, torch.zeros(rows, GROUPS, CHANNELS, SIDE, SIDE), read=False)
    cue = replace(cue, canvas=canvas, moods=[networks.style.mood(summary, style)])
    return networks.style.on(contents(unrolled(networks, cue, draw_seed)), style)


# The loss


def test_free_nats_cost_the_posterior_nothing_and_the_prior_learns_all_the_same(networks):
    objective = VaeObjective(networks, VaeLoss(free=100.0))
    q, p = (Gaussian(torch.full((2, 3), at, requires_grad=True), torch.ones(2, 3)) for at in (1.0, 0.0))
    objective._divergence([[(q, p)], [(q, p), (q, p)]])[0].backward()
    assert not q.mean.grad.any()
    assert p.mean.grad.all()


def test_beyond_the_free_nats_the_gradient_is_that_of_the_divergence(networks):
    objective = VaeObjective(networks, VaeLoss(free=0.0, lead=1.0))
    pairs = [[gaussian(torch.Generator().manual_seed(n), 4, 3) for n in (2 * m, 2 * m + 1)] for m in range(3)]
    leaves = [value.requires_grad_() for pair in pairs for one in pair for value in one]
    bound, nats = objective._divergence([[pairs[0]], pairs[1:]])
    expected = sum(divergence(q, p).mean() for q, p in pairs)
    assert sum(nats.values()) == pytest.approx(expected.item(), rel=1e-5)
    found, wanted = (torch.autograd.grad(value, leaves) for value in (bound, expected))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, wanted, strict=True))


def test_the_default_model_fits_into_four_megabytes():
    with torch.device("meta"):
        networks = VaeNetworks(VaeConfig(tuple(f"word{n}" for n in range(200))))
    assert 1_600_000 < sum(p.numel() for _, p in networks.learning()) < 1_950_000
