"""Readings are judged: corrupted, delayed, missing and lying feeds are found, scored, and stop autonomous action."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.identifiers import DeviceName
from controller.telemetry.contradictions import LinkWitnesses
from controller.telemetry.quality import FLOOR, LEAVES, Expectation, Score, SeriesJudge, objective_score, refusal
from controller.telemetry.rates import rate
from controller.telemetry.sample import Problem, Provenance, Reading, Sample, SeriesKey, derived, imputed

KEY = SeriesKey(DeviceName("pe1"), "in-octets", "ge-0/0/0")
INTERVAL, SPEED = 10.0, 1.25e8
COUNTER = Expectation(INTERVAL, highest=SPEED, counter_bits=64, frozen_after=4)
GAUGE = Expectation(INTERVAL, lowest=0, highest=100)
START = 1_790_000_000.0


def reading(tick, value, *, late=0.1, provenance=Provenance.POLLED, discontinuity=None):
    time = START + INTERVAL * tick
    return Reading(KEY, time, time + late, value, provenance, discontinuity)


def counting(judge, ticks, *, begin=0, each=1e7):
    return [judge.judge(reading(tick, tick * each)) for tick in range(begin, begin + ticks)]


def at(tick):
    return START + INTERVAL * tick + 0.2


def test_a_steady_counter_becomes_a_rate_of_full_quality():
    judge = SeriesJudge(COUNTER)
    first, *others = counting(judge, 10)
    assert math.isnan(first.value)
    assert not first.counts_for_billing
    assert [sample.value for sample in others] == [1e6] * 9
    assert all(sample.quality == 1 and not sample.problems for sample in others)
    assert judge.score(at(9), KEY) == Score(KEY, 1.0)


def test_a_wrapped_counter_of_32_bits_goes_on_and_a_reset_one_begins_anew():
    top = 2.0**32
    assert rate(top - 5e6, 5e6, 10, bits=32, highest=SPEED, usual=1e6) == (pytest.approx(1e6), (Problem.WRAP,))
    value, problems = rate(1e9, 3e6, 10, bits=32, highest=SPEED, usual=1e6)
    assert math.isnan(value)
    assert problems == (Problem.RESET,)


def test_a_count_that_went_down_has_wrapped_only_if_what_it_then_counted_is_usual():
    went = (4e9, 3e6, 10)
    assert rate(*went, bits=32, highest=SPEED, usual=1e7)[1] == (Problem.WRAP,)
    assert rate(*went, bits=32, highest=SPEED, usual=1e6)[1] == (Problem.RESET,)


def test_a_counter_of_64_bits_wraps_too():
    assert rate(2.0**64 - 1e7, 1e7, 10, highest=SPEED)[1] == (Problem.WRAP,)


def test_a_source_that_says_that_it_began_anew_is_believed_even_when_the_count_went_up():
    judge = SeriesJudge(COUNTER)
    judge.judge(reading(0, 1e6, discontinuity=1.0))
    sample = judge.judge(reading(1, 2e6, discontinuity=START))
    assert sample.problems == (Problem.RESET,)
    assert math.isnan(sample.value)


def test_a_32_bit_counter_that_may_go_round_twice_between_polls_is_below_the_floor():
    value, problems = rate(1e6, 2e6, 10, bits=32, highest=1.25e9)
    assert value == 1e5
    assert problems == (Problem.AMBIGUOUS,)
    assert LEAVES[Problem.AMBIGUOUS] < FLOOR


def test_one_reset_leaves_a_series_above_the_floor():
    judge = SeriesJudge(COUNTER)
    counting(judge, 8)
    assert judge.judge(reading(8, 5.0)).problems == (Problem.RESET,)
    assert judge.score(at(8), KEY).value > FLOOR
    assert judge.judge(reading(9, 1e7 + 5)).value == pytest.approx(1e6)


def test_what_comes_twice_makes_no_rate_and_costs_the_series_nothing():
    judge = SeriesJudge(COUNTER)
    counting(judge, 5)
    again = judge.judge(reading(4, 4e7))
    assert again.problems == (Problem.DUPLICATE,)
    assert not again.is_usable
    assert judge.score(at(4), KEY).value == 1
    assert judge.judge(reading(5, 5e7)).value == 1e6


def test_a_missing_feed_is_a_gap_when_it_comes_back_and_stale_until_then():
    judge = SeriesJudge(COUNTER)
    counting(judge, 5)
    scores = [judge.score(at(tick), KEY).value for tick in range(4, 12)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1
    assert scores[-1] == 0
    assert Problem.STALE in judge.score(at(7), KEY).problems
    back = judge.judge(reading(12, 12e7))
    assert back.problems == (Problem.GAP,)
    assert back.value == 1e6, "the mean over the gap is known from a counter"
    assert judge.score(at(12), KEY).value < FLOOR, "seven readings were missed"


def test_a_delayed_feed_is_stale():
    judge = SeriesJudge(COUNTER)
    for tick in range(10):
        sample = judge.judge(reading(tick, tick * 1e7, late=80.0, provenance=Provenance.PUSHED))
    assert sample.problems == (Problem.STALE,)
    assert judge.score(at(9) + 80, KEY).value < FLOOR


def test_what_arrives_out_of_order_makes_no_rate_but_a_gauge_still_was_so():
    counter, gauge = SeriesJudge(COUNTER), SeriesJudge(GAUGE)
    for judge in (counter, gauge):
        for tick in (0, 1, 3):
            judge.judge(reading(tick, tick * 10.0, provenance=Provenance.PUSHED))
    late = [judge.judge(reading(2, 20.0, late=12, provenance=Provenance.PUSHED)) for judge in (counter, gauge)]
    assert [Problem.STALE in sample.problems for sample in late] == [True, True]
    assert [sample.is_usable for sample in late] == [False, True]


def test_a_frozen_series_is_found_once_it_has_moved_and_one_that_may_rest_is_not():
    judge, resting = SeriesJudge(COUNTER), SeriesJudge(Expectation(INTERVAL, counter_bits=64))
    for one in (judge, resting):
        counting(one, 5)
        found = [one.judge(reading(tick, 4e7)) for tick in range(5, 12)]
        frozen = [Problem.FROZEN in sample.problems for sample in found]
        assert frozen == ([False] * 3 + [True] * 4 if one is judge else [False] * 7)
    assert judge.score(at(11), KEY).value < FLOOR < resting.score(at(11), KEY).value


@pytest.mark.parametrize("offset", [-300.0, 300.0])
def test_a_clock_that_is_wrong_is_found_and_rates_follow_ours(offset):
    judge = SeriesJudge(COUNTER)
    counting(judge, 5)
    for tick in range(5, 9):
        time = START + INTERVAL * tick
        sample = judge.judge(Reading(KEY, time + offset, time + 0.1, tick * 1e7))
        assert Problem.SKEW in sample.problems
        assert sample.value == pytest.approx(1e6, rel=0.02)
    back = judge.judge(reading(9, 9e7))
    assert back.problems == ()
    assert back.value == pytest.approx(1e6, rel=0.02)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 2.0**64, 9e17])
def test_impossible_counts_are_worth_nothing_and_the_series_goes_on(value):
    judge = SeriesJudge(COUNTER)
    counting(judge, 5)
    sample = judge.judge(reading(5, value))
    assert Problem.IMPOSSIBLE in sample.problems
    assert sample.quality == 0
    assert not sample.counts_for_billing
    assert judge.score(at(5), KEY).value < 1
    counting(judge, 12, begin=6)
    assert judge.score(at(17), KEY).value > 0.95


@pytest.mark.parametrize("value", [-0.1, 100.1])
def test_a_gauge_out_of_its_bounds_is_impossible(value):
    assert SeriesJudge(GAUGE).judge(reading(0, value)).problems == (Problem.IMPOSSIBLE,)


def test_a_series_that_never_spoke_is_worth_nothing():
    assert SeriesJudge(COUNTER).score(START, KEY) == Score(KEY, 0.0, (Problem.STALE,))


def test_a_contradicted_series_falls_below_the_floor_at_once_and_comes_back():
    judge = SeriesJudge(COUNTER)
    counting(judge, 5)
    judge.contradict(contradicted=True)
    assert judge.score(at(4), KEY).value < FLOOR
    assert Problem.CONTRADICTED in judge.judge(reading(5, 5e7)).problems
    judge.contradict(contradicted=False)
    counting(judge, 8, begin=6)
    assert judge.score(at(13), KEY).value > 0.9


def ends(out_rate, in_rate, ticks=12, probes=None):
    watch, random = LinkWitnesses(1), np.random.default_rng(1)
    for _ in range(ticks):
        wobble = random.normal(1, 0.03, 2)
        sent, lost = (None, None) if probes is None else (np.array([float(count)]) for count in probes)
        found = watch.step(np.array([out_rate]) * wobble[0], np.array([in_rate]) * wobble[1], sent, lost)
    return bool(found[0])


def test_ends_of_a_link_that_agree_but_for_the_moment_of_reading_are_believed():
    assert not ends(1e6, 1.02e6)


def test_more_cannot_come_out_of_a_link_than_went_in():
    assert ends(1e6, 1.5e6)


def test_what_went_in_and_did_not_come_out_is_a_lie_unless_probes_lose_as_much():
    assert ends(1e6, 0.8e6)
    assert ends(1e6, 0.8e6, probes=(200, 0))
    assert not ends(1e6, 0.8e6, probes=(200, 40))


def test_probes_that_lose_what_no_counter_misses_contradict_the_counters():
    assert ends(1e6, 1e6, probes=(200, 60))
    assert not ends(1e6, 1e6, probes=(200, 2))


def test_few_probes_prove_little_and_an_idle_or_unheard_link_nothing():
    assert not ends(1e6, 0.9e6, probes=(3, 0))
    assert not ends(10, 500)
    assert not ends(float("nan"), 1e6)


def test_a_liar_among_many_links_is_the_only_one_found():
    watch = LinkWitnesses(1000)
    random = np.random.default_rng(2)
    true = random.uniform(1e5, 1e8, 1000)
    found = []
    for _ in range(40):
        told = true * random.normal(1, 0.03, 1000)
        told[7] *= 0.5
        found.append(watch.step(true * random.normal(1, 0.03, 1000), told))
    assert found[-1][7]
    assert np.mean(np.delete(found, 7, axis=1)) < 0.01


def score(value, *problems, kind="in-octets"):
    return Score(SeriesKey(DeviceName("pe1"), kind), value, problems)


def test_an_objective_is_as_good_as_the_worst_it_needs_and_the_best_of_what_says_the_same():
    assert objective_score([[score(0.9)], [score(0.3), score(0.8)]]) == 0.8
    assert objective_score([[score(0.9)], []]) == 0
    assert objective_score([]) == 0


def test_below_the_floor_nothing_is_done_and_the_reason_names_series_and_problem():
    assert refusal("delay", [[score(0.7)]]) is None
    reason = refusal("delay", [[score(0.9)], [score(0.2, Problem.STALE, Problem.SKEW, kind="round-trip-delay")]])
    assert reason == "quality of delay is 0.20, below 0.60: pe1/round-trip-delay 0.20 (stale, skew)"
    assert "nothing measures it" in (refusal("delay", []) or "")


def test_imputed_values_never_count_for_billing_nor_does_what_is_derived_from_them():
    made = imputed(KEY, START, 5.0, 1.0)
    assert (made.provenance, made.deviation, made.counts_for_billing) == (Provenance.IMPUTED, 1.0, False)
    assert made.quality < FLOOR
    measured = Sample(KEY, START + 1, START + 2, 3.0, 0.9, problems=(Problem.GAP,))
    total = derived(KEY, 8.0, [made, measured])
    assert (total.provenance, total.quality, total.counts_for_billing) == (Provenance.IMPUTED, made.quality, False)
    clean = derived(KEY, 6.0, [measured, measured])
    assert (clean.provenance, clean.problems, clean.counts_for_billing) == (Provenance.DERIVED, (Problem.GAP,), True)


anything = st.one_of(st.floats(), st.floats(0, 1e12), st.integers(-5, 2**65).map(float))
times = st.one_of(st.floats(-1e3, 1e5), st.floats())
readings = st.builds(
    Reading, st.just(KEY), times, times, anything, st.sampled_from(Provenance), st.one_of(st.none(), st.floats(0, 3))
)


@given(st.lists(readings, max_size=30), st.sampled_from([None, 32, 64]), st.floats(0, 1e6), st.lists(st.booleans()))
def test_whatever_comes_in_no_rate_is_negative_and_scores_are_between_0_and_1(fed, bits, highest, contradicted):
    judge = SeriesJudge(Expectation(INTERVAL, highest=highest, counter_bits=bits, frozen_after=2))
    for number, one in enumerate(fed):
        if number < len(contradicted):
            judge.contradict(contradicted=contradicted[number])
        sample = judge.judge(one)
        assert 0 <= sample.quality <= 1
        assert math.isnan(sample.value) or bits is None or sample.value >= 0
        assert not sample.is_usable or 0 <= sample.value <= highest * 1.1
        for now in (one.receive_time, START):
            if math.isfinite(now):
                assert 0 <= judge.score(now, KEY).value <= 1


@given(st.tuples(anything, anything), st.floats(), st.sampled_from([32, 64]), st.floats(0, 1e12), st.floats(0, 1e12))
def test_a_rate_is_never_negative_whatever_was_counted(counts, seconds, bits, highest, usual):
    value, _ = rate(*counts, seconds, bits=bits, highest=highest, usual=usual)
    assert math.isnan(value) or value >= 0


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 10**8), min_size=2, max_size=20))
def test_wraps_lose_nothing(begin, increments):
    judge = SeriesJudge(Expectation(INTERVAL, highest=1e8, counter_bits=32))
    count, total = begin, 0.0
    judge.judge(reading(0, begin))
    for tick, more in enumerate(increments, 1):
        count = (count + more) % 2**32
        sample = judge.judge(reading(tick, count))
        if math.isfinite(sample.value):
            assert sample.value * INTERVAL == pytest.approx(more, abs=1e-3)
            total += more
        else:
            assert Problem.RESET in sample.problems, "what is far above the usual is not believed to be a wrap"


class _Thorough(SeriesJudge):
    """Takes no short way."""

    def _is_as_ever(self, last, reading):
        return False


@given(
    st.lists(
        st.tuples(
            st.floats(-30, 60),
            st.floats(-5, 80),
            st.one_of(st.floats(), st.floats(0, 2e9)),
            st.sampled_from([None, 1, 2]),
        ),
        max_size=40,
    ),
    st.sampled_from([None, 32, 64]),
    st.sampled_from([math.inf, SPEED]),
    st.sampled_from([0, 3]),
    st.sampled_from([Provenance.POLLED, Provenance.PUSHED]),
)
def test_the_short_way_judges_as_the_thorough_one(fed, bits, highest, frozen_after, provenance):
    expected = Expectation(INTERVAL, highest=highest, counter_bits=bits, frozen_after=frozen_after)
    quick, thorough, time, count = SeriesJudge(expected), _Thorough(expected), START, 0.0
    for seconds, delay, value, discontinuity in fed:
        time += seconds
        count = count + value if bits and math.isfinite(value) else value
        told = Reading(KEY, time, time + delay, count, provenance, discontinuity)
        one, other = quick.judge(told), thorough.judge(told)
        assert (str(one), quick.score(time, KEY)) == (str(other), thorough.score(time, KEY))
