"""The closed loop: whatever telemetry says, actions are few, and a replay of what happened is what happened."""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.breach import Breach, predict
from controller.assurance.closed_loop import SEEN, ClosedLoop
from controller.assurance.decision import CauseFinding
from controller.assurance.guards import GuardLimits
from controller.assurance.instance import TRANSITIONS, Happening, InstanceEvent, InstanceState
from controller.assurance.objectives import Objective, ObjectiveName
from controller.model.errors import ConflictError, NotFoundError
from controller.model.identifiers import ServiceId
from controller.telemetry.forecast import Forecaster
from controller.twin.verdict import Verdict

S, E = InstanceState, InstanceEvent
DELAY = Objective(ServiceId("l3vpn:v1"), ObjectiveName.ONE_WAY_DELAY, 0.015)
TICK = 10.0
LIMITS = GuardLimits(
    horizon_seconds=60.0,
    make_before_break_seconds=20.0,
    half_life_seconds=600.0,
    jitter_seconds=20.0,
    changes_per_tick=2,
    tick_seconds=TICK,
)
CALM, ALARM = (0.05, 1.0), (0.95, 1.0)
LINK = CauseFinding("link p1-p2 down", 0.9)


def breach(probability, quality=1.0):
    return Breach(DELAY, 60.0, 0.014, 0.01, 0.02, probability, quality)


class World:
    """Agreements in service, a clock that ticks, and a record of everything that happened."""

    def __init__(self, *agreements, limits=LIMITS):
        self.loop, self.log, self.now = ClosedLoop(limits), [], 0.0
        self.declared = agreements
        self.changing = {}
        for agreement in agreements:
            self.loop.declare(agreement, 0.0)
            for event in (E.NEGOTIATE, E.AGREE, E.PROVISION):
                self.happen(agreement, event)

    def happen(self, agreement, event, cause="", reason=""):
        self.apply(Happening(agreement, event, self.now, cause, reason))

    def apply(self, happening):
        self.log.append(happening)
        self.loop.apply(happening)

    def tick(self, told, finding=LINK, ends=E.CHANGE_COMMITTED, takes_ticks=1):
        """One tick: changes end, forecasts are looked at, and what may be acted on is."""
        self.now += TICK
        for agreement, left in list(self.changing.items()):
            self.changing[agreement] = left - 1
            if left <= 1:
                del self.changing[agreement]
                self.happen(agreement, ends)
        for agreement, (probability, quality) in told.items():
            found = breach(probability, quality)
            if happening := self.loop.look(agreement, (found,), self.now):
                self.apply(happening)
            decision = self.loop.decide(agreement, found, finding, self.now, Verdict())
            if decision.acts:
                self.happen(agreement, E.RENEGOTIATE, decision.cause)
                self.changing[agreement] = takes_ticks

    def times(self, event, agreement="a1"):
        return [one.time for one in self.log if one.event is event and one.agreement == agreement]

    def state(self, agreement="a1"):
        return self.loop.get(agreement).state


def test_a_predicted_breach_is_averted_seen_to_be_and_the_agreement_is_assured_again():
    world = World("a1")
    world.tick({"a1": CALM})
    assert world.state() is S.ASSURED
    for _ in range(6):
        world.tick({"a1": ALARM})
    assert world.state() is S.RESTORED
    for _ in range(8):
        world.tick({"a1": CALM})
    assert world.state() is S.ASSURED
    assert [one.event for one in world.log][3:] == [
        E.ASSURE, E.PREDICT_BREACH, E.RENEGOTIATE, E.CHANGE_COMMITTED, E.ASSURE,
    ]  # fmt: skip


def changes_without_a_remedy(limits):
    world = World("a1", limits=limits)
    for _ in range(2000):
        world.tick({"a1": ALARM})
    return world.times(E.RENEGOTIATE)


def test_a_change_that_does_not_help_cools_and_is_damped_when_its_cause_keeps_coming_back():
    begun = changes_without_a_remedy(LIMITS)
    gaps = [later - earlier for earlier, later in pairwise(begun)]
    assert gaps[2] > 4 * gaps[0] >= 4 * LIMITS.cooling_seconds
    # What is added in the long run must have decayed: a penalty never above the threshold and one change.
    decay_per_second = log(2) / LIMITS.half_life_seconds
    assert len(begun) <= (LIMITS.suppress_penalty + 1) * (1 + 20_000 * decay_per_second)
    undamped = changes_without_a_remedy(replace(LIMITS, suppress_penalty=1e9))
    assert len(undamped) > 3 * len(begun)


