"""Laws of sampling, against distributions whose velocity is known exactly. No network takes part.

For data x ~ N(m, s^2) and noise e ~ N(0, 1), z = t x + (1 - t) e is normal with mean t m and variance
S = t^2 s^2 + (1 - t)^2, and v(z, t) = E[x - e | z] = m + (t s^2 - (1 - t)) / S (z - t m). The velocity of a
mixture is the average of its parts', weighted by how likely each part is given z. The flow carries a quantile
of the noise to the same quantile of the data.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.sampling.guidance import guided
from kineograph.sampling.noise import Noise, NoiseBetween
from kineograph.sampling.rollout import spans_of
from kineograph.sampling.schedules import times
from kineograph.sampling.solvers import SOLVERS, evaluations

STANDARD = torch.distributions.Normal(0.0, 1.0)
ORDERS = {"euler": 1, "heun": 2, "multistep": 2}


@dataclass(frozen=True)
class Normals:
    """A mixture of normal distributions and the flow from noise to it."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def velocity(self, z, time):
        m, s = torch.tensor(self.means).to(z), torch.tensor(self.deviations).to(z)
        variance = time**2 * s**2 + (1 - time) ** 2
        off = z[:, None] - time * m
        likely = torch.softmax(
            torch.tensor(self.weights).to(z).log() - off**2 / (2 * variance) - variance.log() / 2, dim=1
        )
        return (likely * (m + (time * s**2 - (1 - time)) / variance * off)).sum(dim=1)

    def quantiles(self, z):
        """The share of the data below z."""
        off = (z[:, None] - torch.tensor(self.means).to(z)) / torch.tensor(self.deviations).to(z)
        return (STANDARD.cdf(off) * torch.tensor(self.weights).to(z)).sum(dim=1)


ONE = Normals((1.0,), (1.5,), (0.4,))
TWO = Normals((0.3, 0.7), (-1.5, 1.0), (0.3, 0.5))
START = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64)


def solve(solver, velocity, steps, shift=1.0, start=START):
    *_, end = SOLVERS[solver](velocity, start, times(steps, shift))
    return end


# Solvers


def test_every_solver_is_tested():
    assert set(ORDERS) == set(SOLVERS)


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_normal_distribution_is_reached(solver):
    exact = ONE.means[0] + ONE.deviations[0] * START
    assert (solve(solver, ONE.velocity, 200) - exact).abs().max() < (0.02 if ORDERS[solver] == 1 else 1e-3)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("solver", SOLVERS)
def test_two_normal_distributions_are_reached_quantile_by_quantile(solver, shift):
    reached = TWO.quantiles(solve(solver, TWO.velocity, 400, shift))
    assert (reached - STANDARD.cdf(START)).abs().max() < (0.01 if ORDERS[solver] == 1 else 1e-3)


@pytest.mark.parametrize(("solver", "order"), ORDERS.items())
def test_halving_the_steps_divides_the_error_by_two_to_the_order(solver, order):
    exact = ONE.means[0] + ONE.deviations[0] * START
    errors = [float((solve(solver, ONE.velocity, n) - exact).abs().max()) for n in (40, 80, 160, 320)]
    found = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert found[-1] == pytest.approx(order, abs=0.15), found


@pytest.mark.parametrize(("solver", "order"), ORDERS.items())
def test_the_order_holds_for_uneven_steps(solver, order):
    finest = solve("heun", TWO.velocity, 4000, shift=2.0)
    errors = [float((solve(solver, TWO.velocity, n, shift=2.0) - finest).abs().mean()) for n in (160, 320)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_last_step_is_eulers(solver):
    at = times(5, shift=4.0)
    *_, before, end = SOLVERS[solver](TWO.velocity, START, at)
    assert torch.allclose(end, before + (at[-1] - at[-2]) * TWO.velocity(before, at[-2]))


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_straight_way_is_solved_exactly_in_any_number_of_steps(solver, steps):
    assert torch.allclose(solve(solver, lambda z, _: torch.full_like(z, 2.0), steps), START + 2)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("solver", SOLVERS)
def test_evaluations_are_what_is_promised_and_none_is_at_the_end(solver, steps):
    asked = []

    def velocity(z, time):
        asked.append(time)
        return z

    states = list(SOLVERS[solver](velocity, START, times(steps)))
    assert len(states) == steps
    assert len(asked) == evaluations(solver, steps)
    assert max(asked) < 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_start_is_left_as_it_is_and_elements_do_not_mix(solver):
    start = START.clone()
    whole = solve(solver, TWO.velocity, 8, start=start)
    assert torch.equal(start, START)
    assert torch.allclose(solve(solver, TWO.velocity, 8, start=START[5:6]), whole[5:6])


# Guidance


def both(z, time):
    return TWO.velocity(z, time), ONE.velocity(z, time)


def never(z, time):
    raise AssertionError("was not to be evaluated")


@pytest.mark.parametrize("time", [0.0, 0.3, 0.9])
def test_without_a_scale_it_is_the_plain_velocity_at_its_plain_cost(time):
    assert torch.equal(guided(TWO.velocity, never, None, (0, 1))(START, time), TWO.velocity(START, time))


@pytest.mark.parametrize("time", [0.0, 0.29, 0.81, 0.99])
def test_outside_the_interval_it_is_the_plain_velocity_at_its_plain_cost(time):
    assert torch.equal(
        guided(TWO.velocity, never, torch.full_like(START, 4.0), (0.3, 0.8))(START, time),
        TWO.velocity(START, time),
    )


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0.3, 0.8))
def test_inside_it_is_linear_in_the_scale_of_each_row(one, other, time):
    with_prompt, without = both(START, time)
    scales = torch.linspace(one, other, len(START), dtype=START.dtype)
    expected = (1 - scales) * without + scales * with_prompt
    assert torch.allclose(guided(never, both, scales, (0.3, 0.8))(START, time), expected)


