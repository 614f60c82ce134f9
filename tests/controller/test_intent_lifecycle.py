"""The life cycle of an intent is total, reaches its ends, and its diagram comes from the table."""

import pytest

from controller.intent.lifecycle import TRANSITIONS, IntentEvent, IntentState, advance, mermaid, possible_events
from controller.model.errors import ConflictError


@pytest.mark.parametrize("state", list(IntentState))
@pytest.mark.parametrize("event", list(IntentEvent))
def test_every_pair_of_state_and_event_is_listed_or_refused_with_what_is_possible(state, event):
    if (state, event) in TRANSITIONS:
        assert advance(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(ConflictError) as refused:
        advance(state, event)
    assert state.value in refused.value.message
    assert event.value in refused.value.message
    assert all(possible.value in refused.value.remedy for possible in possible_events(state))


def reachable_from(start: IntentState) -> set[IntentState]:
    found, frontier = {start}, [start]
    while frontier:
        state = frontier.pop()
        new = {after for (before, _), after in TRANSITIONS.items() if before is state} - found
        found |= new
        frontier.extend(new)
    return found


def test_every_state_is_reachable_from_received():
    assert reachable_from(IntentState.RECEIVED) == set(IntentState)


@pytest.mark.parametrize("state", list(IntentState))
def test_every_state_can_still_end_and_only_a_rejected_one_has_no_way_on(state):
    assert any(end.is_over for end in reachable_from(state))
    assert (state is IntentState.REJECTED) == (not possible_events(state))
    assert possible_events(IntentState.WITHDRAWN) == (IntentEvent.WITHDRAWAL_UNDONE,)


def test_a_serving_intent_ends_only_through_a_committed_withdrawal_or_the_undoing_of_its_creation():
    for (before, event), after in TRANSITIONS.items():
        if after is IntentState.WITHDRAWN and before not in {
            IntentState.NEEDS_CLARIFICATION, IntentState.UNDERSTOOD, IntentState.PLANNED, IntentState.FAILED,
        }:  # fmt: skip
            withdrawn = (before, event) == (IntentState.WITHDRAWING, IntentEvent.COMMITTED)
            assert withdrawn or event is IntentEvent.CREATION_UNDONE
    assert not IntentState.WITHDRAWN.is_serving
    assert IntentState.DEGRADED.is_serving


def test_the_diagram_shows_every_transition_of_the_table():
    lines = mermaid().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    active --> change_planned: plan" in lines
    assert sum(": " in line for line in lines) == len(TRANSITIONS)