def test_telemetry_that_jumps_between_certainty_and_calm_moves_no_agreement_faster_than_a_horizon():
    world = World("a1")
    for tick in range(2000):
        world.tick({"a1": ALARM if tick % 2 else CALM})
    cleared = world.times(E.CLEAR)
    assert cleared
    assert all(later - earlier >= LIMITS.horizon_seconds for earlier, later in pairwise(cleared))


def test_what_moves_between_the_thresholds_changes_nothing():
    world = World("a1")
    world.tick({"a1": CALM})
    before = len(world.log)
    for tick in range(200):
        world.tick({"a1": (0.31 + 0.48 * (tick % 2), 1.0)})
    assert len(world.log) == before


def test_data_below_the_floor_neither_alarm_nor_clear():
    world = World("a1")
    for told in ((0.95, 0.4), (0.01, 0.4)):
        world.tick({"a1": told})
    assert world.state() is S.PROVISIONED
    world.tick({"a1": ALARM}, finding=None)
    for _ in range(20):
        world.tick({"a1": (0.01, 0.4)})
    assert world.state() is S.AT_RISK


def test_nothing_is_done_before_localisation_has_answered():
    world = World("a1")
    for _ in range(20):
        world.tick({"a1": ALARM}, finding=None)
    assert world.times(E.RENEGOTIATE) == []
    world.tick({"a1": ALARM}, finding=CauseFinding())
    assert len(world.times(E.RENEGOTIATE)) == 1


def test_a_failed_change_cools_before_the_next():
    world = World("a1")
    for _ in range(60):
        world.tick({"a1": ALARM}, ends=E.CHANGE_FAILED)
    begun, failed = world.times(E.RENEGOTIATE), world.times(E.CHANGE_FAILED)
    assert len(begun) >= 2
    assert begun[1] - failed[0] >= LIMITS.cooling_seconds


def test_a_refusal_cools_before_it_is_asked_again():
    world = World("a1")
    world.tick({"a1": ALARM}, finding=None)
    world.happen("a1", E.REFUSE, LINK.cause, "the twin refused")
    refused = world.now
    for _ in range(30):
        world.tick({"a1": ALARM})
    assert world.times(E.RENEGOTIATE)[0] - refused >= LIMITS.cooling_seconds


def test_what_the_owner_changes_is_left_alone_until_it_has_cooled():
    world = World("a1")
    world.happen("a1", E.MODIFY, "owner")
    world.happen("a1", E.CHANGE_COMMITTED)
    for _ in range(40):
        world.tick({"a1": ALARM})
    assert world.times(E.RENEGOTIATE)[0] >= LIMITS.cooling_seconds


def test_what_is_at_risk_while_its_last_change_is_young_is_held_until_that_has_cooled():
    world = World("a1")
    world.happen("a1", E.MODIFY, "owner")
    world.happen("a1", E.CHANGE_COMMITTED)
    while world.state() is not S.ASSURED:
        world.tick({"a1": CALM})
    assert world.now < LIMITS.cooling_seconds
    world.tick({"a1": ALARM})
    assert world.state() is S.AT_RISK
    world.tick({"a1": ALARM})
    assert (world.state(), len(world.times(E.HOLD))) == (S.COOLING, 1)
    while not world.times(E.COOLED):
        world.tick({"a1": ALARM})
    assert world.times(E.COOLED)[0] >= LIMITS.cooling_seconds


def test_one_fault_under_many_agreements_does_not_change_them_all_at_once():
    names = [f"a{n}" for n in range(12)]
    world = World(*names)
    for _ in range(20):
        world.tick(dict.fromkeys(names, ALARM))
    first = Counter(min(world.times(E.RENEGOTIATE, name)) for name in names)
    assert sum(first.values()) == len(names)
    assert max(first.values()) <= LIMITS.changes_per_tick


def test_a_happening_that_cannot_be_changes_nothing():
    world = World("a1")
    before = world.loop.to_json()
    with pytest.raises(ConflictError, match="provisioned cannot renegotiate"):
        world.loop.apply(Happening("a1", E.RENEGOTIATE, 1.0, "x"))
    assert world.loop.to_json() == before


def test_an_unknown_agreement_is_named_and_a_living_one_is_not_declared_twice():
    world = World("a1")
    with pytest.raises(NotFoundError, match="a9"):
        world.loop.get("a9")
    with pytest.raises(ConflictError, match="a1"):
        world.loop.declare("a1", 5.0)
    world.happen("a1", E.TERMINATE)
    world.loop.declare("a1", 5.0)
    assert world.state() is S.DECLARED


def test_what_a_level_means_is_always_an_edge_of_the_table():
    assert all((state, event) in TRANSITIONS for (state, _), event in SEEN.items())


