"""Laws of the transformer family: codes, and both orders in which they are made."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import save_latent_family, shaken
from tiny_transformer import networks_of

from kineograph.errors import ModelError
from kineograph.models import prompted, transformer
from kineograph.models.codes import Codes, CodesConfig, Fsq, levels_of
from kineograph.models.masked import gumbel, unmasked
from kineograph.models.predictor import Led, TransformerConfig, TransformerNetworks, picked
from kineograph.sampling.noise import Noise

ORDERS = ("masked", "raster")
every_order = pytest.mark.parametrize("order", ORDERS)


# Codes


@settings(max_examples=20)
@given(st.lists(st.integers(2, 8), min_size=1, max_size=4).map(tuple))
def test_codes_are_the_cells_of_a_grid(levels):
    fsq, config = Fsq(levels), CodesConfig(levels)
    every = torch.arange(config.count)
    values = fsq.values(every)
    assert torch.equal(fsq.codes(values), every)
    assert torch.allclose(fsq.quantized(values), values)
    assert values.unique(dim=0).shape == (config.count, len(levels))
    for column, count in zip(values.T, levels, strict=True):
        assert torch.allclose(column.unique(), torch.linspace(-1, 1, count), atol=1e-6)


@settings(max_examples=30)
@given(st.lists(st.integers(2, 8), min_size=1, max_size=4).map(tuple), st.integers(0, 2**32))
def test_numbers_are_rounded_to_the_nearest_and_the_gradient_passes_straight_through(levels, seed):
    fsq, draw = Fsq(levels), torch.Generator().manual_seed(seed)
    numbers = (torch.rand(50, len(levels), generator=draw) * 2 - 1).requires_grad_()
    pull = torch.randn(50, len(levels), generator=draw)
    quantized = fsq.quantized(numbers)
    assert torch.allclose(quantized, fsq.values(fsq.codes(numbers)), atol=1e-6)
    halves = 1 / (torch.tensor(levels) - 1)
    assert bool(((quantized - numbers).abs() <= halves + 1e-6).all())
    (quantized * pull).sum().backward()
    assert torch.equal(numbers.grad, pull)


@settings(max_examples=20)
@given(st.lists(st.integers(2, 8), min_size=1, max_size=4).map(tuple))
def test_each_level_of_each_number_has_a_row_of_its_own(levels):
    rows, start = levels_of(levels), 0
    places = Fsq(levels).places(torch.arange(len(rows)))
    for number, count in enumerate(levels):
        assert rows[:, number].unique().tolist() == list(range(start, start + count))
        assert torch.equal(rows[:, number] - start, places[:, number])
        start += count


@torch.no_grad()
def test_what_is_learnt_of_a_number_is_learnt_of_all_codes_that_have_it(leds):
    predictor = leds["masked"].predictor
    before = predictor.row_of_codes()
    assert torch.equal(before[-1:], predictor.nothing)
    kept = predictor.numbers.clone()
    predictor.numbers[2] += 1.0
    moved = (predictor.row_of_codes() != before).any(dim=1)
    predictor.numbers.copy_(kept)
    assert torch.equal(moved[:-1], (predictor.levels == 2).any(dim=1))
    assert not bool(moved[-1])


def test_a_number_with_no_choice_makes_no_code():
    with pytest.raises(ValueError, match="2 levels or more"):
        Fsq((8, 1))


def tiny_codes():
    torch.manual_seed(0)
    return shaken(Codes(CodesConfig((5, 4), groups=3, width=8), channels=6))


def test_what_follows_changes_neither_codes_nor_latents_of_what_was_before():
    codes, latents = tiny_codes(), torch.randn(2, 4, 6, 4, 6)
    early, late = codes.encode(latents[:, :2]), codes.encode(latents)
    assert late.shape == (2, 4, 6, 3)
    assert torch.equal(late[:, :2], early)
    short, long = codes.decode(early, 4), codes.decode(late, 4)
    assert long.shape == latents.shape
    assert torch.allclose(long[:, :2], short, atol=1e-5)
    assert torch.allclose(codes.rebuilt(latents), long, atol=1e-5)


# The predictor


@pytest.fixture(scope="module")
def all_networks():
    return {order: shaken(networks_of(order)()).eval() for order in ORDERS}


GRID, SIDE = 3, 4  # latent frames, and latent cells along a side: four cells of codes a frame


@pytest.fixture(scope="module")
def leds(all_networks):
    """A prompt for each order, on a grid of three latent frames of four cells each."""
    made = {}
    for order in ORDERS:
        torch.manual_seed(0)
        config = TransformerConfig(
            ("a", "red"),
            order=order,
            grid=(GRID, SIDE, SIDE),
            codes=CodesConfig((4, 3), groups=3, width=8),
            text_width=8,
            rank=8,
            width=24,
            hidden=16,
            depth=2,
            heads=2,
        )
        predictor = shaken(TransformerNetworks(config)).eval().predictor
        text, nothing = torch.randn(2, 2, 5, 8)
        made[order] = Led(predictor, text, nothing, scale=torch.full((2,), 1.5), dtype=torch.float32)
    return made


def random_codes(led, clips=2):
    config = led.predictor.config
    cells = GRID * config.frame_cells
    return torch.randint(config.codes.count, (clips, cells, 3), generator=torch.Generator().manual_seed(2))


@every_order
@torch.no_grad()
def test_later_cells_do_not_change_what_is_found_out_of_earlier_ones(order, leds):
    led, codes = leds[order], random_codes(leds[order])
    cut = 4 if order == "masked" else 6
    other = codes.clone()
    other[:, cut:] = (other[:, cut:] + 1) % 12
    one, another = (led.reach(some, led.begin())[0] for some in (codes, other))
    assert torch.allclose(one[:, :cut], another[:, :cut], atol=1e-5)
    assert not torch.allclose(one[:, cut + 1 :], another[:, cut + 1 :], atol=1e-3)


@torch.no_grad()
def test_a_latent_frame_sees_all_of_itself(leds):
    led, codes = leds["masked"], random_codes(leds["masked"])
    other = codes.clone()
    other[:, 3] = (other[:, 3] + 1) % 12
    one, another = (led.reach(some, led.begin())[0] for some in (codes, other))
    assert not torch.allclose(one[:, 0], another[:, 0], atol=1e-3)


@every_order
@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 3 * 4 - 1), max_size=4, unique=True).map(sorted))
@torch.no_grad()
def test_with_a_cache_the_same_is_found_out(order, leds, cuts):
    led, codes = leds[order], random_codes(leds[order])
    if order == "masked":
        cuts = sorted({4 * -(-cut // 4) for cut in cuts} - {12})
    whole, _ = led.reach(codes, led.begin())
    past, parts = led.begin(), []
    for cut in (*cuts, 12):
        found, past = led.reach(codes[:, :cut], past)
        parts.append(found)
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-4)


@torch.no_grad()
def test_a_past_that_is_cut_is_that_of_fewer_cells(leds):
    led, codes = leds["masked"], random_codes(leds["masked"])
    _, long = led.reach(codes, led.begin())
    _, short = led.reach(codes[:, :4], led.begin())
    assert long.cut(4).cells == short.cells == 4
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(long.cut(4).blocks, short.blocks, strict=True))


@torch.no_grad()
def test_all_latent_frames_are_learnt_as_each_is_made(leds):
    """In one pass beside the truth, or masked and after the truth alone."""
    predictor = leds["masked"].predictor
    codes, text = random_codes(leds["masked"]), leds["masked"].text[:2]
    hidden = torch.rand(codes.shape, generator=torch.Generator().manual_seed(3)) < 0.5
    blind = codes.masked_fill(hidden, predictor.unknown)
    _, past = predictor(codes, predictor.begin(text))
    together = predictor.beside(blind, past)
    for frame in range(GRID):
        before, own = codes[:, : 4 * frame], blind[:, 4 * frame : 4 * frame + 4]
        alone, _ = predictor(torch.cat([before, own], dim=1), predictor.begin(text))
        assert torch.allclose(together[:, 4 * frame : 4 * frame + 4], alone[:, -4:], atol=1e-4)


@torch.no_grad()
def test_codes_of_a_cell_follow_one_another_as_they_are_learnt(leds):
    led, codes = leds["raster"], random_codes(leds["raster"])
    alone = Led(led.predictor, led.text[:2], led.text[2:], dtype=torch.float32)
    found, _ = alone.reach(codes, alone.begin())
    said = led.predictor.said(codes, led.rows)
    earlier = said.cumsum(dim=2) - said
    whole = led.predictor.logits(led.predictor.features(found[:, :, None] + earlier), led.rows)
    for group in range(3):
        assert torch.allclose(alone.next_logits(found, codes[..., :group]), whole[:, :, group], atol=1e-4)


@torch.no_grad()
def test_known_pixels_are_told_to_every_latent_frame(leds):
    led = leds["masked"]
    empty = torch.zeros(2, GRID, SIDE, SIDE, 4096)
    last = empty.clone()
    last[:, -1] = 1.0
    none, some = led.predictor.canvas(empty), led.predictor.canvas(last)
    assert not none.any()
    assert some.abs().amin(dim=(0, 2)).min() > 0


# Decoding


def normals_of(seeds):
    return lambda number, shape: torch.stack([Noise(seed).normal("codes", number, shape) for seed in seeds])


def decoded(order, led, seeds=(0, 1), known=None, steps=3):
    blank = torch.full_like(random_codes(led), led.predictor.unknown)
    with torch.no_grad():
        return list(
            transformer.DECODERS[order](led, blank if known is None else known, normals_of(seeds), steps)
        )


@every_order
def test_codes_are_made_one_after_another_and_what_is_known_stays(order, leds):
    led, codes = leds[order], random_codes(leds[order])
    unknown = led.predictor.unknown
    known = codes.clone()
    known[:, 4:], known[1] = unknown, unknown  # of the first clip the first latent frame is known
    states = decoded(order, led, known=known)
    counts = torch.stack([(state != unknown).sum() for state in (known, *states)])
    assert bool((counts.diff() >= 0).all())
    assert counts[-1] == codes.numel()
    assert torch.equal(states[-1][0, :4], codes[0, :4])
    for before, after in pairwise(states):
        assert bool(((before == unknown) | (before == after)).all())


@every_order
def test_the_seed_decides_over_the_codes_and_clips_do_not_meet(order, leds):
    led = leds[order]
    one, again, other = (decoded(order, led, seeds)[-1] for seeds in ((0, 1), (0, 1), (0, 2)))
    assert torch.equal(one, again)
    assert torch.equal(one[0], other[0])
    assert not torch.equal(one[1], other[1])


@every_order
@pytest.mark.parametrize("given_cells", [0, 4, 8])
def test_decoding_evaluates_no_cell_more_often_than_it_must(order, leds, given_cells, monkeypatch):
    led = leds[order]
    evaluated = []
    run = led.predictor._run
    counted = lambda x, *rest: (evaluated.append(x.shape[1]), run(x, *rest))[1]  # noqa: E731
    monkeypatch.setattr(led.predictor, "_run", counted)
    known = random_codes(led)
    known[:, given_cells:] = led.predictor.unknown
    decoded(order, led, known=known, steps=2)
    # a latent frame is evaluated in each of two steps, and again as the past, except for the last
    made = 12 - given_cells
    assert sum(evaluated) == (12 if order == "raster" else given_cells + 3 * made - 4)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.1, 0.25, 0.5, 0.9, 1.0]))
def test_a_step_keeps_what_is_known_and_leaves_as_many_masked_as_are_due(seed, share):
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(12, (3, 5, 4), generator=draw)
    codes[torch.rand(codes.shape, generator=draw) < 0.8] = 12
    codes[0], codes[1] = 12, codes[1] % 12  # all masked, none masked
    made = unmasked(
        codes,
        torch.randn(3, 5, 4, 12, generator=draw),
        torch.randn(3, 2, 5, 4, generator=draw),
        share,
    )
    assert torch.equal(made[codes < 12], codes[codes < 12])
    left = int(torch.floor(torch.cos(torch.tensor(torch.pi / 2 * share)) * 20 + 1e-6))
    before, after = ((values == 12).flatten(1).sum(dim=1) for values in (codes, made))
    assert torch.equal(after, before.clamp(max=left))


def test_codes_are_picked_as_often_as_they_are_likely():
    chances = torch.tensor([0.5, 0.0, 0.3, 0.2])
    normals = Noise(0).normal("codes", 0, (20_000,))
    codes = picked(chances.log().expand(20_000, -1), normals)
    assert torch.allclose(codes.bincount(minlength=4) / 20_000, chances, atol=0.02)
    assert codes.bincount(minlength=4)[1] == 0


def test_gumbel_noise_of_normal_numbers():
    noise = gumbel(torch.cat([Noise(0).normal("codes", 0, (20_000,)), torch.tensor([-9.0, 5.0, 9.0])]))
    assert bool(noise.isfinite().all())
    assert noise.mean() == pytest.approx(0.5772, abs=0.05)
    assert noise.std() == pytest.approx(1.2825, abs=0.05)


# The model


@every_order
def test_the_shipped_size_fits_into_four_megabytes(order):
    with torch.device("meta"):
        networks = TransformerNetworks(TransformerConfig(tuple(map(str, range(170))), order=order))
    own = sum(parameter.numel() for _, parameter in networks.learning())
    assert 1_700_000 < own < 1_950_000


def test_an_order_that_there_is_not_is_refused(tmp_path):
    networks = networks_of("raster")()
    save_latent_family(tmp_path / "model", networks)
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"raster"', '"spiral"'))
    with pytest.raises(ModelError, match="config"):
        transformer.load(tmp_path / "model")


def test_each_order_claims_what_it_can():
    masked_spec, raster_spec = (transformer.FAMILY.spec_of("tiny", networks_of(o)().config) for o in ORDERS)
    assert raster_spec.abilities < masked_spec.abilities
    assert transformer.FAMILY.name == masked_spec.family == "transformer"
    assert isinstance(transformer.FAMILY, prompted.LatentFamily)
