"""The recent past of every series is kept in bounded memory, aligned, and nothing lies about where it is from."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.telemetry.sample import Problem, Provenance, Sample, SeriesKey, imputed
from controller.telemetry.store import SeriesStore

INTERVAL = 10.0
START = 1_790_000_000.0


def key(number):
    return SeriesKey(DeviceName(f"p{number}"), "in-octets", "ge-0")


def sample(tick, value, *, series=0, jitter=0.0, **more):
    time = START + INTERVAL * tick + jitter
    return Sample(key(series), time, time + 0.25, value, **more)


def test_a_sample_comes_back_as_it_was():
    store = SeriesStore(INTERVAL, 6)
    put = sample(0, 3.5, quality=0.5, provenance=Provenance.PUSHED, problems=(Problem.GAP, Problem.SKEW))
    assert store.put(put)
    assert store.samples(key(0), START, START) == [put]


def test_series_are_aligned_whatever_their_phase_and_jitter():
    store, random = SeriesStore(INTERVAL, 50), np.random.default_rng(1)
    phases = random.uniform(0, INTERVAL, 100)
    for tick in range(50):
        for series, phase in enumerate(phases):
            store.put(sample(tick, tick, series=series, jitter=phase + (tick > 0) * random.uniform(-4.9, 4.9)))
    table = store.table([key(series) for series in range(100)], 40)
    assert np.isfinite(table).all()
    assert (np.diff(table, axis=0) == 1).all()


def test_only_the_last_ticks_are_kept_and_what_is_older_is_not_taken():
    store = SeriesStore(INTERVAL, 5)
    assert all(store.put(sample(tick, tick)) for tick in range(12))
    assert store.table([key(0)], 5)[:, 0].tolist() == [7, 8, 9, 10, 11]
    assert not store.put(sample(6, 6))
    assert [one.value for one in store.samples(key(0), 0, START * 2)] == [7, 8, 9, 10, 11]


def test_what_is_missing_or_worth_nothing_is_not_a_number_in_a_table():
    store = SeriesStore(INTERVAL, 4)
    for one in (sample(0, 1.0), sample(2, 5.0, quality=0.0), sample(3, 4.0)):
        store.put(one)
    assert np.array_equal(store.table([key(0)], 4)[:, 0], [1, np.nan, np.nan, 4], equal_nan=True)


def test_imputed_values_are_marked_never_billable_and_never_cover_what_was_measured():
    store = SeriesStore(INTERVAL, 3)
    for tick in (0, 2):
        store.put(sample(tick, 1.0 + tick))
    assert store.put(imputed(key(0), START + INTERVAL, 2.0, 0.5))
    assert not store.put(imputed(key(0), START + 2 * INTERVAL, 9.0, 0.5))
    assert store.table([key(0)], 3)[:, 0].tolist() == [1, 2, 3]
    assert store.imputed([key(0)], 3)[:, 0].tolist() == [False, True, False]
    assert np.array_equal(store.table([key(0)], 3, billable=True)[:, 0], [1, np.nan, 3], equal_nan=True)
    assert store.put(sample(1, 2.5)), "a value that came late takes the place of the imputed one"
    assert store.table([key(0)], 3, billable=True)[:, 0].tolist() == [1, 2.5, 3]


def test_a_duplicate_without_value_does_not_cover_the_value():
    store = SeriesStore(INTERVAL, 3)
    store.put(sample(0, 1.0))
    assert not store.put(sample(0, float("nan"), problems=(Problem.DUPLICATE,)))
    assert store.table([key(0)], 1)[0, 0] == 1


@pytest.mark.parametrize("marked", [True, False])
def test_a_feed_dated_into_the_future_does_not_push_out_the_past(marked):
    store = SeriesStore(INTERVAL, 4)
    for tick in range(4):
        store.put(sample(tick, tick))
    lie = sample(4, 4.0)
    store.put(replace(lie, source_time=START * 1.1, problems=(Problem.SKEW,) if marked else ()))
    assert store.table([key(0)], 4)[:, 0].tolist() == [1, 2, 3, 4]


def test_a_series_that_is_dropped_leaves_its_room_to_another():
    store = SeriesStore(INTERVAL, 2)
    for series in range(3):
        store.put(sample(0, series, series=series))
    store.drop(key(1))
    store.drop(key(1))
    store.put(sample(0, 7.0, series=9))
    assert store.keys == (key(0), key(2), key(9))
    assert store.table(store.keys, 1)[0].tolist() == [0, 2, 7]
    with pytest.raises(InvalidInputError, match="no series 'p1/ge-0/in-octets'"):
        store.table([key(1)], 1)


def test_what_cannot_be_kept_or_shown_is_refused():
    with pytest.raises(InvalidInputError, match="keep nothing"):
        SeriesStore(0, 4)
    with pytest.raises(InvalidInputError, match="5 ticks are asked of 4"):
        SeriesStore(INTERVAL, 4).table([], 5)


@given(st.lists(st.tuples(st.one_of(st.floats(), st.floats(0, 500)), st.integers(0, 3), st.floats()), max_size=60))
def test_whatever_comes_in_memory_is_bounded_and_tables_have_their_shape(fed):
    store = SeriesStore(INTERVAL, 7)
    for time, series, value in fed:
        store.put(Sample(key(series), time, 250.0, value))
    keys = store.keys
    assert store.table(keys, 7).shape == (7, len(keys))
    for one in keys:
        assert len(store.samples(one, -1e300, 1e300)) <= 7


@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 300), st.integers(0, 8), st.floats(-10, 10), st.booleans()), max_size=12),
        max_size=12,
    )
)
def test_samples_that_come_together_are_kept_as_those_that_come_one_by_one(batches):
    together, singly = SeriesStore(INTERVAL, 5), SeriesStore(INTERVAL, 5)
    for batch in batches:
        made = [
            Sample(key(series), time, time + late, value, problems=(Problem.SKEW,) if odd else ())
            for value, (time, series, late, odd) in enumerate(batch)
        ]
        together.put_all(made)
        for one in made:
            singly.put(one)
    assert together.keys == singly.keys
    for one in singly.keys:
        assert together.samples(one, -1e300, 1e300) == singly.samples(one, -1e300, 1e300)
