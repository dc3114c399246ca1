"""The rnn family: cells that are what they are called, streams, and clips made from either end."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import CLIPS, FPS, WINDOW, shaken
from tiny_rnn import CONFIG, rnn_batch, rnn_networks
from torch import nn

from kineograph import canvas as canvases
from kineograph.controls import actions_of
from kineograph.generation import fill
from kineograph.models import rnn
from kineograph.models.cells import CELLS, Gru, Lstm, MinGru, StLstm, by_step, overlap, stack_of
from kineograph.models.dynamics import RnnNetworks, fold_actions, in_order, known_ends
from kineograph.models.exposure import draw_shown, feed_back, mixed, reverse_schedule
from kineograph.models.family import Step
from kineograph.models.folding import draw_known
from kineograph.models.rnn import FAMILY, Rnn, RnnObjective
from kineograph.models.streaming import Stream
from kineograph.models.tokenizer import to_signal
from kineograph.request import Request
from kineograph.sampling.noise import Noise
from kineograph.training.presets import PRESETS
from kineograph.video import Video

every_cell = pytest.mark.parametrize("cell", CELLS)
lengths = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stack(cell, channels=3, width=6, depth=2):
    torch.manual_seed(1)
    return shaken(stack_of(cell, channels, width, depth))


def maps(cell, clips=2, steps=7, side=4, seed=0):
    side = 1 if cell in ("lstm", "gru") else side
    return randn(clips, steps, 3, side, side, seed=seed)


# The cells are those of others


@torch.no_grad()
def copied(cell, theirs):
    """The weights of a cell of `torch.nn`."""
    cell.enter.weight.copy_(theirs.weight_ih)
    cell.enter.bias.copy_(theirs.bias_ih)
    cell.recall.weight.copy_(theirs.weight_hh)
    cell.recall.bias.copy_(theirs.bias_hh)
    return cell


@pytest.mark.parametrize(("ours", "theirs"), [(Lstm, nn.LSTM), (Gru, nn.GRU)])
def test_dense_cells_are_those_of_torch(ours, theirs):
    x, reference = randn(2, 9, 5), theirs(5, 7, batch_first=True)
    for parameter, layer in (("weight_ih", "weight_ih_l0"), ("weight_hh", "weight_hh_l0")):
        setattr(reference, parameter, getattr(reference, layer))
    reference.bias_ih, reference.bias_hh = reference.bias_ih_l0, reference.bias_hh_l0
    expected, _ = reference(x)
    shown, _ = copied(ours(5, 7, kernel=1), reference)(x[..., None, None])
    assert torch.allclose(shown[..., 0, 0], expected, atol=1e-6)


def plain_lstm(x, enter, recall, forget=0.0):
    """A convolutional LSTM as OpenSTL has it: gates in the order i, f, g, o, no bias."""
    shown = kept = torch.zeros(len(x), recall.shape[1], *x.shape[-2:])
    for maps in x.unbind(1):
        gates = F.conv2d(maps, enter, padding=2) + F.conv2d(shown, recall, padding=2)
        i, f, g, o = gates.chunk(4, dim=1)
        kept = torch.sigmoid(f + forget) * kept + torch.sigmoid(i) * torch.tanh(g)
        shown = torch.sigmoid(o) * torch.tanh(kept)
        yield shown


@torch.no_grad()
@pytest.mark.parametrize("forget", [0.0, 1.0])
def test_a_forget_bias_lies_in_the_bias(forget):
    x, enter, recall = randn(2, 5, 3, 8, 8), 0.1 * randn(24, 3, 5, 5), 0.1 * randn(24, 6, 5, 5)
    cell = Lstm(3, 6, kernel=5)
    assert torch.equal(cell.enter.bias, torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(6))
    cell.enter.weight.copy_(enter.flatten(1))
    cell.recall.weight.copy_(recall.flatten(1))
    cell.enter.bias[6:12] = forget
    expected = torch.stack(list(plain_lstm(x, enter, recall, forget)), dim=1)
    assert torch.allclose(cell(x)[0], expected, atol=1e-6)


@torch.no_grad()
def test_a_norm_is_over_channels_and_places():
    x, cell = randn(2, 3, 3, 4, 6), Lstm(3, 6, normed=(4, 6))
    conv, norm = cell.enter
    assert norm.normalized_shape == (24, 4, 6)
    assert torch.equal(norm.bias[6:12], torch.ones(6, 4, 6))
    expected = F.layer_norm(conv(x[:, 0]), (24, 4, 6), None, norm.bias)
    assert torch.allclose(cell.enter(x[:, 0]), expected, atol=1e-6)
    assert cell(x)[0].shape == (2, 3, 6, 4, 6)


@torch.no_grad()
def test_a_spatio_temporal_lstm_has_two_memories():
    """One step by the equations of PredRNN, with the forget biases of 1 that it begins with."""
    cell, x = StLstm(3, 4, kernel=5), randn(2, 3, 8, 8)
    h, c, m = (randn(2, 4, 8, 8, seed=seed) for seed in (1, 2, 3))
    enter = F.conv2d(x, cell.enter.weight.unflatten(1, (3, 5, 5)), padding=2).chunk(7, dim=1)
    recall = F.conv2d(h, cell.recall.weight.unflatten(1, (4, 5, 5)), padding=2).chunk(4, dim=1)
    memory = F.conv2d(m, cell.recall_memory.weight.unflatten(1, (4, 5, 5)), padding=2).chunk(3, dim=1)
    added = torch.sigmoid(enter[0] + recall[0]) * torch.tanh(enter[2] + recall[2])
    noted = torch.sigmoid(enter[3] + memory[0]) * torch.tanh(enter[5] + memory[2])
    c_new = torch.sigmoid(enter[1] + recall[1] + 1) * c + added
    m_new = torch.sigmoid(enter[4] + memory[1] + 1) * m + noted
    both = torch.cat([c_new, m_new], dim=1)
    opened = F.conv2d(both, cell.show.weight.unflatten(1, (8, 5, 5)), padding=2)
    left = F.conv2d(both, cell.leave.weight[:, :, None, None])
    shown = torch.sigmoid(enter[6] + recall[3] + opened) * torch.tanh(left)
    after = cell.step(cell.enter(x), (h, c, m))
    for ours, expected in zip(after, (shown, c_new, m_new, added, noted), strict=True):
        assert torch.allclose(ours, expected, atol=1e-5)


@torch.no_grad()
def test_the_memory_goes_up_the_layers_and_on_from_the_highest():
    zigzag, x = stack("predrnn", depth=3), maps("predrnn", steps=2)
    states = zigzag.begin(x[:, 0])
    for now in x.unbind(1):
        memory, before, states = states[-1].memory, states, []
        for cell, state in zip(zigzag.cells, before, strict=True):
            states.append(cell.step(cell.enter(now), state._replace(memory=memory)))
            now, memory = states[-1].shown, states[-1].memory
    assert torch.allclose(zigzag(x)[0][:, -1], states[-1].shown, atol=1e-6)


@settings(max_examples=30)
@given(lengths, seeds)
@torch.no_grad()
def test_a_parallel_scan_is_the_loop(length, seed):
    cell, x = shaken(MinGru(3, 4)), 3 * randn(2, length, 3, 2, 2, seed=seed)
    state = before = (randn(2, 4, 2, 2, seed=seed + 1),)
    shown, last = cell(x, before)
    for step, entered in enumerate(by_step(cell.enter, x).unbind(1)):
        state = cell.step(entered, state)
        assert torch.allclose(shown[:, step], state[0], atol=1e-5)
    assert torch.equal(last[0], shown[:, -1])


# Streams


@every_cell
@settings(max_examples=5)
@given(cut=st.integers(0, 6))
@torch.no_grad()
def test_a_stream_is_the_whole(cell, cut):
    layers, x = stack(cell), maps(cell)
    whole, last = layers(x)
    states, shown = layers.begin(x[:, 0]), []
    for step in range(cut):
        states = layers.step(x[:, step], states)
        shown.append(states[-1][0])
    rest, states = layers(x[:, cut:], states)
    assert torch.allclose(torch.cat([*(one[:, None] for one in shown), rest], dim=1), whole, atol=1e-5)
    for ours, expected in zip(states, last, strict=True):
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, expected, strict=True))


@every_cell
@torch.no_grad()
def test_what_comes_later_changes_nothing_before(cell):
    layers, x = stack(cell), maps(cell)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = layers(x)[0], layers(changed)[0]
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@every_cell
@torch.no_grad()
def test_the_state_is_of_one_size(cell):
    sizes = set()
    for steps in (1, 2, 20):
        _, states = stack(cell)(maps(cell, steps=steps))
        sizes.add(tuple(part.shape for state in states for part in state))
    assert len(sizes) == 1


def test_other_cells_are_refused():
    with pytest.raises(ValueError, match=r"cell must be one of lstm, gru, .*, not rnn"):
        stack_of("rnn", 3, 4, 1)


# PredRNN's losses


def test_memories_overlap_from_0_to_1():
    one = randn(2, 4, 3, 3)
    assert overlap(one, one).item() == pytest.approx(1)
    assert overlap(one, -2 * one).item() == pytest.approx(1)
    left, right = torch.zeros(2, 4, 2, 2), torch.zeros(2, 4, 2, 2)
    left[..., 0], right[..., 1] = 1, 1
    assert overlap(left, right).item() == 0


@torch.no_grad()
def test_the_overlap_of_a_stack_is_that_of_what_was_added():
    zigzag = stack("predrnn")
    zigzag.adapter.weight.copy_(torch.eye(6)[:, :, None, None])
    states = zigzag.step(maps("predrnn")[:, 0], zigzag.begin(maps("predrnn")[:, 0]))
    expected = torch.stack([overlap(state.kept_new, state.memory_new) for state in states]).mean()
    assert zigzag.overlap(states).item() == pytest.approx(expected.item(), abs=1e-6)
    alike = [state._replace(memory_new=state.kept_new) for state in states]
    assert zigzag.overlap(alike).item() == pytest.approx(1, abs=1e-5)
    assert stack("convlstm").overlap(stack("convlstm").begin(maps("convlstm")[:, 0])) == 0


def test_the_schedule_is_that_of_the_paper():
    assert reverse_schedule(0) == reverse_schedule(24_999) == (0.5, 0.5)
    assert reverse_schedule(25_000) == (0.5, 0.5)
    past, future = reverse_schedule(30_000)
    assert past == pytest.approx(1 - 0.5 * np.exp(-1))
    assert future == pytest.approx(0.4)
    assert reverse_schedule(50_000) == reverse_schedule(10**6) == (1.0, 0.0)


@given(st.floats(0, 1e5), st.floats(0, 1e5))
def test_the_past_is_shown_ever_more_and_the_future_ever_less(one, other):
    early, late = reverse_schedule(min(one, other)), reverse_schedule(max(one, other))
    assert 0.5 <= early[0] <= late[0] <= 1
    assert 0.5 >= early[1] >= late[1] >= 0


def test_what_is_shown_is_drawn_with_these_chances():
    past = torch.tensor([1, 4]).repeat(2000)
    shown = draw_shown(past, 6, (0.9, 0.2), torch.Generator().manual_seed(0)).float().unflatten(0, (-1, 2))
    expected = torch.tensor([[1, 0.2, 0.2, 0.2, 0.2, 0.2], [1, 0.9, 0.9, 0.9, 0.2, 0.2]])
    assert torch.allclose(shown.mean(dim=0), expected, atol=0.05)


def test_predictions_take_the_place_of_what_is_not_shown():
    x, shown = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[False, True, False, False]])
    made = [made.item() for made, _ in feed_back(x, shown, lambda z, n, s: (10 * z, s), None)]
    assert made == [10, 20, 200, 2000]
    assert mixed(x, shown, 10 * x).tolist() == [[1, 2, 20, 30]]


# The family


@every_cell
def test_every_cell_learns(cell):
    networks = rnn_networks(cell)
    objective, batch = RnnObjective(networks), rnn_batch(networks)
    parameters = dict(objective.parameters())
    optimizer = torch.optim.Adam(parameters.values(), lr=4e-3)
    losses = []
    for step in range(25):
        loss, _ = objective.loss(batch, torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_loss_is_the_same_again():
    objective, batch = RnnObjective(rnn_networks()), rnn_batch(rnn_networks())
    first, again = (objective.loss(batch, torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(first, again)


def test_plain_batches_have_neither_frames_nor_actions():
    batch = rnn_batch(rnn_networks())
    plain = {name: batch[name] for name in ("latents", "caption")}
    assert RnnObjective(rnn_networks()).loss(plain, torch.Generator().manual_seed(0))[0].isfinite()


@every_cell
@torch.no_grad()
def test_all_steps_at_once_are_one_after_another(cell):
    dynamics = shaken(rnn_networks(cell)).dynamics
    z, caption = randn(2, 4, *CONFIG.frame), randn(2, 6, 16)
    told = dynamics.told(None, fold_actions(torch.full((2, WINDOW, 4), torch.nan)), CONFIG.grid[1:])
    rolled = dynamics.roll(z, torch.ones(2, 4, dtype=torch.bool), told, caption)
    made = torch.stack([made for made, _ in rolled], dim=1)
    assert torch.allclose(dynamics(z, told, caption), made, atol=1e-5)


def test_order_is_turned_and_turned_back():
    x, backwards = randn(3, 5, 2), torch.tensor([True, False, True])
    assert torch.equal(in_order(in_order(x, backwards), backwards), x)
    assert torch.equal(in_order(x, backwards)[0], x[0].flip(0))
    assert torch.equal(in_order(x, backwards)[1], x[1])


def test_actions_are_told_with_the_group_that_they_lead_to():
    actions = torch.full((1, WINDOW, 4), torch.nan)
    assert not fold_actions(actions).any()
    actions[:, 5:9] = torch.eye(4)
    folded = fold_actions(actions).unflatten(2, (4, 5))
    assert torch.equal(folded[0, 2, :, :4], torch.eye(4))
    assert torch.equal(folded[0, :, :, 4], torch.tensor([0.0, 0, 1, 0])[:, None].expand(-1, 4))


@settings(max_examples=20)
@given(seeds)
def test_known_ends_can_be_encoded_by_themselves(seed):
    known = draw_known((6, WINDOW, 16, 32), torch.Generator().manual_seed(seed))
    frames = known.flatten(2).all(dim=2)
    for row, group in zip(*np.nonzero(known_ends(known).numpy()), strict=True):
        assert group > 0
        assert bool(frames[row, 4 * (group - 1) :].all())
    assert torch.equal(known_ends(known).sum(1), ((frames.flip(1).int().cumprod(1).sum(1) - 1) // 4).clamp(0))


@pytest.fixture(scope="module")
def model():
    networks = shaken(rnn_networks())
    return Rnn(networks, FAMILY.spec_of("tiny", networks.config), torch.float32)


def steps_of(model, canvas, steps=3):
    items = fill(canvas, Request("a red ball", steps=steps), model)
    return [item for item in items if isinstance(item, Step)]


def test_the_first_latent_frame_is_drawn_only_where_it_is_unknown(model):
    predicted = CONFIG.grid[0] - 1
    image = canvases.keyframes_canvas("", {0: CLIPS[0, 0]}, frames=WINDOW, fps=FPS)
    assert len(steps_of(model, image)) == predicted
    blank = canvases.text_canvas("", frames=WINDOW + 1, width=32, height=32, fps=FPS)
    assert len(steps_of(model, blank)) == 3 + 2 * predicted
    footage = Video(CLIPS[0], FPS)
    assert len(steps_of(model, canvases.precede_canvas("", footage, WINDOW))) == 4 * predicted
    short = Video(CLIPS[0, :1], FPS)
    assert len(steps_of(model, canvases.precede_canvas("", short, WINDOW - 1))) == 3 + predicted


def test_footage_at_the_end_is_encoded_by_itself(model):
    """Its groups stand at the end of the window, which is made from there."""
    canvas = canvases.precede_canvas("a red ball", Video(CLIPS[0, 4:], FPS), 4)
    items = model.sample(model.condition([canvas]), [Noise(0)], model.spec.sampling)
    *_, latents = items
    expected = model.encoded(to_signal(torch.from_numpy(CLIPS[:1, 4:])))[:, 1:]
    assert torch.allclose(latents.values[:, -2:], expected, atol=1e-5)


def test_what_is_preceded_stands_still_after_its_end(model):
    canvas = canvases.precede_canvas("", Video(CLIPS[0, :6], FPS), 3)
    frames, known = model.frames([canvas], 0)
    assert torch.equal(frames[0, 9:], frames[0, 8:9].expand(4, -1, -1, -1))
    assert bool(known[0, 3:].all())
    assert not known[0, :3].any()


def test_footage_that_ends_within_a_group_is_seen(model):
    """Its last frames are on the canvas."""
    one, other = (CLIPS[0, :7].copy() for _ in range(2))
    other[5:] = 255 - other[5:]
    first, second = (
        next(item for item in fill(c, Request("a red ball"), model) if not isinstance(item, Step)).frames
        for c in (canvases.continue_canvas("", Video(clip, FPS), 6) for clip in (one, other))
    )
    assert not np.array_equal(first[9:], second[9:])


def played(model, canvas, script):
    chunks = list(model.play(canvas, Noise(0), model.spec.sampling, actions_of(script)))
    assert [chunk.start for chunk in chunks] == [0, *range(canvas.past, canvas.past + len(chunks) - 1)]
    return np.concatenate([chunk.frames for chunk in chunks])


def test_a_world_is_played_frame_by_frame(model):
    canvas = canvases.continue_canvas("a red ball", Video(CLIPS[0, :5, :30, :28], FPS), 1)
    frames, other = (played(model, canvas, script) for script in ("right*6 jump left*12", "right*6 left*13"))
    assert frames.shape == (5 + 19, 30, 28, 3)
    assert np.array_equal(frames[:5], CLIPS[0, :5, :30, :28])
    assert np.array_equal(frames[:11], other[:11])
    assert not np.array_equal(frames[11], other[11])


def test_a_world_that_runs_on_is_the_clip_with_these_actions(model):
    """As long as no action is unexpected, and a window lasts."""
    canvas = canvases.keyframes_canvas("a red ball", {0: CLIPS[0, 0]}, frames=WINDOW, fps=FPS)
    clip = replace(canvas, guides={"actions": ("none",) * WINDOW})
    made = next(item for item in fill(clip, Request("a red ball"), model) if not isinstance(item, Step))
    streamed = played(model, canvas, "none*12")
    assert np.abs(streamed[1:].astype(int) - made.frames[1:]).max() <= 1


def test_a_world_keeps_as_much_after_many_frames_as_after_few(model):
    stream = Stream(model, canvases.continue_canvas("a red ball", Video(CLIPS[0, :1], FPS), 1))
    sizes = set()
    for _ in range(5):
        for _ in range(8):
            stream.next("right")
            stream.rest()
        kept = [stream.latent, *stream.memory, *(part for state in stream.states for part in state)]
        sizes.add((len(stream.told), *(part.shape for part in kept)))
    assert len(sizes) == 1


def test_a_first_frame_is_learnt_often_each_time_with_its_own_caption_and_canvas():
    networks = shaken(rnn_networks())
    objective, batch, seen = RnnObjective(networks), rnn_batch(networks), []
    networks.begin.register_forward_pre_hook(lambda _, told: seen.append(told))
    objective.loss(batch, torch.Generator().manual_seed(1))
    chain = objective._chain(batch, torch.Generator().manual_seed(1))
    ((z, time, *told),) = seen
    draws = objective.config.draws
    assert len(z) == draws * len(chain.caption)
    for each, own in zip(told, (chain.caption, chain.first_canvas), strict=True):
        assert torch.equal(each.unflatten(0, (-1, draws)), own[:, None].expand(-1, draws, *own.shape[1:]))
    assert bool((time.unflatten(0, (-1, draws)).std(dim=1) > 0).all())


@every_cell
def test_the_presets_keep_to_the_size_that_ships(cell):
    networks = RnnNetworks(replace(PRESETS[cell]().network, words=("a",) * 200))
    sizes = [p.numel() * (2 if p.ndim > 1 else 4) for _, p in networks.learning()]
    assert 3.2e6 < sum(sizes) < 4e6


def test_dense_and_convolutional_cells_make_clips_of_one_size():
    for cell in CELLS:
        networks = rnn_networks(cell)
        assert networks.config == replace(CONFIG, cell=cell)
        made = Rnn(networks, FAMILY.spec_of("tiny", networks.config), torch.float32)
        canvas = canvases.text_canvas("a red ball", frames=9, width=32, height=32, fps=FPS)
        (latents,) = (
            item
            for item in made.sample(made.condition([canvas]), [Noise(1)], rnn.SAMPLING)
            if not isinstance(item, Step)
        )
        assert latents.values.shape == (1, *CONFIG.grid[:1], *CONFIG.frame)
