"""The guards: a change begins alone, after the latest has cooled, not for what keeps coming back, not all at once."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.guards import Guard, GuardLimits, Guards
from controller.model.errors import ConflictError, InvalidInputError

LIMITS = GuardLimits(
    horizon_seconds=100.0,
    make_before_break_seconds=30.0,
    half_life_seconds=1000.0,
    jitter_seconds=0.0,
    changes_per_tick=2,
    tick_seconds=10.0,
)
COOL = LIMITS.cooling_seconds


def changed(guards, agreement, cause, begin, end):
    guards.begin(agreement, cause, begin)
    guards.end(agreement, end)


def test_cooling_is_twice_the_horizon_and_never_shorter_than_a_make_before_break():
    assert GuardLimits(horizon_seconds=100.0, make_before_break_seconds=30.0).cooling_seconds == 200.0
    assert GuardLimits(horizon_seconds=10.0, make_before_break_seconds=30.0).cooling_seconds == 30.0


def test_a_second_change_waits_while_one_is_under_way_whatever_its_cause():
    guards = Guards(LIMITS)
    guards.begin("a1", "link p1-p2", 0.0)
    assert guards.admit("a1", "link p1-p2", 0.0, 5000.0).guard is Guard.SINGLE_FLIGHT
    assert guards.admit("a1", "node p3", 0.0, 5000.0).guard is Guard.SINGLE_FLIGHT
    assert guards.admit("a2", "link p1-p2", 0.0, 0.0).is_admitted
    with pytest.raises(ConflictError, match=r"a1.*link p1-p2"):
        guards.begin("a1", "node p3", 1.0)


def test_after_a_change_the_agreement_cools_whatever_the_next_cause():
    guards = Guards(LIMITS)
    changed(guards, "a1", "link p1-p2", 0.0, 20.0)
    held = guards.admit("a1", "node p3", 0.0, 20.0 + COOL - 1.0)
    assert (held.guard, held.not_before) == (Guard.COOLING, 20.0 + COOL)
    assert guards.admit("a1", "node p3", 0.0, 20.0 + COOL).is_admitted
    assert guards.cool_at("a2") == -inf


def test_a_refusal_cools_as_a_change_does():
    guards = Guards(LIMITS)
    guards.refuse("a1", "link p1-p2", 50.0)
    assert guards.admit("a1", "link p1-p2", 0.0, 51.0).guard is Guard.COOLING
    assert guards.admit("a1", "link p1-p2", 0.0, 50.0 + COOL).is_admitted


def test_a_cause_that_keeps_coming_back_is_damped_until_its_penalty_has_halved_often_enough():
    guards = Guards(LIMITS)
    for begin in (0.0, 250.0, 500.0):
        changed(guards, "a1", "link p1-p2", begin, begin)
    held = guards.admit("a1", "link p1-p2", 0.0, 500.0 + COOL)
    assert held.guard is Guard.DAMPING
    assert held.not_before > 500.0 + LIMITS.half_life_seconds
    assert guards.admit("a1", "node p3", 0.0, 500.0 + COOL).is_admitted, "another cause is not damped"
    assert guards.admit("a1", "link p1-p2", 0.0, held.not_before - 1.0).guard is Guard.DAMPING
    assert guards.admit("a1", "link p1-p2", 0.0, held.not_before).is_admitted


def test_a_refusal_of_what_is_damped_does_not_set_it_free():
    guards = Guards(LIMITS)
    for begin in (0.0, 250.0, 500.0):
        changed(guards, "a1", "link p1-p2", begin, begin)
    free = guards.admit("a1", "link p1-p2", 0.0, 500.0 + COOL).not_before
    guards.refuse("a1", "link p1-p2", free - 50.0)
    assert guards.admit("a1", "link p1-p2", 0.0, free - 50.0 + COOL).guard is Guard.DAMPING


def test_what_the_owner_asks_for_cools_but_is_not_held_against_the_cause():
    guards = Guards(LIMITS)
    for begin in range(10):
        guards.begin("a1", "link p1-p2", float(begin), is_owners=True)
        guards.end("a1", float(begin))
    assert guards.admit("a1", "link p1-p2", 0.0, 10.0).guard is Guard.COOLING
    assert guards.admit("a1", "link p1-p2", 0.0, 10.0 + COOL).is_admitted


def test_a_tick_has_a_budget_of_changes_and_the_next_tick_has_its_own():
    guards = Guards(LIMITS)
    guards.begin("a1", "link p1-p2", 100.0)
    guards.begin("a2", "link p1-p2", 105.0)
    held = guards.admit("a3", "link p1-p2", 0.0, 109.0)
    assert (held.guard, held.not_before) == (Guard.BUDGET, 110.0)
    assert guards.admit("a3", "link p1-p2", 0.0, 110.0).is_admitted


def test_agreements_that_see_the_same_cause_are_spread_evenly_and_the_same_way_each_time():
    limits = GuardLimits(jitter_seconds=40.0, seed="s1")
    waits = [Guards(limits).jitter_seconds(f"a{n}", "link p1-p2") for n in range(400)]
    assert waits == [Guards(limits).jitter_seconds(f"a{n}", "link p1-p2") for n in range(400)]
    per_quarter = [sum(low <= wait < low + 10.0 for wait in waits) for low in (0.0, 10.0, 20.0, 30.0)]
    assert min(per_quarter) > 70
    assert sum(per_quarter) == 400
    assert waits != [
        Guards(GuardLimits(jitter_seconds=40.0, seed="s2")).jitter_seconds(f"a{n}", "") for n in range(400)
    ]
    guards = Guards(limits)
    held = guards.admit("a1", "link p1-p2", 1000.0, 1000.0)
    assert (held.guard, held.not_before) == (Guard.JITTER, 1000.0 + waits[1])


def test_an_agreement_that_is_over_leaves_nothing_behind():
    guards = Guards(LIMITS)
    changed(guards, "a1", "link p1-p2", 0.0, 1.0)
    guards.begin("a1", "link p1-p2", 2.0)
    guards.forget("a1")
    assert guards.to_json() == Guards(LIMITS).to_json() | {"tick": [0, 2]}


@pytest.mark.parametrize("name", ["horizon_seconds", "half_life_seconds", "tick_seconds", "changes_per_tick"])
def test_a_limit_that_holds_nothing_or_everything_is_refused_by_name(name):
    with pytest.raises(InvalidInputError, match=name):
        GuardLimits(**{name: 0})


def test_a_cause_that_would_be_damped_and_reused_at_once_is_refused():
    with pytest.raises(InvalidInputError, match="damped"):
        GuardLimits(suppress_penalty=0.5, reuse_penalty=1.0)


asked = st.lists(
    st.tuples(st.sampled_from(["a1", "a2", "a3"]), st.sampled_from(["x", "y"]), st.floats(0.0, 120.0)), max_size=60
)


@given(asked)
def test_whoever_asks_however_often_changes_keep_their_distance_and_a_damped_cause_is_never_damped_for_ever(requests):
    guards, now = Guards(LIMITS), 0.0
    begun: dict[str, list[float]] = {}
    per_tick: dict[int, int] = {}
    for agreement, cause, wait in requests:
        now += wait
        admission = guards.admit(agreement, cause, 0.0, now)
        if not admission.is_admitted:
            assert now <= admission.not_before <= now + max(COOL, 4 * LIMITS.half_life_seconds)
            continue
        changed(guards, agreement, cause, now, now)
        begun.setdefault(agreement, []).append(now)
        tick = int(now // LIMITS.tick_seconds)
        per_tick[tick] = per_tick.get(tick, 0) + 1
    for times in begun.values():
        assert all(later - earlier >= COOL for earlier, later in pairwise(times))
    assert max(per_tick.values(), default=0) <= LIMITS.changes_per_tick
    again = Guards(LIMITS)
    again.load_json(guards.to_json())
    assert again == guards