# Schedules


@given(st.integers(1, 500), st.floats(0.1, 20))
def test_times_rise_from_noise_to_data(steps, shift):
    found = times(steps, shift)
    assert len(found) == steps + 1
    assert (found[0], found[-1]) == (0, 1)
    assert all(now < then for now, then in pairwise(found))


@given(st.integers(1, 500))
def test_without_shift_times_are_even(steps):
    assert times(steps) == [step / steps for step in range(steps + 1)]


@given(st.integers(2, 100), st.floats(1.1, 10))
def test_a_shift_spends_more_steps_near_the_noise(steps, shift):
    assert all(
        moved < even for moved, even in zip(times(steps, shift)[1:-1], times(steps)[1:-1], strict=True)
    )


# Noise

keys = st.tuples(st.sampled_from(["window 0", "window 1", "train"]), st.integers(0, 50))


@settings(max_examples=25)
@given(st.integers(0, 2**63 - 1), st.lists(keys, min_size=1, max_size=6, unique=True), st.randoms())
def test_a_draw_depends_on_its_key_alone(seed, wanted, random):
    first = {key: Noise(seed).normal(*key, (3, 4)) for key in wanted}
    shuffled = random.sample(wanted, len(wanted))
    noise = Noise(seed)
    assert all(torch.equal(noise.normal(*key, (3, 4)), first[key]) for key in shuffled)
    assert len({tuple(drawn.flatten().tolist()) for drawn in first.values()}) == len(wanted)


@pytest.mark.parametrize("other", [(7, "b", 0), (7, "a", 1), (8, "a", 0)])
def test_draws_of_different_seeds_names_and_positions_are_independent(other):
    count = 20_000
    one = Noise(7).normal("a", 0, (count,))
    two = Noise(other[0]).normal(other[1], other[2], (count,))
    assert abs(float(torch.corrcoef(torch.stack([one, two]))[0, 1])) < 4 / math.sqrt(count)


def test_draws_are_standard_normal():
    drawn = Noise(3).normal("a", 0, (50_000,)).sort().values
    even = (torch.arange(50_000) + 0.5) / 50_000
    assert (STANDARD.cdf(drawn) - even).abs().max() < 1.63 / math.sqrt(50_000)  # Kolmogorov-Smirnov, 1%


def test_generators_are_keyed_too():
    first, again, other = (Noise(1).generator("train", index) for index in (4, 4, 5))
    drawn = [torch.rand(8, generator=generator) for generator in (first, again, other)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_draw_stays_the_same_from_version_to_version():
    """The seed in a job record must make the same clip later."""
    assert Noise(0).normal("window 0", 0, (3,)).tolist() == pytest.approx(
        [1.213766, 0.733912, 1.811503], abs=1e-6
    )


# Rolling out


@given(
    length=st.integers(1, 200), window=st.integers(2, 33), context=st.integers(1, 32), backwards=st.booleans()
)
def test_windows_make_every_frame_once_and_share_what_they_should(length, window, context, backwards):
    context = min(context, window - 1)
    spans = spans_of(length, window, context, backwards=backwards)
    added = [frame for span in spans for frame in range(span.first, span.last)]
    assert sorted(added) == list(range(length))
    for before, after in pairwise(spans):
        assert abs(after.start - before.start) == window - context
        assert (after.start < before.start) == backwards
    for span in spans:
        assert span.start <= span.first < span.last <= span.start + window


@given(st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_noise_on_the_way_between_two_seeds_is_as_strong_as_theirs(share, seed):
    noise = NoiseBetween(Noise(seed), Noise(seed + 1), share).normal("a", 0, (20_000,))
    assert abs(float(noise.mean())) < 0.04
    assert float(noise.std()) == pytest.approx(1, abs=0.04)


def test_a_walk_of_noise_begins_and_ends_at_its_seeds():
    ends = [NoiseBetween(Noise(1), Noise(2), share).normal("a", 3, (50,)) for share in (0.0, 1.0)]
    assert torch.equal(ends[0], Noise(1).normal("a", 3, (50,)))
    assert torch.allclose(ends[1], Noise(2).normal("a", 3, (50,)), atol=1e-6)
