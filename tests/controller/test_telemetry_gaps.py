"""What nobody measured is filled with how far it may be off: in time by a local level, in space by Y = R X."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import InvalidInputError
from controller.telemetry.gaps import constrain_loads, fill_short_gaps

TICKS, COUNT = 400, 200


def local_levels(wandering, noise, seed=1):
    random = np.random.default_rng(seed)
    level = 100 + (wandering * random.normal(size=(TICKS, COUNT))).cumsum(axis=0)
    return level + noise * random.normal(size=(TICKS, COUNT))


def holed(values, length):
    """One gap of that length in each forty ticks."""
    return np.where((np.arange(TICKS) % 40 >= 20) & (np.arange(TICKS) % 40 < 20 + length), np.nan, values.T).T


@pytest.mark.parametrize("wandering,noise", [(1.0, 0.2), (0.3, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("length", [1, 3, 6])
def test_a_gap_is_filled_as_well_as_it_says(wandering, noise, length):
    values = local_levels(wandering, noise)
    filled = fill_short_gaps(holed(values, length), longest=6)
    assert filled.imputed.sum() == COUNT * TICKS // 40 * length
    off = (filled.values - values)[filled.imputed] / filled.deviations[filled.imputed]
    assert np.mean(np.abs(off) < 1.645) == pytest.approx(0.9, abs=0.03)


def test_a_gap_is_filled_better_than_by_the_last_value():
    values = local_levels(0.3, 1.0)
    filled = fill_short_gaps(holed(values, 3), longest=3)
    last = values[np.arange(TICKS) // 40 * 40 + 19]
    ours, naive = ((one - values)[filled.imputed] for one in (filled.values, last))
    assert np.sqrt(np.mean(ours**2)) < 0.85 * np.sqrt(np.mean(naive**2))


def test_a_long_gap_and_a_series_that_was_never_heard_stay_unknown():
    values = holed(local_levels(1, 1), 7)
    values[:, 0] = np.nan
    filled = fill_short_gaps(values, longest=6)
    assert not filled.imputed.any()
    assert np.isnan(filled.values[20:27]).all()


def test_the_middle_of_a_gap_is_known_least():
    deviations = fill_short_gaps(holed(local_levels(1, 0.2), 5), longest=5).deviations[20:25]
    assert (np.argmax(deviations, axis=0) == 2).all()


def test_what_was_measured_stays_as_it_was():
    values = holed(local_levels(1, 1), 3)
    filled = fill_short_gaps(values, longest=3)
    known = np.isfinite(values)
    assert np.array_equal(filled.values[known], values[known])
    assert not filled.deviations[known].any()


@given(st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(float("nan"))), min_size=1, max_size=40), st.integers(0, 10))
def test_whatever_is_missing_what_is_filled_is_finite_and_has_a_deviation(values, longest):
    filled = fill_short_gaps(np.array(values)[:, None], longest)
    assert np.isfinite(filled.values[filled.imputed]).all()
    assert (filled.deviations[filled.imputed] > 0).all()


def network(seed):
    """Twelve links that carry eight demands, each over three of them, and what each carries."""
    random = np.random.default_rng(seed)
    routing = np.zeros((12, 8))
    for demand in range(8):
        routing[random.choice(12, 3, replace=False), demand] = 1.0
    prior = random.uniform(50, 200, 8)
    demands = np.maximum(prior + 20 * random.normal(size=8), 0)
    return random, routing, prior, routing @ demands


def test_links_that_are_not_heard_follow_from_the_others_as_well_as_they_say():
    off, naive = [], []
    for seed in range(300):
        random, routing, prior, loads = network(seed)
        told = loads + random.normal(size=12)
        told[[0, 5]] = np.nan
        made = constrain_loads(routing, told, prior, np.full(8, 20.0), 1.0)
        assert made.loads.imputed.tolist() == [link in {0, 5} for link in range(12)]
        off += [(made.loads.values[link] - loads[link]) / made.loads.deviations[link] for link in (0, 5)]
        naive += [(routing[link] @ prior - loads[link]) / made.loads.deviations[link] for link in (0, 5)]
    assert np.mean(np.abs(off) < 1.645) > 0.87
    assert np.sqrt(np.mean(np.square(off))) < 1.1
    assert np.sqrt(np.mean(np.square(off))) < 0.5 * np.sqrt(np.mean(np.square(naive)))


def test_a_sensor_that_lies_surprises_most():
    found = 0
    for seed in range(100):
        random, routing, prior, loads = network(seed)
        liar = int(np.argmax(routing.sum(axis=1)))
        told = loads + random.normal(size=12)
        told[liar] *= 0.5
        made = constrain_loads(routing, told, prior, np.full(8, 20.0), 1.0)
        found += int(np.argmax(np.abs(made.surprise)) == liar)
    assert found > 60


def test_an_honest_network_surprises_as_often_as_chance():
    surprises = []
    for seed in range(200):
        random, routing, prior, loads = network(seed)
        told = loads + random.normal(size=12)
        surprises += list(constrain_loads(routing, told, prior, np.full(8, 20.0), 1.0).surprise)
    assert np.std(surprises) == pytest.approx(1, abs=0.1)


def test_with_nothing_heard_the_prior_stands_with_its_doubt():
    _, routing, prior, _ = network(3)
    made = constrain_loads(routing, np.full(12, np.nan), prior, np.full(8, 20.0), 1.0)
    assert np.allclose(made.demands, prior)
    assert np.allclose(made.demand_deviations, 20)


def test_what_does_not_fit_is_refused_with_the_remedy():
    _, routing, prior, loads = network(3)
    with pytest.raises(InvalidInputError, match="a load of each link"):
        constrain_loads(routing, loads[:3], prior, np.full(8, 20.0), 1.0)
    with pytest.raises(InvalidInputError, match="not positive"):
        constrain_loads(routing, loads, prior, np.zeros(8), 1.0)
