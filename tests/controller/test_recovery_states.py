"""The life of a recovery: its table is total, its guards hold, and every prefix of its events can be gone on from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.events import types
from controller.model.errors import ConflictError, NotFoundError
from controller.ports import Event
from controller.recovery.history import Recovery, RecoveryHistory
from controller.recovery.remedies import Remedy
from controller.recovery.scoring import Candidate, Score
from controller.recovery.situation import Fault, FaultKind
from controller.recovery.states import GUARDS, TRANSITIONS, Cue, RecoveryState, advance

FAULT = Fault("link a>b", FaultKind.LINK.value, ("a>b", "b>a"), is_down=True, confidence=0.97, symptoms=("a>b: bad",))
CANDIDATES = [
    Candidate(Remedy("reroute", f"reroute {name}"), Score(value, (("acme", 1.0),), 0.5, 1, ("because",))).to_json()
    for name, value in (("gold", 0.9), ("silver", 0.8))
]


def event(number, type_, data, actor="accord"):
    return Event(number, "recovery/recovery-1", number, type_, 100.0 + number, actor, "", data, "", "")


def story(*cues, first=0):
    """The events of a recovery that takes these cues; each a cue or (cue, data)."""
    begun = event(first, types.RECOVERY_BEGUN, {"fault": FAULT.to_json(), "services": ["acme"], "reason": "it is cut"})
    told = [cue if isinstance(cue, tuple) else (cue, {}) for cue in cues]
    return [begun] + [
        event(number, types.RECOVERY_UNDONE, data)
        if cue == "undone"
        else event(number, types.RECOVERY_ADVANCED, {"cue": cue.value, "reason": "so", **data})
        for number, (cue, data) in enumerate(told, start=first + 1)
    ]


PLAN = (Cue.PLAN, {"candidates": CANDIDATES, "chosen": 0})
LONG = story(
    Cue.LOCALISE,
    PLAN,
    (Cue.PROVE, {"verdict": "proved", "asked": True}),
    Cue.ASK,
    (Cue.APPROVE, {"chosen": 0}),
    (Cue.PROVE, {"verdict": "proved again"}),
    Cue.EXECUTE,
    (Cue.COMMITTED, {"transactions": ["tx-1"]}),
    (Cue.NO_HELP, {"verification": "it loses still"}),
    ("undone", {"transactions": ["tx-2"]}),
    (Cue.NEXT, {"chosen": 1}),
    (Cue.PROVE, {"verdict": "proved", "asked": False}),
    Cue.EXECUTE,
    (Cue.COMMITTED, {"transactions": ["tx-3"]}),
    (Cue.HELPED, {"verification": "nothing is lost"}),
)


def folded(events):
    history = RecoveryHistory()
    for each in events:
        history.apply(each)
    return history


@pytest.mark.parametrize("state", RecoveryState)
@pytest.mark.parametrize("cue", Cue)
def test_a_pair_is_in_the_table_or_refused_by_name(state, cue):
    if (state, cue) in TRANSITIONS:
        assert advance(state, cue) is TRANSITIONS[state, cue]
    else:
        with pytest.raises(ConflictError, match=f"'{cue}' while {state}"):
            advance(state, cue)


def test_every_state_is_reached_and_all_but_recovered_have_a_way_on():
    assert {RecoveryState.DETECTED, *TRANSITIONS.values()} == set(RecoveryState)
    assert set(RecoveryState) - {state for state, _ in TRANSITIONS} == {RecoveryState.RECOVERED}
    assert set(GUARDS) <= set(TRANSITIONS)


def test_what_may_have_been_changed_is_seen_to_help_or_undone_before_anything_else():
    after = {cue: TRANSITIONS[state, cue] for state, cue in TRANSITIONS if state is RecoveryState.VERIFYING}
    assert after == {Cue.HELPED: RecoveryState.RECOVERED, Cue.NO_HELP: RecoveryState.ROLLED_BACK}
    touched = folded(LONG[:10]).get("recovery-1")
    assert touched.state is RecoveryState.ROLLED_BACK
    for cue in (Cue.NEXT, Cue.EXHAUST):
        with pytest.raises(ConflictError, match="only if: undone"):
            advance(touched.state, cue, touched)
    undone = folded(LONG[:11]).get("recovery-1")
    assert advance(undone.state, Cue.NEXT, undone) is RecoveryState.PLANNED


def test_nothing_is_executed_that_an_operator_has_to_agree_to():
    asked = folded(LONG[:4]).get("recovery-1")
    with pytest.raises(ConflictError, match="allowed, or approved"):
        advance(asked.state, Cue.EXECUTE, asked)
    approved = folded(LONG[:7]).get("recovery-1")
    assert advance(approved.state, Cue.EXECUTE, approved) is RecoveryState.EXECUTING
    with pytest.raises(ConflictError, match="not approved yet"):
        advance(approved.state, Cue.ASK, approved)


def test_an_agreement_is_to_one_remedy_and_not_to_the_next():
    following = folded(LONG[:12]).get("recovery-1")
    assert (following.chosen, following.is_approved, following.untried) == (1, False, (1,))


def test_a_dismissed_recovery_leaves_the_inbox_and_still_holds_its_cause():
    history = folded(story(Cue.LOCALISE, Cue.NOTHING, Cue.DISMISS))
    one = history.get("recovery-1")
    assert history.inbox == ()
    assert history.open_for("link a>b") is one
    with pytest.raises(ConflictError, match="not dismissed"):
        advance(one.state, Cue.APPROVE, one)
    assert advance(one.state, Cue.CLEAR, one) is RecoveryState.RECOVERED


def test_the_record_says_what_was_tried_and_what_came_of_it():
    one = folded(LONG).get("recovery-1")
    assert one.is_over
    assert (one.services, one.transactions, one.tried) == (("acme",), ("tx-1", "tx-2", "tx-3"), (0, 1))
    assert one.candidate.remedy.summary == "reroute silver"
    assert one.verification == "nothing is lost"
    assert not one.is_touched
    assert [step.cue for step in one.steps][:3] == ["", "localise", "plan"]


@pytest.mark.parametrize("length", range(1, len(LONG) + 1))
def test_every_prefix_of_the_log_is_a_recovery_that_a_snapshot_gives_back(length):
    history = folded(LONG[:length])
    again = RecoveryHistory()
    again.load_json(history.to_json())
    assert list(again) == list(history)
    for each in LONG[length:]:
        again.apply(each)
    assert list(again) == list(folded(LONG))


def test_there_is_one_recovery_for_a_cause_until_it_is_over():
    assert folded(LONG[:-1]).open_for("link a>b").id == "recovery-1"
    assert folded(LONG).open_for("link a>b") is None
    with pytest.raises(NotFoundError, match="'recovery-9'"):
        folded(LONG).get("recovery-9")


@given(st.lists(st.sampled_from(Cue), max_size=60))
def test_whatever_happens_a_touched_network_is_never_left_unless_it_helped(cues):
    one = Recovery("r", FAULT, RecoveryState.DETECTED, 0.0, candidates=tuple(map(Candidate.from_json, CANDIDATES)))
    history = folded([])
    history._recoveries["recovery-1"] = one
    for number, cue in enumerate(cues):
        one = history.get("recovery-1")
        try:
            advance(one.state, cue, one)
        except ConflictError:
            continue
        chosen = {"chosen": (one.untried or (0,))[0]} if cue in {Cue.PLAN, Cue.NEXT, Cue.APPROVE} else {}
        history.apply(event(number, types.RECOVERY_ADVANCED, {"cue": cue.value, **chosen}))
        after = history.get("recovery-1")
        if after.is_touched:
            assert after.state in {RecoveryState.EXECUTING, RecoveryState.VERIFYING, RecoveryState.ROLLED_BACK}