def breaches_of(delays):
    """What the real forecaster makes of a series, tick by tick."""
    forecaster = Forecaster(1, (6, 30))
    for delay in delays:
        yield predict((DELAY,), forecaster.step(np.array([delay])), TICK, (1.0,))


def test_a_delay_that_creeps_up_is_a_risk_before_it_is_a_breach_and_a_steady_one_never_is():
    noise = 0.0002 * np.random.default_rng(3).standard_normal(700)
    creeping = 0.010 + noise + np.concatenate([np.zeros(300), np.linspace(0.0, 0.008, 400)])
    world = World("a1", "a2")
    for delay, rising, steady in zip(creeping, breaches_of(creeping), breaches_of(0.010 + noise), strict=True):
        world.now += TICK
        for agreement, found in (("a1", rising), ("a2", steady)):
            if happening := world.loop.look(agreement, found, world.now):
                world.apply(happening)
        if delay > DELAY.target:
            break
    (predicted,) = world.times(E.PREDICT_BREACH, "a1")
    assert predicted > 3000.0, "while it was steady there was nothing to see"
    assert world.now - predicted >= 5 * TICK
    assert world.times(E.PREDICT_BREACH, "a2") == []


reading = st.sampled_from([CALM, ALARM, (0.5, 1.0), (0.95, 0.7), (1.0, 0.3), (0.0, 0.3), (0.81, 0.99), (0.29, 0.5)])
tick_of_telemetry = st.fixed_dictionaries(
    {
        "told": st.fixed_dictionaries({"a1": reading, "a2": reading, "a3": reading}),
        "finding": st.sampled_from([LINK, CauseFinding("node p3 down", 0.8), CauseFinding(), None]),
        "ends": st.sampled_from([E.CHANGE_COMMITTED, E.CHANGE_FAILED]),
        "takes_ticks": st.integers(1, 4),
    }
)


@given(st.lists(tick_of_telemetry, max_size=80))
def test_under_adversarial_telemetry_actions_are_bounded_and_a_replay_gives_the_same_history(ticks):
    world = World("a1", "a2", "a3")
    for tick in ticks:
        world.tick(**tick)
    for agreement in world.declared:
        begun = world.times(E.RENEGOTIATE, agreement)
        assert all(later - earlier >= LIMITS.cooling_seconds for earlier, later in pairwise(begun))
        assert len(begun) <= 1 + world.now / LIMITS.cooling_seconds
        moved = [one for one in world.log[9:] if one.agreement == agreement]
        # Each horizon: in and out of a risk, and of one change with its cooling.
        assert len(moved) <= 8 * (1 + world.now / LIMITS.horizon_seconds)
    per_tick = Counter(one.time for one in world.log if one.event is E.RENEGOTIATE)
    assert max(per_tick.values(), default=0) <= LIMITS.changes_per_tick

    again = ClosedLoop(LIMITS)
    for agreement in world.declared:
        again.declare(agreement, 0.0)
    for happening in world.log:
        again.apply(happening)
    assert again.to_json() == world.loop.to_json()
    restored = ClosedLoop(LIMITS)
    restored.load_json(json.loads(json.dumps(world.loop.to_json())))
    assert list(restored) == list(world.loop)
    assert restored.guards == world.loop.guards


@given(st.lists(tick_of_telemetry, max_size=40), st.integers(0, 40))
def test_a_loop_restarted_at_any_tick_goes_on_as_the_one_that_was_not(ticks, at):
    steady, restarted = World("a1", "a2", "a3"), World("a1", "a2", "a3")
    for number, tick in enumerate(ticks):
        if number == at:
            fresh = ClosedLoop(LIMITS)
            fresh.load_json(json.loads(json.dumps(restarted.loop.to_json())))
            restarted.loop = fresh
        steady.tick(**tick)
        restarted.tick(**tick)
    assert restarted.log == steady.log


def test_an_agreement_left_alone_with_good_news_comes_back_to_assured_from_every_serving_state():
    paths = {
        S.PROVISIONED: (),
        S.ASSURED: (E.ASSURE,),
        S.AT_RISK: (E.PREDICT_BREACH,),
        S.COOLING: (E.PREDICT_BREACH, E.REFUSE),
        S.RENEGOTIATED: (E.PREDICT_BREACH, E.RENEGOTIATE),
        S.RESTORED: (E.PREDICT_BREACH, E.RENEGOTIATE, E.CHANGE_COMMITTED),
    }
    assert set(paths) == {state for state in S if state.is_serving}
    for state, events in paths.items():
        world = World("a1")
        for event in events:
            world.happen("a1", event, "x")
        assert world.state() is state
        if state is S.RENEGOTIATED:
            world.changing["a1"] = 1
        for _ in range(10):
            world.tick({"a1": CALM})
        assert world.state() is S.ASSURED, state
