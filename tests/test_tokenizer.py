"""Laws of the tokenizer: causal both ways, the same in one go and streamed, in constant memory."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.models.tokenizer import (
    SPACE_STRIDE,
    TIME_STRIDE,
    Tokenizer,
    TokenizerConfig,
    TokenizerLoss,
    TokenizerObjective,
    _halved,
    fold,
    frames_of,
    latent_frames_of,
    to_frames,
    to_signal,
    unfold,
)

GROUPS = 4
TINY = TokenizerConfig(channels=4, widths=(8, 8, 8), encoder_depths=(1, 1, 1), decoder_depths=(1, 1, 1))


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def tokenizer():
    """Every weight is random: at its start, a block adds nothing and would remember nothing."""
    network = Tokenizer(TINY).eval().requires_grad_(False)
    for number, parameter in enumerate(network.parameters()):
        parameter.copy_(0.2 * draw(*parameter.shape, seed=number))
    network.latent_mean.copy_(draw(TINY.channels))
    network.latent_std.copy_(draw(TINY.channels).abs() + 0.5)
    return network


@pytest.fixture(scope="module")
def clip():
    return draw(2, frames_of(GROUPS), 3, 32, 48).clamp(-1, 1)


@pytest.fixture(scope="module")
def latents():
    return draw(2, GROUPS, TINY.channels, 2, 3)


def close(one, other):
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-5)


# Shapes


@given(st.integers(1, 10_000))
def test_frames_and_latent_frames_agree(count):
    assert latent_frames_of(frames_of(count)) == count
    assert frames_of(latent_frames_of(count) - 1) < count <= frames_of(latent_frames_of(count))


def test_a_clip_has_the_shape_that_is_promised(tokenizer, clip):
    latents = tokenizer.encode(clip)
    assert latents.shape == (2, GROUPS, TINY.channels, 32 // SPACE_STRIDE, 48 // SPACE_STRIDE)
    assert tokenizer.decode(latents).shape == clip.shape


def test_every_level_survives_the_way_to_signal_and_back():
    frames = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(1, 2, 8, 16, 3)
    signal = to_signal(frames)
    assert signal.min() == -1
    assert signal.max() == 1
    assert torch.equal(to_frames(signal), frames)


def test_a_signal_out_of_range_is_clamped():
    assert to_frames(torch.tensor([-9.0, -1.0, 9.0]).reshape(1, 1, 3, 1, 1)).flatten().tolist() == [0, 0, 255]


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_unfolding_undoes_folding(groups, height, width):
    frames = draw(2, frames_of(groups), 3, SPACE_STRIDE * height, SPACE_STRIDE * width)
    unfolded = unfold(fold(frames))
    assert torch.equal(unfolded[:, TIME_STRIDE - 1 :], frames)
    assert all(torch.equal(unfolded[:, extra], frames[:, 0]) for extra in range(TIME_STRIDE))


# Causality


def test_a_lone_image_is_the_first_latent(tokenizer, clip, latents):
    assert close(tokenizer.encode(clip[:, :1]), tokenizer.encode(clip)[:, :1])
    assert close(tokenizer.decode(latents[:, :1]), tokenizer.decode(latents)[:, :1])


@settings(max_examples=10, deadline=None)
@given(st.integers(1, frames_of(GROUPS) - 1))
def test_later_frames_do_not_change_earlier_latents(tokenizer, clip, cut):
    changed = torch.cat([clip[:, :cut], draw(*clip[:, cut:].shape, seed=1)], dim=1)
    before, after = tokenizer.encode(clip), tokenizer.encode(changed)
    whole = latent_frames_of(cut + 1) - 1  # groups that end before the cut
    assert close(before[:, :whole], after[:, :whole])
    assert not close(before[:, whole], after[:, whole])


@settings(max_examples=10, deadline=None)
@given(st.integers(1, GROUPS - 1))
def test_later_latents_do_not_change_earlier_frames(tokenizer, latents, cut):
    changed = torch.cat([latents[:, :cut], draw(*latents[:, cut:].shape, seed=1)], dim=1)
    before, after = tokenizer.decode(latents), tokenizer.decode(changed)
    assert close(before[:, : frames_of(cut)], after[:, : frames_of(cut)])
    assert not close(before[:, frames_of(cut)], after[:, frames_of(cut)])


def test_the_past_is_remembered(tokenizer, clip, latents):
    other = torch.cat([draw(*clip[:, :5].shape, seed=1), clip[:, 5:]], dim=1)
    assert not close(tokenizer.encode(clip)[:, 2], tokenizer.encode(other)[:, 2])
    turned = torch.cat([draw(*latents[:, :1].shape, seed=1), latents[:, 1:]], dim=1)
    assert not close(tokenizer.decode(latents)[:, 1:5], tokenizer.decode(turned)[:, 1:5])


# Streaming


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, GROUPS), min_size=1, max_size=4))
def test_decoding_bit_by_bit_equals_decoding_in_one_go(tokenizer, parts):
    latents = draw(2, sum(parts), TINY.channels, 2, 2)
    memory, made = None, []
    for part in latents.split(parts, dim=1):
        frames, memory = tokenizer.decode_next(part, memory)
        made.append(frames)
    assert close(torch.cat(made, dim=1), tokenizer.decode(latents))


def test_the_memory_does_not_grow_with_length(tokenizer):
    memory, sizes = None, []
    for index in range(6):
        _, memory = tokenizer.decode_next(draw(1, 1, TINY.channels, 2, 2, seed=index), memory)
        sizes.append(sum(kept.untyped_storage().nbytes() for kept in memory))
    assert len(set(sizes)) == 1


# The objective


def test_focus_only_shares_out_the_weight(tokenizer):
    frames = torch.randint(0, 256, (1, 5, 16, 16, 3), dtype=torch.uint8)
    top = torch.zeros(1, 5, 16, 16, dtype=torch.uint8)
    top[:, :, :8] = 1

    def loss(focus):
        batch = {"frames": frames} | ({} if focus is None else {"focus": focus})
        return float(TokenizerObjective(tokenizer).loss(batch, torch.Generator())[0])

    assert loss(torch.ones_like(top)) == pytest.approx(loss(None), rel=1e-5)
    assert loss(top) + loss(1 - top) == pytest.approx(2 * loss(None), rel=1e-5)
    assert loss(top) != pytest.approx(loss(None), rel=1e-4)


def test_the_loss_depends_on_the_generator_alone(tokenizer):
    batch = {"frames": torch.randint(0, 256, (2, 5, 16, 16, 3), dtype=torch.uint8)}
    objective = TokenizerObjective(tokenizer)
    first, again, other = (objective.loss(batch, torch.Generator().manual_seed(s))[0] for s in (0, 0, 1))
    assert first == again != other


# Latents of half the size


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_halving_undoes_doubling_and_commutes_with_turns_and_cuts(groups, height, width):
    x = draw(2, groups, 4, 2 * height, 2 * width)
    doubled = x.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    assert close(_halved(doubled), x)
    assert close(_halved(x.flip(-1)), _halved(x).flip(-1))
    assert close(_halved(x.mT), _halved(x).mT)
    assert close(_halved(x[:, 1:]), _halved(x)[:, 1:])


def loss_of_scale(tokenizer, size, scale, focus=False):
    frames = (127.5 * (1 + draw(2, 5, *size, 3).clamp(-1, 1))).to(torch.uint8)
    batch = {"frames": frames} | ({"focus": (frames[..., 0] > 200).to(torch.uint8)} if focus else {})
    objective = TokenizerObjective(tokenizer, TokenizerLoss(scale=scale))
    return float(objective.loss(batch, torch.Generator().manual_seed(0))[0])


@pytest.mark.parametrize("focus", [False, True])
def test_the_loss_grows_with_the_weight_of_halved_latents(tokenizer, focus):
    """In a straight line from the loss without them."""
    none, half, full = (loss_of_scale(tokenizer, (32, 64), scale, focus) for scale in (0.0, 0.5, 1.0))
    assert none < half < full
    assert half - none == pytest.approx(full - half, rel=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (48, 32)])
def test_grids_with_odd_sides_are_not_halved(tokenizer, size):
    assert loss_of_scale(tokenizer, size, 0.0) == loss_of_scale(tokenizer, size, 1.0)
