"""The intent instance: the table is total, every state is left or final, and what is reserved is settled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.instance import (
    DUTIES,
    STEPS_KEPT,
    TRANSITIONS,
    Duty,
    Happening,
    InstanceEvent,
    InstanceState,
    advance,
    declare,
    mermaid,
    replay,
)
from controller.model.errors import ConflictError

S, E = InstanceState, InstanceEvent
NEW_TO_ASSURED = (E.NEGOTIATE, E.AGREE, E.PROVISION, E.ASSURE)


def state_after(*events):
    state = S.DECLARED
    for event in events:
        state = advance(state, event)
    return state


def reachable_from(start):
    found, frontier = {start}, [start]
    while frontier:
        state = frontier.pop()
        new = {after for (before, _), after in TRANSITIONS.items() if before is state} - found
        found |= new
        frontier.extend(new)
    return found


@pytest.mark.parametrize("state", InstanceState)
@pytest.mark.parametrize("event", InstanceEvent)
def test_every_pair_is_in_the_table_or_refused_with_what_is_possible(state, event):
    if (state, event) in TRANSITIONS:
        assert advance(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(ConflictError, match=f"is {state} cannot {event}") as refused:
        advance(state, event)
    possible = [one for one in InstanceEvent if (state, one) in TRANSITIONS]
    assert all(one in refused.value.remedy for one in possible)
    assert possible or "final" in refused.value.remedy


@pytest.mark.parametrize("state", InstanceState)
def test_every_state_is_left_or_final_and_every_state_can_still_end(state):
    ways_out = {after for (before, _), after in TRANSITIONS.items() if before is state} - {state}
    assert bool(ways_out) is not state.is_final
    assert S.TERMINATED in reachable_from(state)


def test_every_state_is_reachable_from_a_declaration():
    assert reachable_from(S.DECLARED) == set(InstanceState)


def test_an_agreement_is_negotiated_provisioned_assured_saved_from_a_breach_and_ended():
    assert state_after(*NEW_TO_ASSURED) is S.ASSURED
    saved = (*NEW_TO_ASSURED, E.PREDICT_BREACH, E.RENEGOTIATE, E.CHANGE_COMMITTED)
    assert state_after(*saved) is S.RESTORED
    assert state_after(*saved, E.ASSURE) is S.ASSURED
    assert state_after(*saved, E.ASSURE, E.EXPIRE) is S.TERMINATED


def test_a_refused_offer_leaves_the_declaration_and_a_refused_declaration_ends():
    assert state_after(E.NEGOTIATE, E.REFUSE) is S.DECLARED
    assert state_after(E.NEGOTIATE, E.NEGOTIATE, E.LAPSE, E.REFUSE) is S.TERMINATED


def test_failed_provisioning_gives_back_what_was_reserved_and_the_intent_may_be_negotiated_again():
    assert DUTIES[S.AGREED, E.PROVISIONING_FAILED] is Duty.RELEASE
    assert state_after(E.NEGOTIATE, E.AGREE, E.PROVISIONING_FAILED, E.NEGOTIATE) is S.NEGOTIATED


def test_a_change_that_did_not_help_or_failed_cools_and_the_loop_cannot_act_from_there():
    changing = (*NEW_TO_ASSURED, E.PREDICT_BREACH, E.RENEGOTIATE)
    assert state_after(*changing, E.CHANGE_FAILED) is S.COOLING
    assert state_after(*changing, E.CHANGE_COMMITTED, E.PREDICT_BREACH) is S.COOLING
    assert (S.COOLING, E.RENEGOTIATE) not in TRANSITIONS
    assert state_after(*changing, E.CHANGE_FAILED, E.COOLED) is S.AT_RISK
    assert state_after(*changing, E.CHANGE_FAILED, E.CLEAR) is S.ASSURED


def test_only_what_the_network_carries_serves():
    for (before, event), after in TRANSITIONS.items():
        if after.is_serving and not before.is_serving:
            assert (before, event) == (S.AGREED, E.PROVISION)


happenings = st.lists(st.sampled_from(InstanceEvent), max_size=60)


def legal(events):
    state, kept = S.DECLARED, []
    for event in events:
        if (state, event) in TRANSITIONS:
            kept.append((state, event))
            state = TRANSITIONS[state, event]
    return kept, state


@given(happenings)
def test_whatever_happens_nothing_is_reserved_twice_and_nothing_stays_reserved_at_the_end(events):
    reserved = 0
    kept, state = legal(events)
    for edge in kept:
        duty = DUTIES.get(edge)
        if duty is Duty.RESERVE:
            assert reserved == 0
            reserved = 1
        elif duty:
            assert reserved == 1, f"{duty} of nothing at {edge}"
            reserved = 0
        holds = TRANSITIONS[edge] in {S.AGREED, S.RENEGOTIATED}
        assert bool(reserved) is holds
    if state.is_final:
        assert reserved == 0


@given(happenings)
def test_a_replay_of_what_happened_gives_the_same_instance_to_the_last_step(events):
    kept, state = legal(events)
    log = [Happening("a1", event, 100.0 + n, "link", f"step {n}") for n, (_, event) in enumerate(kept)]
    live = declare("a1", 99.0)
    for happening in log:
        live = live.after(happening)
    assert replay("a1", 99.0, log) == live
    assert live.state is state
    assert [step.happening for step in live.steps] == log[-STEPS_KEPT:]


def test_since_is_when_the_state_was_entered_and_not_the_latest_step():
    steps = [(E.NEGOTIATE, 10.0), (E.NEGOTIATE, 20.0), (E.AGREE, 30.0)]
    log = [Happening("a1", event, time) for event, time in steps]
    assert [replay("a1", 0.0, log[:n]).since for n in range(4)] == [0.0, 10.0, 10.0, 30.0]


def test_an_instance_keeps_a_bounded_number_of_steps():
    log = [Happening("a1", E.NEGOTIATE, float(n)) for n in range(3 * STEPS_KEPT)]
    instance = replay("a1", 0.0, log)
    assert len(instance.steps) == STEPS_KEPT
    assert instance.since == 0.0


def test_the_diagram_shows_every_edge_and_says_once_what_every_state_has():
    text = mermaid()
    for (before, event), after in TRANSITIONS.items():
        edge = f"{before.name.lower()} --> {after.name.lower()}: {event}"
        assert (edge in text) is (event not in {E.EXPIRE, E.TERMINATE})
    assert "expire, terminate" in text
